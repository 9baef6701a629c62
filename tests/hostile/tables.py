"""Lists of photos that are endless, broken, contradict themselves, or lead elsewhere; and folders that do."""

import os
import zipfile
from pathlib import Path

from hostile.cases import Case, of_bytes

ROW = "path,label\n"
TEXTS: dict[str, tuple[str | bytes, tuple[str, ...]]] = {
    "nothing": ("", ("it is empty",)),
    "a header only": (ROW, ("is empty",)),
    "another header": ("file,class\na.jpg,x\n", ("names no photos and labels",)),
    "a header twice": ("path,path,label\na,b,c\n", ("names no photos and labels",)),
    "a header of a million columns": ("x," * 1_000_000 + "\n", ("names no photos and labels",)),
    "a header of 20 million columns": ("," * 20_000_000 + "\n", ("letters in line 1",)),
    "a row of 20 million columns": (ROW + "," * 20_000_000, ("20,000,000 letters in line 2",)),
    "a quote never closed": (ROW + '"a.jpg,x\n' * 9, ("is broken at line", "no label")),
    "a field of 2 MB": (ROW + "a" * 2_000_000 + ",x\n", ("is broken at line",)),
    "a path of 100,000 letters": (ROW + "a" * 100_000 + ",x\n", ("do not exist",)),
    "a label of 100,000 letters": (ROW + "1.jpg," + "x" * 100_000 + "\n", ("letters",)),
    "a path without label": (ROW + "1.jpg,\n", ("has no label",)),
    "a label without path": (ROW + ",x\n", ("has no path",)),
    "a path with a NUL": (ROW + "a\0b.jpg,x\n", ("do not exist", "is broken")),
    "a path that moves the terminal": (ROW + "\x1b[2J.jpg,x\n", ("do not exist",)),
    "two labels for one photo": (ROW + "1.jpg,x\n1.jpg,y\n", ("a photo has one label",)),
    "two splits for one photo": ("path,label,split\n1.jpg,x,train\n1.jpg,x,test\n", ("a photo has one split",)),
    "an unknown split": ("path,label,split\n1.jpg,x,everything\n", ("it is train, validation or test",)),
    "splits for some only": ("path,label,split\n1.jpg,x,train\n2.jpg,y,\n", ("has no split",)),
    "labels that differ in case": (ROW + "1.jpg,Rose\n2.jpg,rose\n", ("differ only in case",)),
    "11,000 classes": (ROW + "".join(f"n{i}.jpg,class {i}\n" for i in range(11_000)), ("classes",)),
    "photos that are not there": (ROW + "".join(f"{i}.png,x\n" for i in range(50_000)), ("do not exist",)),
    "a folder for a photo": (ROW + ".,x\n", ("do not exist",)),
    "a device for a photo": (ROW + "/dev/zero,x\n", ("do not exist",)),
    "a pipe for a photo": (ROW + "pipe.jpg,x\n", ("do not exist",)),
    "a photo on another machine": (ROW + "\\\\server\\share\\x.jpg,x\n", ("on another machine",)),
    "Latin-1": (ROW.encode() + b"caf\xe9.jpg,x\n", ("not UTF-8",)),
    "zeros": (bytes(100_000), ("names no photos and labels",)),
    "UTF-16 cut off": ("path,label\n1.jpg,x\n".encode("utf-16")[:-1], ("do not exist", "one class", "no label")),
    "a program": (b"\x7fELF" + bytes(range(256)), ("not UTF-8", "names no photos")),
}


def _list(name: str, text: str | bytes, words: tuple[str, ...]) -> Case:
    def make(folder: Path) -> str:
        (folder / "x.csv").write_bytes(text if isinstance(text, bytes) else text.encode())
        for photo in ("1.jpg", "2.jpg", *(f"n{i}.jpg" for i in range(11_000 if "11,000" in name else 0))):
            (folder / photo).touch()
        os.mkfifo(folder / "pipe.jpg")
        return str(folder / "x.csv")

    return Case(f"list of {name}", words, make)


def _archived(path: str) -> Case:
    def make(folder: Path) -> str:
        with zipfile.ZipFile(folder / "x.zip", "w") as file:
            file.writestr("list.csv", f"path,label\n1.jpg,x\n{path},y\n")
            file.writestr("1.jpg", b"1")
        return str(folder / "x.zip")

    return Case(f"list in an archive that names {path}", ("not allowed",), make)


def _huge(folder: Path) -> str:
    with open(folder / "x.csv", "wb") as file:
        file.write(ROW.encode())
        file.truncate(300_000_000)
    return str(folder / "x.csv")


def _many_rows(folder: Path) -> str:
    (folder / "x.csv").write_bytes(ROW.encode() + b"a,b\n" * 2_000_100)
    return str(folder / "x.csv")


def _pipes(folder: Path) -> str:
    for label in "ab":
        (folder / "photos" / label).mkdir(parents=True)
        os.mkfifo(folder / "photos" / label / "1.jpg")
        os.mkfifo(folder / "photos" / label / "photo")
    return str(folder / "photos")


def _circle(folder: Path) -> str:
    (folder / "photos" / "a").mkdir(parents=True)
    (folder / "photos" / "a" / "again").symlink_to(folder / "photos")
    (folder / "photos" / "a" / "self").symlink_to("self")
    return str(folder / "photos")


CASES = [
    *(_list(name, text, words) for name, (text, words) in TEXTS.items()),
    *(_archived(path) for path in ("../../x.jpg", "/etc/passwd", "C:\\x.jpg", "\\\\server\\x.jpg", "a/../../x.jpg")),
    Case("list of 300 MB", ("more than 200,000,000 bytes",), _huge),
    Case("list of two million lines", ("more than 2,000,000 lines",), _many_rows),
    Case("folder of pipes named as photos", ("no photos", "no class"), _pipes),
    Case("folder that holds itself", ("no photos", "one class", "no class"), _circle),
    Case("no data", ("no data given",), lambda _: " "),
    Case("address", ("not read over the network",), lambda _: "https://example.com/photos.zip"),
    Case("file address", ("not read over the network",), lambda _: "file:///etc/passwd"),
    Case("name without end", ("no such file",), lambda folder: str(folder / ("a" * 9_000))),
    of_bytes("file of no kind", b"hello", "none of what is read", file="x.dat"),
]


def give(given: str) -> str:
    """Give a list or a folder to the program."""
    from fireweed.data.sources import open_data

    cache = Path(given).parent / "cache" if "/" in given and "://" not in given else None
    return f"read as {len(open_data(given, cache=cache))} photos"
