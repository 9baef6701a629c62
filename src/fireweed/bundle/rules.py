"""The allow-list: which layers, functions and settings the config of a bundle's net may name.

Keras makes objects from names in config.json, so a config from a stranger is a program. Here every object is known by
its (module, class name, registered name), every setting of it by name and value; what is not listed is refused before
Keras sees it. `config` walks a config by these rules.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

MAX_UNITS = 1 << 20  # of one layer; a net's parameters are bounded in `shapes`

Identity = tuple[str | None, str, str | None]


@dataclass(frozen=True)
class Rule:
    """What one setting may be."""

    expected: str
    holds: Callable[[Any], bool]


def is_whole(value: Any, low: int, high: int) -> bool:
    """Say whether `value` is an int (no bool) from `low` to `high`."""
    return isinstance(value, int) and not isinstance(value, bool) and low <= value <= high


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < 1e12  # so NaN fails too


def are_all(value: Any, holds: Callable[[Any], bool], at_least: int, at_most: int) -> bool:
    return isinstance(value, list) and at_least <= len(value) <= at_most and all(map(holds, value))


def _whole(low: int, high: int) -> Rule:
    return Rule(f"a whole number within {low}..{high}", lambda value: is_whole(value, low, high))


def _pair(low: int, high: int) -> Rule:
    holds: Callable[[Any], bool] = lambda value: are_all(value, lambda item: is_whole(item, low, high), 2, 2)  # noqa: E731
    return Rule(f"two whole numbers within {low}..{high}", holds)


def _one_of(*words: str) -> Rule:
    return Rule("one of " + ", ".join(words), lambda value: isinstance(value, str) and value in words)


def _or_null(rule: Rule) -> Rule:
    return Rule(f"null or {rule.expected}", lambda value: value is None or rule.holds(value))


def is_shape(value: Any) -> bool:
    return are_all(value, lambda item: item is None or is_whole(item, 1, MAX_UNITS), 1, 6)


def _is_numbers(value: Any) -> bool:
    """A number, or lists of numbers up to four deep (Normalization keeps its mean that way)."""
    for _ in range(4):
        if isinstance(value, list) and len(value) == 1 and isinstance(value[0], list):
            value = value[0]
    return _is_number(value) or are_all(value, _is_number, 1, 4096)


NAME = Rule("letters, digits, _, . and -, at most 200", lambda v: isinstance(v, str) and _is_name(v))
BOOL = Rule("true or false", lambda value: isinstance(value, bool))
FALSE = Rule("false", lambda value: value is False)
NULL = Rule("null", lambda value: value is None)
NUMBER = Rule("a finite number", _is_number)
FRACTION = Rule("a number within 0..1", lambda value: _is_number(value) and 0 <= value <= 1)
NUMBERS = Rule("a number or a list of numbers", _is_numbers)
UNITS = _whole(1, MAX_UNITS)
WINDOW = _pair(1, 4096)
PADDING = _one_of("same", "valid")
CHANNELS_LAST = _one_of("channels_last")
LAST_AXIS = Rule("the last axis", lambda value: value in (-1, 3, [-1], [3]) and not isinstance(value, bool))
SEED = Rule("null or a whole number", lambda value: value is None or is_whole(value, -(1 << 63), 1 << 63))
FLOAT_TYPES = ("float32", "float16", "bfloat16")
POLICIES = ("float32", "mixed_float16", "mixed_bfloat16")  # the variables are float32 under each
ACTIVATIONS = (
    "linear", "relu", "relu6", "leaky_relu", "elu", "selu", "gelu", "silu", "swish", "mish", "hard_silu", "hard_swish",
    "sigmoid", "hard_sigmoid", "tanh", "softplus", "softmax",
)  # fmt: skip
_SCALING = {"seed": SEED, "input_axes": NULL, "output_axes": NULL}
INITIALIZERS: dict[str, dict[str, Rule]] = {
    "Zeros": {},
    "Ones": {},
    "Constant": {"value": NUMBER},
    "RandomNormal": {"mean": NUMBER, "stddev": NUMBER, "seed": SEED},
    "RandomUniform": {"minval": NUMBER, "maxval": NUMBER, "seed": SEED},
    "TruncatedNormal": {"mean": NUMBER, "stddev": NUMBER, "seed": SEED},
    "VarianceScaling": {
        "scale": NUMBER,
        "mode": _one_of("fan_in", "fan_out", "fan_avg"),
        "distribution": _one_of("truncated_normal", "untruncated_normal", "uniform"),
        **_SCALING,
    },
    **dict.fromkeys(
        ("GlorotUniform", "GlorotNormal", "HeNormal", "HeUniform", "LecunNormal", "LecunUniform"), _SCALING
    ),
}


def _is_name(text: str) -> bool:
    return len(text) <= 200 and re.fullmatch(r"\w[\w.-]*", text) is not None


def _is_object(value: Any, module: str, config_holds: Callable[[str, Any], bool]) -> bool:
    """Say whether `value` is a serialized Keras object of `module` whose config holds."""
    return (
        isinstance(value, dict)
        and value.keys() <= {"module", "class_name", "config", "registered_name", "shared_object_id"}
        and value.get("module") == module
        and value.get("registered_name") is None
        and isinstance(value.get("class_name"), str)
        and ("shared_object_id" not in value or is_whole(value["shared_object_id"], 0, 1 << 63))
        and config_holds(value["class_name"], value.get("config"))
    )


def _is_policy(value: Any) -> bool:
    if isinstance(value, str):
        return value in POLICIES
    return _is_object(
        value,
        "keras",
        lambda kind, config: (
            kind == "DTypePolicy"
            and isinstance(config, dict)
            and config.keys() == {"name"}
            and isinstance(config["name"], str)
            and config["name"] in POLICIES
        ),
    )


def _is_initializer(value: Any) -> bool:
    return _is_object(
        value,
        "keras.initializers",
        lambda kind, config: (
            kind in INITIALIZERS
            and isinstance(config, dict)
            and all(key in INITIALIZERS[kind] and INITIALIZERS[kind][key].holds(item) for key, item in config.items())
        ),
    )


POLICY = Rule("a dtype policy among " + ", ".join(POLICIES), _is_policy)
INITIALIZER = Rule("one of Keras's plain initializers", _is_initializer)
ACTIVATION = Rule("a known activation: " + ", ".join(ACTIVATIONS), lambda v: isinstance(v, str) and v in ACTIVATIONS)
SHAPE = Rule("a shape", is_shape)


def _weight(*names: str) -> dict[str, Rule]:
    rules: dict[str, Rule] = {}
    for name in names:
        rules |= {f"{name}_initializer": INITIALIZER, f"{name}_regularizer": NULL, f"{name}_constraint": NULL}
    return rules


_COMMON = {"name": NAME, "trainable": BOOL, "dtype": POLICY}
_WINDOWED = {**_COMMON, "strides": WINDOW, "padding": PADDING, "data_format": CHANNELS_LAST}
_CONVOLUTION = {
    **_WINDOWED, "kernel_size": WINDOW, "dilation_rate": WINDOW, "activation": ACTIVATION, "use_bias": BOOL,
    "activity_regularizer": NULL, **_weight("bias"),
}  # fmt: skip
_POOLING = {**_WINDOWED, "pool_size": WINDOW}
_GLOBAL_POOLING = {**_COMMON, "data_format": CHANNELS_LAST, "keepdims": BOOL}
_NORM = {**_COMMON, "axis": LAST_AXIS, "epsilon": NUMBER, "center": BOOL, "scale": BOOL, **_weight("beta", "gamma")}
_LAYERS: dict[str, dict[str, Rule]] = {
    "InputLayer": {
        "name": NAME, "batch_shape": SHAPE, "dtype": _one_of(*FLOAT_TYPES, "uint8"),
        "sparse": FALSE, "ragged": FALSE, "optional": FALSE,
    },
    "Conv2D": {**_CONVOLUTION, "filters": UNITS, "groups": UNITS, **_weight("kernel")},
    "DepthwiseConv2D": {**_CONVOLUTION, "depth_multiplier": UNITS, **_weight("depthwise")},
    "SeparableConv2D": {
        **_CONVOLUTION, "filters": UNITS, "depth_multiplier": UNITS, **_weight("depthwise", "pointwise"),
    },
    "Dense": {
        **_COMMON, "units": UNITS, "activation": ACTIVATION, "use_bias": BOOL, "activity_regularizer": NULL,
        "quantization_config": NULL, **_weight("kernel", "bias"),
    },
    "BatchNormalization": {
        **_NORM, "momentum": FRACTION, "synchronized": BOOL, "renorm": FALSE, "renorm_clipping": NULL,
        "renorm_momentum": FRACTION, "moving_mean_initializer": INITIALIZER, "moving_variance_initializer": INITIALIZER,
    },
    "LayerNormalization": {**_NORM, "rms_scaling": FALSE},
    "Normalization": {
        **_COMMON, "axis": LAST_AXIS, "mean": _or_null(NUMBERS), "variance": _or_null(NUMBERS), "invert": BOOL,
    },
    "Rescaling": {**_COMMON, "scale": NUMBERS, "offset": NUMBERS},
    "Activation": {**_COMMON, "activation": ACTIVATION},
    "ReLU": {**_COMMON, "max_value": _or_null(NUMBER), "negative_slope": NUMBER, "threshold": NUMBER},
    "Softmax": {**_COMMON, "axis": LAST_AXIS},
    "Dropout": {**_COMMON, "rate": FRACTION, "seed": SEED, "noise_shape": _or_null(SHAPE)},
    "SpatialDropout2D": {**_COMMON, "rate": FRACTION, "seed": SEED, "data_format": CHANNELS_LAST},
    "MaxPooling2D": _POOLING,
    "AveragePooling2D": _POOLING,
    "GlobalAveragePooling2D": _GLOBAL_POOLING,
    "GlobalMaxPooling2D": _GLOBAL_POOLING,
    "ZeroPadding2D": {
        **_COMMON, "data_format": CHANNELS_LAST,
        "padding": Rule("two pairs within 0..4096", lambda v: are_all(v, _pair(0, 4096).holds, 2, 2)),
    },
    "Flatten": {**_COMMON, "data_format": CHANNELS_LAST},
    "Reshape": {
        **_COMMON,
        "target_shape": Rule("a shape", lambda v: are_all(v, lambda i: i == -1 or is_whole(i, 1, 1 << 30), 1, 5)),
    },
    "Add": _COMMON,
    "Multiply": _COMMON,
    "Concatenate": {**_COMMON, "axis": LAST_AXIS},
}  # fmt: skip
FUNCTIONAL: Identity = ("keras.src.models.functional", "Functional", "Functional")
SEQUENTIAL: Identity = ("keras", "Sequential", None)
ALLOWED: dict[Identity, dict[str, Rule]] = {
    **{("keras.layers", kind, None): rules for kind, rules in _LAYERS.items()},
    # Keras's ConvNeXt is built with these two, which have no public name.
    ("keras.src.applications.convnext", "LayerScale", "LayerScale"): {
        **_COMMON, "init_values": NUMBER, "projection_dim": UNITS,
    },
    ("keras.src.ops.numpy", "Add", "Add"): {"name": NAME},
    FUNCTIONAL: {"name": NAME, "trainable": BOOL, "dtype": POLICY},
    SEQUENTIAL: {"name": NAME, "trainable": BOOL, "dtype": POLICY, "build_input_shape": _or_null(SHAPE)},
}  # fmt: skip
