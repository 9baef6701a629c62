"""What is measured: every program and setting as one command of its own, on photos that all of them share."""

import json
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from peers.squares import CLASSES

SIDES_PX = (96, 128, 160, 192, 224, 288)
GROWTH = (1, 4, 16)
GROWTH_SIDE_PX = 96
BREADTH = 3  # what shows breadth, and decides no goal, is measured in every third round


@dataclass(frozen=True)
class Setting:
    """One program doing one thing.

    case:      what is done, such as "step squeezenet 192 px batch 32"; programs of one case are compared.
    python:    whose interpreter runs it: "own", "keras" or "torch".
    arguments: of `python`: "-m", module, command, JSON; or anything at all where the whole process is timed.
    memory:    the process's environment: "stock", "engine" (what Fireweed's command line restarts itself with), "kept"
               (malloc gives nothing back).
    is_whole:  the driver times the process from start to end, else the program reports what it timed.
    every:     it is measured in every so many rounds.
    """

    case: str
    program: str
    python: str
    arguments: tuple[str, ...]
    memory: str = "stock"
    is_whole: bool = False
    every: int = 1
    asked: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Amounts:
    """How much is measured: photos of each kind, and how far step counts are cut down."""

    epoch_photos: int = 560
    folder_photos: int = 1000
    xception_photos: int = 300
    growth_photos: int = 400
    warm: int = 2
    timed: int = 5
    is_quick: bool = False

    @classmethod
    def quick(cls) -> "Amounts":
        return cls(64, 96, 32, 40, 1, 2, True)


class Shared:
    """The photos, shards and bundles that the programs share, in a folder of their own."""

    def __init__(self, photos: Path, work: Path, amounts: Amounts) -> None:
        self.photos, self.work = str(photos), work
        self.epoch = self._folder("epoch", amounts.epoch_photos)
        self.growth = {times: self._folder(f"growth-{times}", amounts.growth_photos, times) for times in GROWTH}
        counts = {"squeezenet": amounts.folder_photos, "xception": amounts.xception_photos}
        self.flat = {net: self._flat(f"flat-{net}", count) for net, count in counts.items()}
        self.shards, self.epoch_shards = str(work / "shards"), str(work / "epoch-shards")
        self.bundles = {net: str(work / f"bundle-{net}") for net in ("squeezenet", "xception")}

    def to_prepare(self) -> Iterator[Setting]:
        """Yield the commands that make the shards and bundles, which are not timed."""
        for photos, out, count in ((self.photos, self.shards, 16), (self.epoch, self.epoch_shards, 4)):
            yield _fireweed("prepare", "prepare-shards", photos=photos, out=out, side_px=192, count=count)
        for net, side_px in (("squeezenet", 192), ("xception", 160)):
            yield _fireweed("prepare", "prepare-bundle", net=net, side_px=side_px, out=self.bundles[net])

    def _taken(self, count: int) -> list[Path]:
        """Return `count` photos, as many of each class as of the others, spread over its files."""
        share = count // len(CLASSES)
        taken = []
        for name in CLASSES:
            files = sorted(Path(self.photos, name).glob("*.jpg"))
            taken += [files[i * len(files) // share] for i in range(share)]
        return taken

    def _folder(self, name: str, count: int, times: int = 1) -> str:
        """Make a folder of classes with copies of photos; each `times` over, as links to the first."""
        top = self.work / name
        for path in self._taken(count):
            target = top / path.parent.name / path.name
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, target)
            for i in range(1, times):
                (target.parent / f"{target.stem}-{i}.jpg").symlink_to(target.name)
        return str(top)

    def _flat(self, name: str, count: int) -> str:
        top = self.work / name
        top.mkdir(parents=True, exist_ok=True)
        for path in self._taken(count):
            shutil.copyfile(path, top / f"{path.parent.name}-{path.name}")
        return str(top)


def all_settings(shared: Shared, amounts: Amounts) -> list[Setting]:
    """Return everything that a round may measure, the programs of one case one after the other."""
    return [
        *_steps(shared, amounts),
        *_epochs(shared, amounts),
        *_inputs(shared),
        *_predictions(shared, amounts),
        *_starts(shared),
        *_growth(shared),
    ]


def _steps(shared: Shared, amounts: Amounts) -> Iterator[Setting]:
    for net, side_px, batch, every in (
        ("squeezenet", 192, 32, 1), ("xception", 160, 32, 1), ("squeezenet", 192, 16, 2), ("squeezenet", 192, 64, 2),
        ("xception", 160, 16, BREADTH),
    ):  # fmt: skip
        yield from _step(shared, amounts, net, side_px, batch, every, has_all=True)
    yield from _half_step(shared, amounts)
    for side_px in SIDES_PX:
        if side_px != 192:
            yield from _step(shared, amounts, "squeezenet", side_px, 32, BREADTH, has_all=False)


def _step(
    shared: Shared, amounts: Amounts, net: str, side_px: int, batch: int, every: int, has_all: bool
) -> Iterator[Setting]:
    is_long = net == "xception" or batch == 64
    timed = min(amounts.timed, 3) if is_long else amounts.timed
    asked = {"net": net, "side_px": side_px, "batch": batch, "warm": amounts.warm, "timed": timed,
             "photos": shared.photos}  # fmt: skip
    case = f"step {net} {side_px} px batch {batch}"
    yield _fireweed(case, "step", memory="engine", every=every, **asked)
    yield _setting(case, "stock Keras", "keras", "keras_program", "step", asked, every=every)
    if has_all:
        yield _setting(case, "PyTorch eager", "torch", "torch_program", "step", asked, every=every)
        yield _setting(case, "torch.compile", "torch", "torch_program", "step", {**asked, "is_compiled": True}, "kept",
                       every)  # fmt: skip
        yield _setting(case, "fastai", "torch", "fastai_program", "step", asked, every=every)


def _half_step(shared: Shared, amounts: Amounts) -> Iterator[Setting]:
    """Yield a step in bfloat16, which chips with units for it multiply faster."""
    asked = {"net": "xception", "side_px": 160, "batch": 32, "warm": amounts.warm, "timed": min(amounts.timed, 3),
             "photos": shared.photos, "is_half": True}  # fmt: skip
    case, program = "step xception 160 px bfloat16 batch 32", "torch_program"
    yield _fireweed(case, "step", memory="engine", every=BREADTH, **asked)
    yield _setting(case, "stock Keras", "keras", "keras_program", "step", asked, every=BREADTH)
    yield _setting(case, "PyTorch eager", "torch", program, "step", asked, every=BREADTH)
    yield _setting(case, "torch.compile", "torch", program, "step", {**asked, "is_compiled": True}, "kept", BREADTH)


def _epochs(shared: Shared, amounts: Amounts) -> Iterator[Setting]:
    case = "epoch squeezenet 192 px batch 32"
    asked = {"net": "squeezenet", "side_px": 192, "batch": 32, "warm": max(amounts.warm, 2), "photos": shared.epoch}
    yield _fireweed(case, "epoch", memory="engine", **asked)
    keras = {**asked, "shards": shared.epoch_shards}
    yield _setting(case, "stock Keras", "keras", "keras_program", "epoch", keras, every=BREADTH)
    yield _setting(case, "PyTorch eager", "torch", "torch_program", "epoch", asked, every=BREADTH)
    yield _setting(case, "fastai", "torch", "fastai_program", "epoch", asked, every=BREADTH)


def _inputs(shared: Shared) -> Iterator[Setting]:
    for case, shards in (("input from photos 192 px", ""), ("input from shards 192 px", shared.shards)):
        asked = {"photos": shared.photos, "shards": shards, "side_px": 192, "batch": 32, "passes": 3}
        yield _fireweed(case, "input", memory="engine", **asked)
        yield _setting(case, "tf.data", "keras", "keras_program", "input", asked)
    asked = {"photos": shared.photos, "side_px": 192, "count": 16}
    yield _fireweed("writing shards 192 px", "shards", **asked)
    yield _setting("writing shards 192 px", "tf.data", "keras", "keras_program", "shards", asked)


def _predictions(shared: Shared, amounts: Amounts) -> Iterator[Setting]:
    for net, side_px in (("squeezenet", 192), ("xception", 160)):
        case = f"predict {net} {side_px} px"
        asked = {"bundle": shared.bundles[net], "folder": shared.flat[net], "side_px": side_px,
                 "singles": 3 if amounts.is_quick else 20}  # fmt: skip
        yield _fireweed(case, "predict", **asked)
        yield _setting(case, "stock Keras", "keras", "keras_program", "predict", asked)


def _starts(shared: Shared) -> Iterator[Setting]:
    for option in ("--help", "--version"):
        yield _whole(f"start `fireweed {option}`", "Fireweed", "own", "-m", "fireweed", option)
    yield _whole("start imports", "Fireweed", "own", "-c", "import fireweed")
    yield _whole("start imports", "stock Keras", "keras", "-c", "import tensorflow, keras")
    yield _whole("start imports", "PyTorch eager", "torch", "-c", "import torch, torchvision")
    yield _whole("start imports", "fastai", "torch", "-c", "from fastai.vision.all import Learner")
    case, photo = "start to one answer", str(min(Path(shared.flat["squeezenet"]).iterdir()))
    bundle = shared.bundles["squeezenet"]
    yield _whole(case, "Fireweed", "own", "-m", "fireweed", "predict", bundle, photo)
    asked = {"bundle": bundle, "photo": photo, "side_px": 192}
    yield _whole(case, "stock Keras", "keras", "-m", "peers.keras_program", "answer", json.dumps(asked))


def _growth(shared: Shared) -> Iterator[Setting]:
    one_times = len(list(Path(shared.growth[1]).glob("*/*.jpg"))) * GROWTH_SIDE_PX**2 * 3
    for times, folder in shared.growth.items():
        case = f"growth {times}x photos {GROWTH_SIDE_PX} px"
        asked = {"photos": folder, "shards": "", "side_px": GROWTH_SIDE_PX, "batch": 32, "passes": 2}
        yield _fireweed(case, "input", memory="engine", **asked)
        yield _fireweed(case, "input", program="Fireweed, bounded", memory="engine", memory_bytes=one_times, **asked)
        yield _setting(case, "tf.data", "keras", "keras_program", "input", asked)


def _fireweed(
    case: str, command: str, *, program: str = "Fireweed", memory: str = "stock", every: int = 1, **asked: Any
) -> Setting:
    return _setting(case, program, "own", "fireweed_program", command, asked, memory, every)


def _setting(
    case: str, program: str, python: str, module: str, command: str, asked: dict[str, Any], memory: str = "stock",
    every: int = 1,
) -> Setting:  # fmt: skip
    line = ("-m", f"peers.{module}", command, json.dumps(asked))
    return Setting(case, program, python, line, memory, every=every, asked=asked)


def _whole(case: str, program: str, python: str, *arguments: str) -> Setting:
    return Setting(case, program, python, arguments, is_whole=True)
