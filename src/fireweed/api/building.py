"""Models and batches for one training, made from a resolved recipe."""

import gc
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from fireweed.data.catalog import Catalog
from fireweed.data.pipeline import Batches
from fireweed.data.plan import Plan, evaluation_rows
from fireweed.data.resident import Resident, obstacle
from fireweed.data.squarefile import file_bytes
from fireweed.data.squares import SquareCache
from fireweed.data.store import LIMIT_VARIABLE, open_store
from fireweed.devices.hosts import ALONE, Hosts
from fireweed.errors import DataError, FireweedError, RunError
from fireweed.models.registry import build_model, find_entry
from fireweed.recipe import Recipe
from fireweed.reporting import Reporter
from fireweed.resolving import cached_side, loss_of_chance, planned_changes, share_of_partners

if TYPE_CHECKING:
    import keras

    from fireweed.training.train import TrainingInput

NORM_BATCH = 64  # photos at once, at most, from which norm statistics are computed anew; few classes are all in so many


def seed_everything(seed: int, deterministic: bool, precision: str) -> None:
    """Set Keras's seeds and precision; `deterministic` leaves TensorFlow only operations that repeat exactly."""
    import keras

    from fireweed.training.seeding import set_seeds

    set_seeds(seed)
    keras.mixed_precision.set_dtype_policy(precision)
    if deterministic and keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        tf.config.experimental.enable_op_determinism()


def build_for_training(recipe: Recipe, classes: int, has_checkpoint: bool = False) -> tuple["keras.Model", str]:
    """Return the recipe's net for the sides of all its phases, and a sentence on the weights it starts from.

    has_checkpoint: a checkpoint will replace all weights, so that none need be loaded; that of a frozen net has its
                    head alone.
    """
    from fireweed.training.norms import freeze_norms

    model, loaded = _built(recipe, classes, has_checkpoint)
    if recipe.training.norms == "frozen":
        freeze_norms(model)
    return model, loaded


def _built(recipe: Recipe, classes: int, has_checkpoint: bool) -> tuple["keras.Model", str]:
    side = recipe.evaluation_side if find_entry(recipe.model.name).has_flatten else None
    settings = recipe.model
    if has_checkpoint and not settings.freeze:
        return build_model(settings.name, classes, side, freeze=settings.freeze, dropout=settings.dropout), ""
    if settings.weights in ("none", "imagenet"):
        model = build_model(settings.name, classes, side, weights=settings.weights, freeze=settings.freeze,
                            dropout=settings.dropout)  # fmt: skip
        return model, "" if settings.weights == "none" else f"{settings.name} starts from ImageNet weights"
    from fireweed.bundle import load_weights

    model = build_model(settings.name, classes, side, freeze=settings.freeze, dropout=settings.dropout)
    return model, load_weights(model, Path(settings.weights))


def build_for_keeping(recipe: Recipe, trained: "keras.Model", classes: int) -> "keras.Model":
    """Return a fresh plain net in float32 with the evaluation side and the trained weights."""
    import keras

    settings = recipe.model
    policy = keras.mixed_precision.dtype_policy()
    keras.mixed_precision.set_dtype_policy("float32")
    try:
        model = build_model(settings.name, classes, recipe.evaluation_side, freeze=settings.freeze,
                            dropout=settings.dropout)  # fmt: skip
    finally:
        keras.mixed_precision.set_dtype_policy(policy)
    for ours, theirs in zip(model.weights, trained.weights, strict=True):
        if ours.shape != theirs.shape:
            raise RunError(f"the trained weight {theirs.path} does not fit the net it is to be saved in")
        ours.assign(theirs)
    return model


class TrainingParts:
    """The training and validation photos of a run, cached, planned and ready to be batched.

    class_weights: factor of each class in the loss, or None.

    hosts:         of several hosts each reads and makes its own share of every batch.

    plan: of all epochs. training, validation: the batches of both parts.
    photo_plan: how photos themselves are changed; of a frozen net features are mixed in their place.
    chance: share of the most frequent class among the training photos. chance_loss: see `loss_of_chance`.
    """

    def __init__(
        self, recipe: Recipe, catalog: Catalog, class_weights: Sequence[float] | None, hosts: Hosts = ALONE
    ) -> None:
        training, validation = catalog.part("train"), catalog.part("validation")
        classes = len(catalog.classes)
        settings = recipe.training
        self.validation_labels = validation.labels()
        self._store = open_store()
        self.plan = Plan(
            settings.seed, [photo.key for photo in training.photos], training.labels(), settings.batch,
            planned_changes(recipe.augment), class_weights, hosts.count, hosts.index,
        )  # fmt: skip
        self.photo_plan = self.plan.unmixed() if recipe.model.freeze else self.plan
        own = evaluation_rows(len(validation), settings.batch, hosts.count, hosts.index).index
        self.training_cache = SquareCache(
            training.photos, cached_side(recipe), recipe.data.fit, store=self._store, own=self.plan.own_photos()
        )
        self.validation_cache = SquareCache(
            validation.photos, recipe.evaluation_side, recipe.data.fit, store=self._store, own=np.unique(own)
        )
        self.training = Batches(
            self.training_cache, training.labels(), classes, settings.batch, settings.label_smoothing, hosts
        )
        self.validation = Batches(self.validation_cache, self.validation_labels, classes, settings.batch, hosts=hosts)
        self.photos, self.steps = len(training), self.training.steps
        counts, mixing = training.counts(), share_of_partners(recipe.augment)
        self.chance = max(counts) / len(training)
        self.chance_loss = loss_of_chance(counts, class_weights, settings.label_smoothing, mixing)

    def input(self) -> "TrainingInput":
        """Return the batches as the training takes them."""
        from fireweed.training.train import TrainingInput

        return TrainingInput(
            photos=self.photos,
            steps=self.steps,
            batches=lambda side, first, last: self.training.training(self.plan, side, first, last),
            validation=self.validation.evaluation(),
            failure=self.failure,
            unchanged=self.unchanged,
            made_at=self.training.made_at,
            chance=self.chance,
            chance_loss=self.chance_loss,
            validated=len(self.validation_labels),
        )

    def keep_on_device(self, kind: str, reporter: Reporter) -> None:
        """Put the training photos on the device that trains, where that is asked for and they fit; say so.

        Raises:
            DeviceError: as `resident.obstacle` does.
        """
        if obstacle(self.training_cache, kind, self.plan.hosts):
            return
        with reporter.bar("photos to the device", self.photos) as bar:
            resident = Resident(self.training_cache, self.photo_plan.augment.mixes, bar.update)
        self.training.resident = resident
        reporter.say(f"the {self.photos:,} training photos are on the device ({resident.squares.nbytes / 1e9:.2g} GB)")

    def failure(self) -> FireweedError | None:
        """Return the error that stopped the making of batches, if one did."""
        return self.training.failure or self.validation.failure

    def unchanged(self, number: int) -> Iterator[np.ndarray]:
        """Yield training photos as validation has them, uint8 (batch, side, side, 3); the same ones in every run.

        The batches are as large as one another, but for photos that cannot be read any more: the training is over, and
        can do without them.
        """
        chosen = sorted(self.training_cache.photos, key=lambda photo: photo.key)[:number]
        validation = self.validation_cache
        cache = SquareCache(chosen, validation.side_px, validation.fit, memory_bytes=0, store=self._store)
        try:
            for places in np.array_split(np.arange(len(chosen)), -(-len(chosen) // NORM_BATCH)):
                if squares := _still_readable(cache, places):
                    yield np.stack(squares)
        finally:
            cache.close()

    def cache_notes(self) -> list[str]:
        """Return sentences on where the decoded photos are kept, and whether there is room for all."""
        caches = (self.training_cache, self.validation_cache)
        photos, found = sum(c.asked for c in caches), sum(c.found for c in caches)
        notes = []
        if self.plan.lanes % self.plan.hosts:
            notes.append(
                f"{self.plan.hosts} hosts do not divide the {self.plan.lanes} lanes of the photos, so a host "
                f"needs more photos than its share: {self.training_cache.asked:,} of {self.photos:,}"
            )
        if found:
            notes.append(f"{found:,} of {photos:,} photos need no decoding: an earlier run did it")
        if self._store is not None and found < photos:
            gigabytes = sum(file_bytes(c.asked - c.found, c.side_px) for c in caches) / 1e9
            notes.append(
                f"decoded photos are kept in {self._store.folder} for later runs ({gigabytes:.2g} GB more, at most "
                f"{self._store.most_bytes() / 1e9:.3g} GB in all; {LIMIT_VARIABLE} sets the limit, 0 turns it off)"
                if self._store.may_write
                else "decoded photos are not kept for later runs: another run is writing to "
                f"{self._store.folder}, or it cannot be written"
            )
        for cache in caches:
            if cache.in_memory < cache.asked:
                notes.append(
                    f"memory holds {cache.in_memory:,} of {cache.asked:,} decoded photos; others come from disk "
                    f"as far as {LIMIT_VARIABLE} allows, or are decoded anew in each epoch"
                )
        return notes

    def validation_squares(self) -> list[np.ndarray]:
        """Return the validation photos as the net sees them, each uint8 (side, side, 3)."""
        return self.validation_cache.gather(np.arange(len(self.validation_labels)))

    def close(self) -> None:
        self.training.close()
        self.validation.close()
        self.training_cache.close()
        self.validation_cache.close()
        if self._store is not None:
            self._store.close()
        gc.collect()


def _still_readable(cache: SquareCache, indices: np.ndarray) -> list[np.ndarray]:
    """Return the squares of the photos at `indices` that can be read."""
    try:
        return cache.gather(indices)
    except DataError:
        if len(indices) == 1:
            return []
        return [square for index in indices for square in _still_readable(cache, np.array([index]))]
