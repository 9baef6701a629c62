"""Walk the config of a bundle's net by the allow-list of `rules`, and give it back as plain layers."""

from dataclasses import dataclass
from typing import Any

from fireweed.bundle.rules import ALLOWED, FLOAT_TYPES, FUNCTIONAL, SEQUENTIAL, Rule, are_all, is_shape
from fireweed.errors import BundleError

MAX_LAYERS = 2_000
_STRUCTURE = ("layers", "input_layers", "output_layers")  # settings of a model that are read apart
_ENVELOPE = {
    "module", "class_name", "config", "registered_name", "build_config", "compile_config", "name", "inbound_nodes",
}  # fmt: skip


@dataclass(frozen=True)
class Layer:
    """One layer of a checked config.

    kind:     Keras's class name.
    settings: its checked config.
    inputs:   names of the layers that feed it, in order; empty for an input and inside a Sequential.
    layers:   its own layers, for a model (Functional or Sequential).
    output:   name of the layer that gives the result, for a Functional.
    built_on: the input shapes that Keras will build it with, if the config states them.
    """

    kind: str
    name: str
    settings: dict[str, Any]
    inputs: tuple[str, ...] = ()
    layers: tuple["Layer", ...] = ()
    output: str = ""
    built_on: Any = None


def checked_net(config: Any) -> Layer:
    """Return the net that a Keras model's config describes, every part of it found on the allow-list.

    Raises:
        BundleError: names the layer and the setting that is not allowed, with its value.
    """
    budget = [MAX_LAYERS]
    net = _layer(config, "the net", budget)
    if net.kind not in ("Functional", "Sequential"):
        raise BundleError(f"the net is a {net.kind}, not a Functional or Sequential model")
    return net


def _layer(data: Any, where: str, budget: list[int]) -> Layer:
    if not isinstance(data, dict) or not isinstance(data.get("config"), dict):
        raise BundleError(f"{where} is not an object with a config")
    name = data["config"].get("name")
    where = f"layer {shortened(name)}" if isinstance(name, str) else where
    budget[0] -= 1
    if budget[0] < 0:
        raise BundleError(f"more than {MAX_LAYERS:,} layers")
    identity = (data.get("module"), data.get("class_name"), data.get("registered_name"))
    if not all(part is None or isinstance(part, str) for part in identity) or identity not in ALLOWED:
        shown = ", ".join(shortened(part) for part in identity)
        raise BundleError(f"{where}: ({shown}) is not on the list of layers that a bundle may hold")
    unknown = [key for key in data if key not in _ENVELOPE]
    if unknown or data.get("compile_config"):
        raise BundleError(f"{where}: {shortened((unknown or ['compile_config'])[0])} is not allowed in a bundle")
    _check_settings(data["config"], ALLOWED[identity], where)
    if data.get("name", name) != name:
        raise BundleError(f"{where} has a second name, {shortened(data['name'])}")
    layers = _layers_of(data["config"], where, budget) if identity in (FUNCTIONAL, SEQUENTIAL) else ()
    return Layer(
        kind=identity[1],
        name=data["config"]["name"],
        settings=data["config"],
        inputs=_inputs(data.get("inbound_nodes", []), where),
        layers=layers,
        output=_output(data["config"], layers, where) if identity == FUNCTIONAL else "",
        built_on=_built_on(data.get("build_config"), where),
    )


def _check_settings(config: dict[str, Any], rules: dict[str, Rule], where: str) -> None:
    if "name" not in config:
        raise BundleError(f"{where} has no name")
    is_model = rules is ALLOWED[FUNCTIONAL] or rules is ALLOWED[SEQUENTIAL]
    for key, value in config.items():
        if is_model and key in _STRUCTURE:
            continue
        # Newer versions of Keras add settings; left at null or false they change nothing.
        rule = rules.get(key, Rule("left out or null", lambda v: v is None or v is False))
        if not rule.holds(value):
            raise BundleError(f"{where}: {shortened(key)} is {shortened(value)}, expected {rule.expected}")


def _layers_of(config: dict[str, Any], where: str, budget: list[int]) -> tuple[Layer, ...]:
    listed = config.get("layers")
    if not isinstance(listed, list) or not listed:
        raise BundleError(f"{where} has no list of layers")
    layers = tuple(_layer(item, f"layer {i} of {where}", budget) for i, item in enumerate(listed))
    names = [layer.name for layer in layers]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise BundleError(f"{where} has two layers called {shortened(twice)}")
    return layers


def _output(config: dict[str, Any], layers: tuple[Layer, ...], where: str) -> str:
    """Check the ends of a Functional: one input, its only InputLayer, and one output. Return the output's name."""
    inputs = [layer.name for layer in layers if layer.kind == "InputLayer"]
    ends = []
    for key in ("input_layers", "output_layers"):
        value = config.get(key)
        value = value[0] if isinstance(value, list) and len(value) == 1 else value
        if not isinstance(value, list) or len(value) != 3 or value[1:] != [0, 0] or not isinstance(value[0], str):
            raise BundleError(f"{where}: {key} is {shortened(config.get(key))}, expected one layer's output")
        ends.append(value[0])
    if inputs != ends[:1]:
        raise BundleError(f"{where} has the input layers {shortened(inputs)}, expected one, used as its input")
    if ends[1] not in [layer.name for layer in layers]:
        raise BundleError(f"{where}: its output {shortened(ends[1])} is no layer of it")
    return ends[1]


def _inputs(nodes: Any, where: str) -> tuple[str, ...]:
    """Return the names of the layers that feed a layer called at most once, with plain arguments."""
    if nodes == []:
        return ()
    if not isinstance(nodes, list) or len(nodes) != 1 or not isinstance(nodes[0], dict):
        raise BundleError(f"{where} is called more than once; a layer of a bundle is used in one place")
    node = nodes[0]
    keywords = node.get("kwargs", {})
    if node.keys() - {"args", "kwargs"} or not isinstance(keywords, dict) or not all(
        (key == "mask" and value is None) or (key == "training" and (value is None or isinstance(value, bool)))
        for key, value in keywords.items()
    ):  # fmt: skip
        raise BundleError(f"{where} is called with {shortened(keywords)}, expected nothing but its inputs")
    arguments = node.get("args")
    if isinstance(arguments, list) and len(arguments) == 1 and isinstance(arguments[0], list):
        arguments = arguments[0]  # layers that merge take a list of tensors as their one argument
    if not isinstance(arguments, list) or not 1 <= len(arguments) <= 64:
        raise BundleError(f"{where} is called on {shortened(arguments)}, expected outputs of other layers")
    return tuple(_tensor_source(argument, where) for argument in arguments)


def _tensor_source(value: Any, where: str) -> str:
    config = value.get("config") if isinstance(value, dict) else None
    if (
        not isinstance(config, dict)
        or value.keys() != {"class_name", "config"}
        or value["class_name"] != "__keras_tensor__"
        or config.keys() != {"shape", "dtype", "keras_history"}
        or not is_shape(config["shape"])
        or config["dtype"] not in (*FLOAT_TYPES, "uint8")
    ):
        raise BundleError(f"{where} is called on {shortened(value)}, expected the output of another layer")
    history = config["keras_history"]
    if not isinstance(history, list) or len(history) != 3 or history[1:] != [0, 0] or not isinstance(history[0], str):
        raise BundleError(f"{where} is called on {shortened(history)}, expected the output of another layer")
    return history[0]


def _built_on(value: Any, where: str) -> Any:
    if value is None:
        return None
    shape = value.get("input_shape") if isinstance(value, dict) and value.keys() == {"input_shape"} else False
    if shape is None or is_shape(shape) or are_all(shape, is_shape, 1, 64):
        return shape
    raise BundleError(f"{where}: build_config is {shortened(value)}, expected an input shape")


def shortened(value: Any) -> str:
    """Return the value as text for an error, on one line, printable, at most 80 characters."""
    text = ascii(value) if not isinstance(value, str) else repr(value)
    return text if len(text) <= 80 else text[:77] + "..."
