"""What is said of photos before anything is trained on them."""

import io
import shutil

import numpy as np
import pytest
from rich.console import Console

from fireweed.api.preparing import check_trainable, cut_off_note, enlarged_note, prepare_data
from fireweed.data.catalog import Catalog, Photo
from fireweed.errors import DeviceError
from fireweed.reporting import Reporter
from fireweed.settings import DataSettings, Phase
from hosts_in_threads import on_all


def warned(train, validation, names=()):
    """Return what is said of a catalog with so many photos of each class in the two parts."""
    photos = [
        Photo(f"{part}-{label}-{number}", label, part=part)
        for part, counts in (("train", train), ("validation", validation))
        for label, count in enumerate(counts)
        for number in range(count)
    ]
    said = io.StringIO()
    classes = tuple(names or (f"class {number}" for number in range(len(train))))
    check_trainable(Catalog(classes, tuple(photos)), Reporter(Console(file=said, width=500)))
    return said.getvalue()


def test_enough_photos_are_not_commented():
    assert warned([20, 5], [20, 10]) == ""


def test_classes_of_a_few_photos_are_named():
    said = warned([20, 4, 1], [20, 10, 5])
    assert "fewer than 5 training photos of class 1, class 2: expect mistakes" in said
    many = warned([2] * 9, [10] * 9)
    assert "class 4 and 4 more" in many and "class 5" not in many


def test_classes_without_training_photos_are_named():
    said = warned([20, 20] + [0] * 7, [10, 10] + [0] * 7)
    assert (
        "no training photos of class 2, class 3, class 4, class 5, class 6 and 2 more: the net cannot learn 7" in said
    )


def test_names_of_classes_stay_on_their_line():
    said = warned([20, 20, 4, 0], [10, 10, 10, 10], names=["a", "b", "c\nd", "e\nf"])
    assert len(said.splitlines()) == 2 and "c" in said and "e" in said


def test_classes_that_a_part_has_no_photo_of_are_told():
    assert "warning: no validation photos of class 1: no validation figure says how well it is told" in warned(
        [20, 20, 20], [20, 0, 20]
    )
    said = warned([20] * 9, [40] + [0] * 8)
    assert "class 4, class 5 and 3 more classes: no validation figure says how well they are told" in said
    assert "test photos" not in said, "there is no test part"


def test_a_validation_part_of_a_few_photos_is_told():
    assert "1 validation photo only" in warned([20, 20], [1, 0])
    assert "29 validation photos only" in warned([20, 20], [20, 9])


@pytest.mark.parametrize(("height", "width", "share"), [(300, 100, "67%"), (90, 160, "44%")])
def test_photos_that_a_square_cuts_off_are_told_with_the_remedy(height, width, share):
    note = cut_off_note(np.array([[height, width]] * 3 + [[100, 100]] * 2))
    assert share in note and "data.fit=pad" in note


@pytest.mark.parametrize(("height", "width"), [(100, 100), (300, 400), (300, 200)])
def test_usual_photos_are_not_commented(height, width):
    assert cut_off_note(np.array([[height, width]] * 3 + [[300, 50]] * 2)) == ""


def at(side):
    return [Phase(side=side, epochs=5)]


def test_photos_much_smaller_than_the_side_are_told_with_a_side_that_suits_them():
    sizes = np.array([[24, 30]] * 5 + [[500, 400]] * 4 + [[0, 0]] * 9)
    note = enlarged_note(sizes, at(128), 16, is_pretrained=False)
    assert "24 px on their short side, and are enlarged to 128 px: --side 32 shows as much and takes" in note
    assert note.endswith("about 1/16 of the time")
    growing = [Phase(side=96, epochs=48), Phase(side=128, epochs=24)]
    assert enlarged_note(sizes, growing, 16, is_pretrained=False).endswith("about 1/11 of the time")
    assert "pretrained net may be somewhat better" in enlarged_note(sizes, at(288), 71, is_pretrained=True)
    assert enlarged_note(sizes, at(128), 71, is_pretrained=True) == "", "the net has no side that is much smaller"
    assert enlarged_note(np.array([[224, 300]]), at(288), 16, is_pretrained=False) == ""
    assert enlarged_note(np.zeros((0, 2), int), at(288), 16, is_pretrained=False) == ""


@pytest.mark.parametrize("sizes", [[], [[0, 0]], [[0, 0], [100, 100]]])
def test_no_photos_and_photos_without_an_area_are_not_commented(sizes):
    with np.errstate(all="raise"):
        assert cut_off_note(np.array(sizes, int).reshape(-1, 2)) == ""


def test_what_was_asked_for_is_no_warning(make_photos):
    said = io.StringIO()
    data = str(make_photos({"a": 30, "b": 30}))
    prepared = prepare_data(data, DataSettings(photos_per_class=8), Reporter(Console(file=said, width=500)))
    assert len(prepared.catalog.part("train")) == 16
    line = next(line for line in said.getvalue().splitlines() if "photos_per_class" in line)
    assert line.startswith("as asked, 16 of ") and "warning" not in said.getvalue()


def test_what_is_worth_a_look_is_said_in_a_line(make_photos):
    said = io.StringIO()
    folder = make_photos({"a": 30, "b": 30})
    (folder / "a" / "000.png").rename(folder / "a" / "000.jpg")
    (folder / "b" / "broken.png").write_bytes(b"")
    prepare_data(str(folder), DataSettings(), Reporter(Console(file=said, width=500)))
    lines = said.getvalue().splitlines()
    assert "worth a look: 1 with a wrong ending (a/000.jpg)" in lines
    assert f"fireweed audit {folder} shows them" in lines


def test_sound_photos_get_no_such_line(make_photos):
    said = io.StringIO()
    prepare_data(str(make_photos({"a": 9, "b": 9}, side=100)), DataSettings(), Reporter(Console(file=said, width=500)))
    assert "worth a look" not in said.getvalue()


def test_several_hosts_agree_on_parts_and_twins_or_are_told_apart(make_photos, tmp_path):
    folder = make_photos({"a": 30, "b": 30})
    shutil.copy(folder / "a" / "000.png", folder / "a" / "again.png")
    alone = prepare_data(str(folder), DataSettings(), Reporter(is_silent=True))
    shutil.copytree(folder, tmp_path / "elsewhere")

    def prepare(hosts):
        return prepare_data(str(places[hosts.index]), DataSettings(), Reporter(is_silent=True), hosts=hosts)

    places = [folder, tmp_path / "elsewhere"]
    for prepared in on_all(2, prepare):
        assert prepared.catalog.digest() == alone.catalog.digest()
        assert np.array_equal(prepared.groups, alone.groups) and len(np.unique(alone.groups)) == 60
    (places[1] / "b" / "000.png").write_bytes(b"")  # another photo under the same name
    with pytest.raises(DeviceError, match="host 1 has another set of photos than host 0"):
        on_all(2, prepare)
