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

    validation: share of the photos, twins together, that the training is judged by and never learns from.
    test:       share that is kept aside until `fireweed evaluate --part test`.
    fit:        how a photo becomes a square: "crop" takes its middle, "pad" adds white, "squash" scales sides unlike.
    photos_per_class: training photos of each class that are used at most; 0 is all. To learn what fewer photos give.
    margin:     side of the cached training photo over the largest side trained on.
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

    name:    a net that `fireweed models` lists, or a net as a line of text.
    weights: "none" for random ones, "imagenet", or a weight file, bundle or run to start from.
    freeze:  what of a pretrained net stays as it is: true for all before its classifier, or the name of the last layer
             that does; what is behind that layer then learns, from the net's own weights on.
    dropout: share of the numbers before the classifier that each training step leaves out; 0 is off.
    """

    name: str = Field("squeezenet", max_length=4_000)
    weights: str = Field("none", max_length=4_000)
    freeze: bool | Annotated[str, Field(min_length=1)] = False
    dropout: float = Field(0.0, ge=0.0, lt=1.0)


class AugmentSettings(Table):
    """What is varied at random in the training photos. Ranges are factors; 0 or an empty range is off.

    flip:       mirror the photo, left to right, in every other epoch.
    saturation: lowest and highest factor of the colours' saturation, from 0 (grey) to 10.
    brightness: largest shift up or down, as a fraction of 255.
    contrast:   largest change up or down of the factor 1.
    crop:       smallest and largest share of the photo's area that is cut out and shown, above 0 and at most 1.
    cutout:     side of a square that is hidden under grey, as a fraction of the photo's side.
    mixup:      alpha of the Beta distribution from which a photo's share is drawn when it is blended with another.
    cutmix:     the same where a rectangle of the other photo is pasted in; with both, a fair coin decides.

    A frozen net's features are mixed in place of the photos, anew in every epoch.
    """

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
    """The learning rate over the training; see `training/schedules.py` for what each kind does.

    kind:           "constant"; "ramp-sustain-decay" up, held, and down by a factor an epoch; "cosine" or "one-cycle"
                    up, then down in half a cosine or in a line.
    peak:           the highest learning rate.
    start:          the learning rate of the first step; at most the peak.
    floor:          what it falls to.
    ramp_epochs:    epochs from `start` to `peak`, of ramp-sustain-decay.
    sustain_epochs: epochs held at the peak, of ramp-sustain-decay.
    decay:          factor an epoch by which its distance to `floor` shrinks after that, of ramp-sustain-decay.
    warmup:         share of the steps in which it rises from `start` to `peak`, of cosine and one-cycle.
    """

    kind: Literal["constant", "ramp-sustain-decay", "cosine", "one-cycle"] = "cosine"
    peak: float = Field(1e-3, gt=0, le=100)
    start: float = Field(1e-5, ge=0)
    floor: float = Field(0.0, ge=0)
    ramp_epochs: int = Field(5, ge=0)
    sustain_epochs: int = Field(0, ge=0)
    decay: float = Field(0.8, gt=0, le=1)
    warmup: float = Field(0.1, ge=0, lt=1)


class Phase(Table):
    """Some epochs at one side.

    side:   width and height of the squares that the net is given, in pixels.
    epochs: how often it sees the photos at that side.
    """

    side: int = Field(ge=8, le=2048)
    epochs: int = Field(ge=1, le=MOST_EPOCHS)


class TrainingSettings(Table):
    """The optimizer and how long it works.

    phases:   epochs and side of each, 1 to 50 phases one after another.
    epochs:   scales the phases to so many epochs in all.
    side:     replaces the phases by one at this side, in pixels.
    evaluation_scale: side of validation, prediction and the bundle over the last phase's. Random crops make what a
              photo shows larger in training, so that a somewhat larger side fits the net better (Touvron et al. 2019,
              https://arxiv.org/abs/1906.06423). Nets that flatten have one side only and leave it out.
    batch:    photos a step, over all devices; 0 lets the number of photos decide.
    steps_at_least, steps_at_most: with neither `epochs` given, phases are scaled so that small sets
              get enough steps and large ones not too many; 0 is off.
    optimizer: what changes the weights by their gradients.
    weight_decay: how strongly weights are drawn to zero, as the optimizer defines it; norms and biases are not.
    clip_norm: gradients longer than this, all taken together, are shortened to it; 0 is off.
    label_smoothing: share of each label that is spread evenly over all classes.
    class_weights: whether the loss weighs rare classes more: "balanced" does, "none" does not, "auto" does where the
              largest class has three times the photos of the smallest or more.
    average:  decay of the moving average of the weights, updated every `average_every` steps; 0 is off.
    average_every: steps between two updates of that average.
    backbone_rates: shares of the learning rate with which the net's first and last layer before the classifier learn,
              geometric by depth between; the classifier learns with all of it. What a pretrained backbone knows is then
              changed the less the more general it is (Howard and Ruder 2018, https://arxiv.org/abs/1801.06146).
    momentum: of sgd and lars; adam, adamw and lamb have moments of their own, muon keeps 0.95.
    norms:    "frozen": a pretrained net's batch norms keep the statistics and factors that came with its weights. Else
              of which photos they take them where several devices share a batch: "global", of the whole batch, as on
              one device; "replica", of each device's share, which TensorFlow can and is somewhat faster.
    norm_photos: training photos, as evaluation has them, from which the norm statistics of the weights that are kept
              are computed anew at the end; 0 keeps those that training gave. So do frozen norms, and an epoch that was
              picked on validation (keep = "best"), whose accuracy is then that of the very net that is kept. See
              `training/norms.py`.
    keep:     "final" keeps the last averaged weights; "best" those of the best validation accuracy.
    patience: stop after so many epochs without a better validation accuracy, those not counted in which the learning
              rate rises; 0 is off; implies keep = "best".
    retries:  times that a training whose loss is not a number goes back to its last checkpoint and on at half the
              learning rate, before it is given up.
    chance_epochs: stop after so many epochs in which nothing was learned: accuracies at chance, a loss that stays; 0 is
              off.
    views:    for a frozen net: epochs' worth of changed photos in each phase whose features the backbone computes; they
              serve the later epochs in another order. 0: every epoch has its own. With a time (--minutes) as many as
              fit, at most those of --set.
    precision: of the numbers that the net computes with; "auto" is what suits the device.
    seed:     of the first weights, the order of the photos and their augmentation.
    schedule: the learning rate; see [training.schedule].
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
    norms: Literal["global", "replica", "frozen"] = "global"
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

    @property
    def keeps_best(self) -> bool:
        """Whether an epoch is picked by its validation accuracy."""
        return self.keep == "best" or self.patience > 0

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
