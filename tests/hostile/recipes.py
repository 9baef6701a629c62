"""Recipes and one-line nets that are endless, deep, out of bounds, or lead elsewhere."""

from pathlib import Path

from hostile.cases import Case, of_bytes

OUTSIDE = "weights in its own folder only"
TEXTS: dict[str, tuple[str, tuple[str, ...]]] = {
    "no TOML": ("[training", ("not valid TOML",)),
    "a key twice": ("name = 'a'\nname = 'b'", ("not valid TOML",)),
    "too long": ("# x\n" * 20_000, ("bytes; at most",)),
    "a list nested without end": ("x = " + "[" * 20_000, ("nested too deeply",)),
    "a table nested without end": ("x = " + "{a = " * 5_000, ("nested too deeply",)),
    "a key of 10,000 parts": (".".join("a" * 10_000) + " = 1", ("more than 40 dots",)),
    "a section of 10,000 parts": ("[" + ".".join("a" * 10_000) + "]", ("more than 40 dots",)),
    "a key of quoted parts": ('"a"' + '."a"' * 5_000 + " = 1", ("more than 40 dots",)),
    "a value deep in a known key": ("model.name" + ".a" * 30 + " = 1", ("nested more than 8",)),
    "lists deep in a known key": (f"model.name = {'[' * 30}{']' * 30}", ("nested more than 8",)),
    "a number of 5,000 digits": ("training.seed = " + "9" * 5_000, ("not valid TOML",)),
    "a number that is none": ("augment.mixup = nan", ("augment.mixup",)),
    "a number without end": ("training.weight_decay = inf", ("training.weight_decay",)),
    "a negative batch": ("training.batch = -1", ("training.batch",)),
    "a batch of billions": ("training.batch = 9_000_000_000", ("training.batch",)),
    "a side of billions": ("training.side = 9_000_000_000", ("training.side",)),
    "epochs of billions": ("training.epochs = 9_000_000_000", ("training.epochs",)),
    "phases without end": (f"training.phases = [{'{side=96,epochs=1},' * 1_400}]", ("training.phases",)),
    "no phases": ("training.phases = []", ("training.phases",)),
    "a shown value without end": (f"training.optimizer = '{'x' * 30_000}'", ("training.optimizer",)),
    "a key without end": (f"{'x' * 30_000} = 1", ("unknown setting",)),
    "a key that moves the terminal": ('"\\u001b[2J" = 1', ("unknown setting",)),
    "an unknown section": ("[hooks]\nrun = 'rm'", ("unknown setting 'hooks'",)),
    "a section that is a number": ("model = 1", ("setting 'model'",)),
    "a run's recipe that is a number": ("asked = 1", ("'asked' is 1",)),
    "a run's recipe that is a list": ("asked = [1]", ("'asked' is [1]",)),
    "a name that leads out of the runs' folder": ("name = '../../outside'", ("setting 'name'",)),
    "a name that is a path": ("name = '/tmp/outside'", ("setting 'name'",)),
    "a name with a line in it": ('name = "a\\nb"', ("setting 'name'",)),
    "a name without end": (f"name = '{'a' * 9_000}'", ("setting 'name'",)),
    "weights by an absolute path": ("model.weights = '/etc/passwd'", (OUTSIDE,)),
    "weights above its folder": ("model.weights = '../secret.h5'", (OUTSIDE,)),
    "weights above its folder, hidden": ("model.weights = 'a/../../secret.h5'", (OUTSIDE,)),
    "weights on another machine": ("model.weights = '\\\\server\\share\\w.h5'", (OUTSIDE,)),
    "weights that are its folder": ("model.weights = '.'", (OUTSIDE,)),
    "weights with a NUL": ('model.weights = "a\\u0000b"', (OUTSIDE,)),
    "weights through a link": ("model.weights = 'link/secret.h5'", (OUTSIDE,)),
    "weights without end": (f"model.weights = '{'a' * 9_000}'", ("model.weights", OUTSIDE)),
    "a type that cannot be": ("augment.flip = 'perhaps'", ("augment.flip",)),
    "a date": ("training.seed = 2020-01-01", ("training.seed",)),
}
LINES = {
    "without end": "conv 32 | " * 2_000 + "gap",
    "of millions of blocks": "conv 32 x 9999999 | gap",
    "of too many blocks": "conv 8 x 200 | conv 8 x 200 | gap",
    "of billions of filters": "conv 9999999999 | gap",
    "of digits without end": "conv " + "9" * 3_000 + " | gap",
    "of other digits": "conv ٣٢ | gap",
    "with a window of thousands": "conv 32 4000 | gap",
    "with a stride of nothing": "conv 32 3 /0 | gap",
    "of empty blocks": "||||",
    "of code": "conv __import__('os') | gap",
    "with a word of its own": "lambda x | gap",
    "that moves the terminal": "conv \x1b[2J | gap",
    "of pools that leave nothing": " | ".join(["pool"] * 40),
    "with a share of NaN": "drop nan | gap",
    "with a negative number": "conv -3 | gap",
    "with the end in its middle": "gap | conv 32",
}


def _text(name: str, text: str, words: tuple[str, ...]) -> Case:
    def make(folder: Path) -> str:
        (folder / "secret.h5").write_bytes(b"secret")
        top = folder / "recipe"
        top.mkdir()
        (top / "link").symlink_to(folder)
        (top / "x.toml").write_text(text, encoding="utf-8")
        return str(top / "x.toml")

    return Case(f"recipe with {name}", words, make)


CASES = [
    *(_text(name, text, words) for name, (text, words) in TEXTS.items()),
    of_bytes("recipe that is not UTF-8", b"\xff\xfe\x00", "not UTF-8", file="x.toml"),
    of_bytes("recipe of zeros", bytes(500), "not valid TOML", file="x.toml"),
    Case("recipe that is a folder", ("no plain file",), lambda folder: str(_made(folder / "x.toml"))),
    Case("recipe that is not there", ("cannot be read",), lambda folder: str(folder / "x.toml")),
    *(Case(f"net {name}", ("net",), lambda _, line=line: line) for name, line in LINES.items()),
]


def _made(folder: Path) -> Path:
    folder.mkdir()
    return folder


def give(given: str) -> str:
    """Give a recipe, or a net as a line, to the program."""
    from fireweed.models.spec import parse_line
    from fireweed.recipe import read_recipe

    if given.endswith(".toml"):
        return f"read as {read_recipe(given).name}"
    return f"read as {parse_line(given)}"
