"""The sections of a recipe: frozen tables, each setting with its type, bounds and default."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

MOST_EPOCHS = 100_000  # that a phase, and a training, can have

Fit = Literal["crop", "pad", "squash"]
Compile = Literal["auto", "xla", "none"]
Precision = Literal["auto", "float32", "mixed_bfloat16", "mixed_float16"]


class Table(BaseModel):
    """A section of a recipe: frozen, with no key that is not written here."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class DataSettings(Table):
    """How the photos are split and made square.

    photos_per_class: training photos of each class that are used at most; 0 is all. To learn what fewer photos give.
    margin:           side of the cached training photo over the largest side trained on.
    """

    validation: float = Field(0.19, ge=0.01, le=0.8)
    test: float = Field(0.10, ge=0.0, le=0.8)
    fit: Fit = "crop"
    margin: float = Field(1.0, ge=1.0, le=2.0)
    photos_per_class: int = Field(0, ge=0)

    @model_validator(mode="after")
    def _leaves_training(self) -> "DataSettings":
        if self.validation + self.test > 0.9:
            raise ValueError("validation and test together must leave at least a tenth for training")
        return self


class ModelSettings(Table):
    """Which net, and from which weights.

    freeze: what of a pretrained net stays as it is: true for all before its classifier, or the name of the last layer
            that does; what is behind that layer then learns, from the net's own weights on.
    """

    name: str = Field("squeezenet", max_length=4_000)
    weights: str = Field("none", max_length=4_000)
    freeze: bool | Annotated[str, Field(min_length=1)] = False
    dropout: float = Field(0.0, ge=0.0, lt=1.0)


class AugmentSettings(Table):
    """What is varied at random in the training photos. Ranges are factors; 0 or an empty range is off."""

    flip: bool = True
    saturation: tuple[float, float] = (1.0, 1.0)
    brightness: float = Field(0.0, ge=0.0, le=1.0)
    contrast: float = Field(0.0, ge=0.0, le=1.0)
    crop: tuple[float, float] = (1.0, 1.0)
    cutout: float = Field(0.0, ge=0.0, lt=1.0)
    mixup: float = Field(0.0, ge=0.0)
    cutmix: float = Field(0.0, ge=0.0)

    @field_validator("saturation")
    @classmethod
    def _factors(cls, value: tuple[float, float]) -> tuple[float, float]:
        if not 0 <= value[0] <= value[1] <= 10:
            raise ValueError("must be two factors, low then high, from 0 to 10")
        return value

    @field_validator("crop")
    @classmethod
    def _areas(cls, value: tuple[float, float]) -> tuple[float, float]:
        if not 0 < value[0] <= value[1] <= 1:
            raise ValueError("must be two shares of the area, low then high, above 0 and at most 1")
        return value

    @classmethod
    def off(cls) -> "AugmentSettings":
        return cls(flip=False)


class ScheduleSettings(Table):
    """The learning rate over the training; see `training/schedules.py` for what each kind does."""

    kind: Literal["constant", "ramp-sustain-decay", "cosine", "one-cycle"] = "cosine"
    peak: float = Field(1e-3, gt=0, le=100)
    start: float = Field(1e-5, ge=0)
    floor: float = Field(0.0, ge=0)
    ramp_epochs: int = Field(5, ge=0)
    sustain_epochs: int = Field(0, ge=0)
    decay: float = Field(0.8, gt=0, le=1)
    warmup: float = Field(0.1, ge=0, lt=1)


class Phase(Table):
    """Some epochs at one side."""

    side: int = Field(ge=8, le=2048)
    epochs: int = Field(ge=1, le=MOST_EPOCHS)


class TrainingSettings(Table):
    """The optimizer and how long it works.

    phases:   epochs and side of each; `epochs` scales them to so many in all, `side` replaces them by one phase.
    evaluation_scale: side of validation, prediction and the bundle over the last phase's. Random crops make what a
              photo shows larger in training, so that a somewhat larger side fits the net better (Touvron et al. 2019,
              https://arxiv.org/abs/1906.06423). Nets that flatten have one side only and leave it out.
    batch:    0 lets the number of photos decide.
    steps_at_least, steps_at_most: with neither `epochs` given, phases are scaled so that small sets
              get enough steps and large ones not too many; 0 is off.
    average:  decay of the moving average of the weights, updated every `average_every` steps; 0 is off.
    backbone_rates: shares of the learning rate with which the net's first and last layer before the classifier learn,
              geometric by depth between; the classifier learns with all of it. What a pretrained backbone knows is then
              changed the less the more general it is (Howard and Ruder 2018, https://arxiv.org/abs/1801.06146).
    momentum: of sgd and lars; adam, adamw and lamb have moments of their own, muon keeps 0.95.
    norms:    of which photos a norm takes its statistics where several devices share a batch: "global", of the whole
              batch, as on one device; "replica", of each device's share, which TensorFlow can and is somewhat faster.
    norm_photos: training photos, as evaluation has them, from which the norm statistics of the weights that are kept
              are computed anew at the end; 0 keeps those that training gave. So do frozen norms, and an epoch that was
              picked on validation (keep = "best"), whose accuracy is then that of the very net that is kept. See
              `training/norms.py`.
    keep:     "final" keeps the last averaged weights; "best" those of the best validation accuracy.
    patience: stop after so many epochs without a better validation accuracy; 0 is off; implies keep = "best".
    retries:  times that a training whose loss is not a number goes back to its last checkpoint and on at half the
              learning rate, before it is given up.
    chance_epochs: stop after so many epochs in which nothing was learned: accuracies at chance, a loss that stays; 0 is
              off.
    views:    for a frozen net: epochs' worth of changed photos in each phase whose features the backbone computes; they
              serve the later epochs in another order. 0: every epoch has its own. With a time (--minutes) as many as
              fit, at most those of --set.
    compile:  whether XLA compiles the steps; "auto" goes by measurement, see `training/choices.py`.
    """

    phases: tuple[Phase, ...] = (Phase(side=96, epochs=10),)
    epochs: int | None = Field(None, ge=1, le=MOST_EPOCHS)
    side: int | None = Field(None, ge=8, le=2048)
    evaluation_scale: float = Field(1.0, ge=0.5, le=2.0)
    batch: int = Field(0, ge=0, le=65_536)
    steps_at_least: int = Field(0, ge=0)
    steps_at_most: int = Field(0, ge=0)
    optimizer: Literal["adam", "adamw", "lamb", "lars", "muon", "sgd"] = "adam"
    weight_decay: float = Field(0.0, ge=0, le=1)
    backbone_rates: tuple[float, float] = (1.0, 1.0)
    momentum: float = Field(0.9, ge=0, lt=1)
    clip_norm: float = Field(0.0, ge=0)
    label_smoothing: float = Field(0.0, ge=0, lt=1)
    class_weights: Literal["auto", "none", "balanced"] = "auto"
    average: float = Field(0.0, ge=0, lt=1)
    average_every: int = Field(4, ge=1)
    norms: Literal["global", "replica"] = "global"
    norm_photos: int = Field(0, ge=0)
    keep: Literal["final", "best"] = "final"
    patience: int = Field(0, ge=0)
    retries: int = Field(0, ge=0, le=10)
    chance_epochs: int = Field(15, ge=0)
    views: int = Field(0, ge=0, le=100_000)
    precision: Precision = "auto"
    compile: Compile = "auto"
    seed: int = Field(0, ge=0, lt=2**32)
    schedule: ScheduleSettings = ScheduleSettings()

    @field_validator("backbone_rates")
    @classmethod
    def _shares(cls, value: tuple[float, float]) -> tuple[float, float]:
        if not all(0 < share <= 1 for share in value):
            raise ValueError(
                "must be two shares of the learning rate, of the first and of the last layer, above 0 and at most 1"
            )
        return value

    @field_validator("phases")
    @classmethod
    def _some(cls, value: tuple[Phase, ...]) -> tuple[Phase, ...]:
        if not 1 <= len(value) <= 50:
            raise ValueError("must hold 1 to 50 phases")
        return value
