"""How a photo keeps its colours, told from its first bytes: what else than plain colour lies among photos."""

COLOUR = "colour"
_PNG = {0: "grey", 2: COLOUR, 3: "palette", 4: "transparent", 6: "transparent"}  # PNG, 11.2.1, colour types
_COMPONENTS = {1: "grey", 3: COLOUR, 4: "CMYK"}


def colour_mode(data: bytes, name: str) -> str:
    """Return "colour", "grey", "palette", "CMYK", "transparent" or "16 bits" for a photo's bytes of format `name`.

    It is what the file says of itself: a grey picture that was saved in colours counts as colour, and a picture without
    one transparent pixel in a file that could hold some as transparent.
    """
    if name == "JPEG":
        return _COMPONENTS.get(_jpeg_components(data), COLOUR)
    if name == "PNG":
        return "16 bits" if data[24:25] == b"\x10" else _PNG.get(data[25] if len(data) > 25 else 2, COLOUR)
    if name == "GIF":
        return "palette"
    if name == "BMP":
        bits = int.from_bytes(data[28:30], "little")
        return "palette" if 0 < bits <= 8 else COLOUR
    return _webp_mode(data)


def _jpeg_components(data: bytes) -> int:
    """Return how many colour components the frame header names; 0 where there is none."""
    at = 2
    while at + 10 <= len(data) and data[at] == 0xFF:
        marker = data[at + 1]
        if marker == 0xFF:  # a fill byte
            at += 1
        elif 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):
            return data[at + 9]
        else:
            at += 2 + int.from_bytes(data[at + 2 : at + 4])
    return 0


def _webp_mode(data: bytes) -> str:
    """Source: RFC 9649, 2.7 (VP8X) and 3.4 (VP8L): both say in their header whether there is transparency."""
    if data[12:16] == b"VP8X" and len(data) > 20:
        return "transparent" if data[20] & 0x10 else COLOUR
    if data[12:16] == b"VP8L" and len(data) > 24:
        return "transparent" if data[24] & 0x10 else COLOUR
    return COLOUR
