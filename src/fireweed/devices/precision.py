"""In which precision a device computes: what it has units for, and what the net gains from them."""

from typing import Literal, cast

from fireweed.devices.machine import Found

Precision = Literal["float32", "mixed_bfloat16", "mixed_float16"]
FOR_BF16 = (
    "faster for nets of wide 1x1 convolutions, such as xception, and slower for those that the "
    "compiled kernels do in float32, such as squeezenet; `fireweed bench` tells"
)


def choose_precision(found: Found, asked: str, is_wide: bool) -> tuple[Precision, str, tuple[str, ...]]:
    """Return the precision, why, and what a user should be told of one that was asked for.

    asked:   "auto" or a precision.
    is_wide: whether the net does most of its work in wide 1x1 convolutions: on CPUs they alone gain from bfloat16.
    """
    if asked != "auto":
        return cast(Precision, asked), "it was asked for", _warning(asked, found, is_wide)
    return *_fastest(found, is_wide), ()


def _fastest(found: Found, is_wide: bool) -> tuple[Precision, str]:
    capability = found.capability or (0, 0)
    level = f"compute capability {capability[0]}.{capability[1]}"
    if found.kind == "tpu":
        return "mixed_bfloat16", "TPUs multiply in bfloat16"
    if found.kind == "gpu" and found.capability is None:
        return "float32", "the GPU's compute capability is not known"
    if found.kind == "gpu" and capability >= (8, 0):
        return "mixed_bfloat16", f"the GPU ({level}) has units for bfloat16"
    if found.kind == "gpu" and capability >= (7, 0):
        return "mixed_float16", f"the GPU ({level}) has units for float16, none for bfloat16"
    if found.kind == "gpu":
        return "float32", f"the GPU ({level}) has no units for half precision"
    if "BF16" not in found.features:
        return "float32", "half precision does not make this CPU faster"
    if is_wide:
        return "mixed_bfloat16", "this CPU has units for bfloat16, and the net's wide 1x1 convolutions gain from them"
    return "float32", f"on this CPU mixed_bfloat16 is {FOR_BF16}"


def _warning(precision: str, found: Found, is_wide: bool) -> tuple[str, ...]:
    """Return what a precision costs on a device that was not made for it."""
    if precision == "mixed_float16" and found.kind == "cpu":
        # https://github.com/tensorflow/tensorflow/issues/45441: 187 s in place of 3 s
        return ("mixed_float16 on a CPU: expect steps 4 to 60 times as long as with float32; take float32",)
    if precision == "mixed_bfloat16" and "BF16" in found.features:
        return () if is_wide else (f"mixed_bfloat16 on this CPU is {FOR_BF16}",)
    if precision == "mixed_bfloat16" and found.kind == "cpu":
        return ("mixed_bfloat16 on a CPU: expect steps as long as with float32, or several times that; take float32",)
    if precision == "mixed_float16" and found.kind == "tpu":
        return ("mixed_float16 on a TPU: TPUs multiply in bfloat16, float16 only costs range; take mixed_bfloat16",)
    if precision == "mixed_bfloat16" and found.capability and found.capability < (8, 0):
        return ("mixed_bfloat16 on this GPU: it has no units for it; expect it slower than float32",)
    return ()
