"""`fireweed shards`: photos to TFRecord shards."""

from pathlib import Path
from typing import cast, get_args

from fireweed.api.preparing import prepare_data
from fireweed.data.decode import Fit
from fireweed.errors import DataError, nearest
from fireweed.recipe import DataSettings
from fireweed.reporting import Reporter


def make_shards(data: str, out: str, side_px: int, count: int, fit: str, quality: int, reporter: Reporter) -> None:
    """Read, split and write photos as shards in the new folder `out`."""
    from fireweed.data.shards import check_out_folder, write_shards

    if fit not in get_args(Fit):
        raise DataError(f"unknown fit '{fit}'; {nearest(fit, get_args(Fit))}")
    check_out_folder(Path(out))
    prepared = prepare_data(data, DataSettings(), reporter)
    with reporter.counting("writing shards") as progress:
        summary = write_shards(
            prepared.catalog, Path(out), side_px, count, fit=cast(Fit, fit), quality=quality, progress=progress
        )
    reporter.say(str(summary))
