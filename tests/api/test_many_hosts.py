"""Training on several hosts gives what one gives; here the hosts are processes of this machine."""

import json
import os
import shutil
import signal
import sys
from pathlib import Path

import numpy as np
import pytest

import warm
from fireweed.api import TrainRequest, train_run
from fireweed.errors import DeviceError
from fireweed.reporting import Reporter
from fireweed.training.checkpoints import newest_checkpoint

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))

import loopback_hosts
from loopback_hosts import NET, ends, figures, history, start, train_on


def test_two_hosts_train_as_one_does_and_go_on_after_one_was_killed(shared_photos, tmp_path, monkeypatch):
    monkeypatch.setattr(loopback_hosts, "PYTHON", warm.python("jax"))
    photos = str(shared_photos)
    cut, whole = tmp_path / "cut", tmp_path / "whole"
    first, second = train_on(2, cut, photos, killed_in=2)
    assert second is None and "HostLostError: a host was lost" in first["error"]
    assert len(history(cut)) == 1
    shutil.copytree(cut, tmp_path / "cut-one")
    first, second = train_on(2, cut, photos)  # the same command
    assert (first["error"], second["error"]) == (None, None)
    alone = {"out": str(tmp_path / "cut-one"), "data": photos, "is_judged": False}
    (one,) = ends([start(alone, {"out": str(whole), "data": photos})])
    assert one["error"] is None

    assert np.allclose(history(cut), history(whole), rtol=1e-4, atol=1e-4)
    assert np.allclose(history(tmp_path / "cut-one"), history(whole), rtol=1e-4, atol=1e-4)
    assert (figures(first["rows"]) == figures(second["rows"])).all()
    losses = [json.loads((out / "evaluation-validation.json").read_text())["loss"] for out in (cut, whole)]
    assert losses[0] == pytest.approx(losses[1], rel=1e-4)  # with norm statistics that host 0 computed alone

    assert "resuming after epoch 1" in first["said"] and "shared by 2 hosts with 1 CPU device each" in first["said"]
    assert all(line.startswith("warning: ") for line in second["said"].splitlines())
    assert (cut / "report.html").is_file() and not (tmp_path / "nowhere").exists()
    check_shares([first, second], one)


@pytest.mark.skipif(os.name != "posix", reason="signals of Unix")
def test_a_signal_to_another_host_lets_host_0_save_the_step_and_stops_all(shared_photos, tmp_path):
    first, second = train_on(2, tmp_path / "run", str(shared_photos), killed_in=2, by=signal.SIGTERM)
    assert first["error"] == f"Terminated: {128 + signal.SIGTERM}"
    assert second is None or second["error"].startswith("Terminated")
    found, _ = newest_checkpoint(tmp_path / "run" / "checkpoints")
    assert (found.epoch, found.step > 0) == (1, True)


@pytest.mark.long
def test_four_hosts_train_as_one_does_and_go_on_after_one_was_killed(shared_photos, tmp_path):
    result = loopback_hosts.measured(4, str(shared_photos), tmp_path / "four")
    assert result["others_said"] == ["HostLostError"] and result["epochs_before_the_kill"] == 1
    assert result["greatest_difference_between_hosts"] == 0
    assert result["greatest_difference_to_one_process"] < 1e-4
    whole = result["one_process"]
    assert sum(result["photos_surveyed"]) == whole["photos_surveyed"] == 180
    for part in ("train", "validation"):
        shares = [share[part] for share in result["photos_decoded"]]
        assert sum(shares) == whole["photos_decoded"][part] and max(shares) - min(shares) <= 1


def check_shares(hosts: list[dict], whole: dict) -> None:
    """Each host has surveyed and decoded its share, and together all; what fills up a last batch is its own too."""
    surveyed = [name for one in hosts for name in one["surveyed"]]
    assert len(surveyed) == len(set(surveyed)) == 180 and [len(one["surveyed"]) for one in hosts] == [90, 90]
    assert not any(one["looked_at"] for one in hosts[1:])
    for part in ("train", "validation"):
        own, others, everyone = ({key for name, key in one["decoded"] if name == part} for one in (*hosts, whole))
        assert own | others == everyone
        assert not own & others and abs(len(own) - len(others)) <= 1


@pytest.mark.parametrize(
    ("asked", "says"),
    [
        ({"minutes": 1.0}, "--minutes goes on one host only"),
        ({"model": "mobilenetv2", "weights": "none", "freeze": True}, "frozen net goes on one host only"),
        ({"backend": "tensorflow"}, "--backend jax"),
    ],
)
def test_what_several_hosts_cannot_do_is_refused_at_once(asked, says, free_port, tmp_path):
    given = {"model": NET, "hosts": 2, "host": 1, "coordinator": f"127.0.0.1:{free_port}", "out": str(tmp_path / "run")}
    with pytest.raises(DeviceError, match=says):
        train_run(TrainRequest("drawn", **given | asked), Reporter(is_silent=True))
    assert not (tmp_path / "run").exists()
