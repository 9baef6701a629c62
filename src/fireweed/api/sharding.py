"""`fireweed shards`: photos to TFRecord shards."""

from pathlib import Path
from typing import cast, get_args

from fireweed.api.preparing import prepare_data
from fireweed.data.decode import Fit
from fireweed.errors import DataError, nearest
from fireweed.reporting import Reporter
from fireweed.settings import DataSettings


def make_shards(data: str, out: str, side_px: int, count: int, fit: str, quality: int, reporter: Reporter) -> None:
    """Read, split and write photos as shards in the new folder `out`; each photo is read and decoded once."""
    from fireweed.data.jpegs import JpegSquares
    from fireweed.data.shards import check_out_folder, write_shards

    if fit not in get_args(Fit):
        raise DataError(f"unknown fit '{fit}'; {nearest(fit, get_args(Fit))}")
    folder = Path(out).absolute()
    check_out_folder(Path(out))
    kind = cast(Fit, fit)
    on_its_disk = next(place for place in folder.parents if place.is_dir())
    with JpegSquares(side_px, kind, quality, on_its_disk) as squares:
        prepared = prepare_data(data, DataSettings(), reporter, squares)
        with reporter.counting("writing shards") as progress:
            summary = write_shards(prepared.catalog, folder, side_px, count, kind, quality, progress, squares)
    reporter.say(str(summary))
