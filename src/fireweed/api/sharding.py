"""`fireweed shards`: photos to TFRecord shards."""

from pathlib import Path

from fireweed.api.preparing import prepare_data
from fireweed.errors import DataError
from fireweed.recipe import DataSettings
from fireweed.reporting import Reporter


def make_shards(data: str, out: str, side_px: int, count: int, fit: str, quality: int, reporter: Reporter) -> None:
    """Read, split and write photos as shards in the new folder `out`."""
    from fireweed.data.shards import write_shards

    if fit not in ("crop", "pad", "squash"):
        raise DataError(f"unknown fit '{fit}'; there are: crop, pad, squash")
    prepared = prepare_data(data, DataSettings(), reporter)
    with reporter.counting("writing shards") as progress:
        summary = write_shards(prepared.catalog, Path(out), side_px, count, fit=fit, quality=quality, progress=progress)
    reporter.say(str(summary))
