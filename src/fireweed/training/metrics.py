"""What is counted while a net trains."""

from typing import Any

import keras


class PhotoAccuracy(keras.metrics.CategoricalAccuracy):
    """The share of photos whose most probable class is the true one.

    Sample weights hold the class weights, which are meant for the loss; here a photo counts once whatever its weight,
    and not at all at weight 0, which marks the places that fill up a last batch.
    """

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> Any:
        """Count a batch: targets and probabilities (batch, classes), weights (batch,)."""
        counts = None if sample_weight is None else keras.ops.cast(sample_weight > 0, "float32")
        return super().update_state(y_true, y_pred, counts)
