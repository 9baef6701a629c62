"""Photos of a lab as arrays: split by content, scaled, labelled."""

import numpy as np

import fireweed as fw
from fireweed.teaching import load_photos, measured


def test_photos_are_split_and_come_back_the_same(make_photos):
    folder = make_photos({"a": 12, "b": 12})
    photos = load_photos(str(folder), side=16)
    assert photos.classes == ("a", "b")
    assert photos.train.shape[1:] == photos.validation.shape[1:] == (16, 16, 3)
    assert photos.train.dtype == np.uint8
    assert len(photos.train) + len(photos.validation) == 24
    assert len(photos.validation) == len(photos.validation_labels) >= 2
    again = load_photos(fw.open_data(str(folder)), side=16)
    assert np.array_equal(again.train, photos.train)


def test_so_many_of_each_class_are_kept(make_photos):
    photos = load_photos(str(make_photos({"a": 12, "b": 12})), side=16, photos_per_class=3)
    assert np.bincount(photos.train_labels).tolist() == [3, 3]


def test_measured_figures_travel_with_the_package():
    figures = measured("squeezenet")
    assert figures["least"] <= figures["mean"] <= figures["most"]
    assert figures["photos"] > 100
