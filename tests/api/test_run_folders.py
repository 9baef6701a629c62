"""A training whose run lies in an object store goes on on another machine, and survives a store that fails."""

import io

import pytest
from rich.console import Console

from fireweed.api import TrainRequest, evaluate_run, train_run
from fireweed.reporting import Reporter
from fireweed.run import RunFolder
from fireweed.training.recording import Recorder

fsspec = pytest.importorskip("fsspec", reason="fsspec is not installed")


@pytest.fixture
def store(tmp_path, monkeypatch):
    found = fsspec.filesystem("memory")
    found.store.clear()
    monkeypatch.setenv("FIREWEED_CACHE", str(tmp_path / "first"))
    yield found
    found.store.clear()


def test_a_run_in_a_store_goes_on_on_another_machine(store, make_photos, tmp_path, monkeypatch):
    photos = str(make_photos({"a": 24, "b": 24}))

    def train() -> tuple[RunFolder, str]:
        said = io.StringIO()
        request = TrainRequest(
            photos, out="memory://bucket/run", model="conv 4 | gap", side=16, epochs=2, recipe="demo"
        )
        return train_run(request, Reporter(Console(file=said, width=500))), said.getvalue()

    begin = Recorder.on_epoch_begin

    def stop(self, epoch, logs=None):
        if epoch == 1:
            raise RuntimeError("the machine is taken away")
        begin(self, epoch, logs)

    monkeypatch.setattr(Recorder, "on_epoch_begin", stop)
    with pytest.raises(RuntimeError, match="taken away"):
        train()
    monkeypatch.setattr(Recorder, "on_epoch_begin", begin)
    assert any(path.endswith("checkpoints/epoch-000001.npz") for path in store.find("/bucket/run"))

    monkeypatch.setenv("FIREWEED_CACHE", str(tmp_path / "second"))
    folder, said = train()
    assert "resuming after epoch 1" in said and "the run lies in memory://bucket/run" in said
    assert store.cat_file("/bucket/run/history.csv").decode() == folder.file("history.csv").read_text()

    monkeypatch.setenv("FIREWEED_CACHE", str(tmp_path / "third"))
    assert "this run is finished" in train()[1]
    figures, path = evaluate_run("memory://bucket/run", None, "validation", Reporter(is_silent=True))
    assert figures["photos"] > 0 and path.is_relative_to(tmp_path / "third")


def test_a_store_that_cannot_be_written_for_a_while_does_not_stop_the_training(store, monkeypatch):
    from fireweed.api.run_folders import run_folder
    from fireweed.devices.hosts import ALONE

    said = io.StringIO()
    with run_folder("memory://bucket/other", "name", ALONE, Reporter(Console(file=said, width=500))) as (folder, save):
        folder.make()
        folder.file("recipe.toml").write_text("a")
        with monkeypatch.context() as patched:
            patched.setattr(store, "pipe_file", lambda *_: (_ for _ in ()).throw(OSError("no route to host")))
            save()
        assert "no route to host; training goes on, and the next checkpoint tries again" in said.getvalue()
        save()
    assert store.exists("/bucket/other/manifest.json")
