"""Features on disk: read as they were written, and what is missing, damaged or of another kind is known."""

import numpy as np
import psutil
import pytest

from fireweed.data.feature_file import FeatureFile
from fireweed.errors import FireweedError

ROWS = np.random.default_rng(0).normal(size=(3, 4, 5)).astype(np.float32)


def written(path, kind="net"):
    file = FeatureFile(path, kind, photos=10, batch=4, shape=(5,))
    for number in file.missing():
        file.write(number, ROWS[number])
    return file


def test_rows_come_back_as_they_were_written(tmp_path):
    file = written(tmp_path / "features.bin")
    assert file.missing() == [] and file.blocks == 3
    places = np.array([9, 0, 5, 5, 11])
    assert np.array_equal(file.read(places), ROWS.reshape(12, 5)[places])
    again = FeatureFile(tmp_path / "features.bin", "net", 10, 4, (5,))
    assert again.missing() == [] and np.array_equal(again.read(places), ROWS.reshape(12, 5)[places])


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_maps_in_half_precision_take_half_the_disk_and_come_back_as_they_were(tmp_path, dtype):
    maps = np.random.default_rng(1).integers(-128, 128, (2, 3, 2, 2, 5)).astype(np.float32) / 16
    file = FeatureFile(tmp_path / "features.bin", "net", 6, 3, (2, 2, 5), dtype)
    for number in file.missing():
        file.write(number, maps[number])
    assert file.missing() == [] and file.block_bytes == 4 + 3 * 20 * 2
    assert np.array_equal(file.read(np.array([4, 0])), maps.reshape(6, 2, 2, 5)[[4, 0]])


def test_a_stopped_writer_goes_on_with_what_is_missing(tmp_path):
    file = FeatureFile(tmp_path / "features.bin", "net", 10, 4, (5,))
    assert file.missing() == [0, 1, 2]
    file.write(1, ROWS[1])
    assert FeatureFile(tmp_path / "features.bin", "net", 10, 4, (5,)).missing() == [0, 2]


@pytest.mark.parametrize("place", [0, 50, 84, 130, -1])
def test_only_a_damaged_block_is_missing(tmp_path, place):
    path = tmp_path / "features.bin"
    written(path)
    data = bytearray(path.read_bytes())
    data[place] ^= 1
    path.write_bytes(data)
    assert FeatureFile(path, "net", 10, 4, (5,)).missing() == [place % len(data) // 84]


def test_blocks_in_each_others_places_cut_files_and_other_kinds_are_missing(tmp_path):
    path = tmp_path / "features.bin"
    written(path)
    data = path.read_bytes()
    path.write_bytes(data[84:168] + data[:84] + data[168:])
    assert FeatureFile(path, "net", 10, 4, (5,)).missing() == [0, 1]
    path.write_bytes(data[:-1])
    assert FeatureFile(path, "net", 10, 4, (5,)).missing() == [0, 1, 2]
    written(path)
    assert FeatureFile(path, "another net", 10, 4, (5,)).missing() == [0, 1, 2]


def test_a_folder_that_cannot_be_written_is_told_in_one_line(tmp_path):
    (tmp_path / "features.bin").mkdir()
    with pytest.raises(FireweedError, match=r"features\.bin could not be written"):
        FeatureFile(tmp_path / "features.bin", "net", 10, 4, (5,))


def test_any_number_of_files_is_read_with_none_kept_open(tmp_path):
    files = [written(tmp_path / f"{number}.bin") for number in range(20)]
    before = psutil.Process().num_fds()
    rows = [file.read(np.array([number % 12])) for number, file in enumerate(files)]
    assert psutil.Process().num_fds() == before
    assert all(np.array_equal(row[0], ROWS.reshape(12, 5)[number % 12]) for number, row in enumerate(rows))
