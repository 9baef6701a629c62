"""A run in an object store is always one that was there, goes on anywhere, and is whole after any cut."""

import json
import sys
from pathlib import Path

import pytest

fsspec = pytest.importorskip("fsspec", reason="fsspec is not installed")

from fake_bucket import fake_bucket  # noqa: E402
from fireweed.errors import RunError, StoreError  # noqa: E402
from fireweed.mirror import Mirror, is_address, mirrored, working_folder  # noqa: E402

RUN = "memory://bucket/run"


@pytest.fixture
def store():
    """The store that lives in this process's memory, empty."""
    found = fsspec.filesystem("memory")
    found.store.clear()
    yield found
    found.store.clear()


@pytest.fixture(autouse=True)
def on_machine(tmp_path, monkeypatch):
    """Return a function that lets the test go on on another machine, with a cache of its own."""

    def move_to(name):
        monkeypatch.setenv("FIREWEED_CACHE", str(tmp_path / name))

    move_to("first")
    return move_to


def write(folder: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)


def held(folder: Path) -> dict[str, str]:
    return {
        path.relative_to(folder).as_posix(): path.read_text()
        for path in folder.rglob("*")
        if path.is_file() and not path.name.startswith(".")
    }


def epoch(number: int) -> dict[str, str]:
    return {"recipe.toml": "a", "history.csv": f"epochs {number}", f"checkpoints/epoch-{number:06d}.npz": f"w {number}"}


def there(store) -> set[str]:
    return {path.removeprefix("/bucket/run/") for path in store.find("/bucket/run")}


@pytest.mark.parametrize(
    ("path", "is_one"),
    [("gs://bucket/run", True), ("memory://x", True), ("runs/demo", False), ("C:\\runs", False), ("c://x", False)],
)
def test_addresses_are_told_from_folders(path, is_one):
    assert is_address(path) == is_one


def test_another_machine_goes_on_where_the_last_push_was(store, on_machine):
    with mirrored(RUN) as mirror:
        write(mirror.folder, epoch(1) | {"features/big.npy": "x", ".lock": ""})
        assert mirror.push() and not mirror.push()
    on_machine("second")
    with mirrored(RUN + "/") as mirror:
        assert held(mirror.folder) == epoch(1)
        (mirror.folder / "checkpoints/epoch-000001.npz").unlink()
        write(mirror.folder, epoch(2))
        assert mirror.push()
    on_machine("first")
    with mirrored(RUN) as mirror:
        assert held(mirror.folder) == epoch(2)
        assert not mirror.push()


def test_objects_of_the_last_two_pushes_stay_and_the_manifest_goes_last(store):
    sent = []
    with mirrored(RUN) as mirror:
        pipe = mirror._store.pipe_file
        mirror._store = type("Store", (), {"__getattr__": lambda self, name: getattr(store, name)})()
        mirror._store.pipe_file = lambda path, data: (sent.append(path.rpartition("/")[2]), pipe(path, data))
        for number in (1, 2, 3):
            write(mirror.folder, epoch(number))
            mirror.push()
            assert sent[-1] == "manifest.json"
            (mirror.folder / f"checkpoints/epoch-{number:06d}.npz").unlink()
    assert sent.count("recipe.toml") == 1  # it never changed
    names = sorted(name.split("/", 2)[2] for name in there(store) if name.startswith("objects/"))
    assert names == [
        "checkpoints/epoch-000002.npz",
        "checkpoints/epoch-000003.npz",
        *["history.csv"] * 2,
        "recipe.toml",
    ]


def test_a_push_that_is_cut_off_leaves_the_run_as_it_was_and_the_next_one_mends_it(store, on_machine, monkeypatch):
    with mirrored(RUN) as mirror:
        write(mirror.folder, epoch(1))
        mirror.push()
        write(mirror.folder, epoch(2))
        pipe = store.pipe_file

        def fail(path, data, **options):
            if path.endswith("manifest.json"):
                raise OSError("connection reset")
            pipe(path, data, **options)

        monkeypatch.setattr(store, "pipe_file", fail)
        with pytest.raises(StoreError, match="cannot be written: OSError connection reset"):
            mirror.push()
        monkeypatch.undo()
    on_machine("second")
    with mirrored(RUN) as other:
        assert held(other.folder) == epoch(1)


def test_what_could_not_be_pushed_is_kept_and_goes_with_the_next_push(store):
    with mirrored(RUN) as mirror:
        write(mirror.folder, epoch(1))
        mirror.push()
        write(mirror.folder, epoch(2))  # the network fails, and the process ends
    with mirrored(RUN) as again:
        assert held(again.folder) == epoch(1) | epoch(2)
        assert again.push()
    assert json.loads(store.cat_file("/bucket/run/manifest.json"))["push"] == 2


def test_a_run_that_was_removed_from_the_store_begins_anew(store):
    with mirrored(RUN) as mirror:
        write(mirror.folder, epoch(1))
        mirror.push()
    store.store.clear()
    with mirrored(RUN) as mirror:
        assert held(mirror.folder) == {}


def test_two_processes_do_not_write_the_same_run(store, tmp_path):
    with mirrored(RUN) as mirror:
        with pytest.raises(RunError, match="another process works on"), mirrored(RUN):
            pass
        other = Mirror(RUN, tmp_path / "elsewhere")
        other.pull()
        write(other.folder, epoch(1))
        other.push()
        write(mirror.folder, epoch(2))
        with pytest.raises(RunError, match="another process writes to memory://bucket/run"):
            mirror.push()


def test_a_finished_run_can_be_read_under_its_own_names(store):
    with mirrored(RUN) as mirror:
        write(mirror.folder, epoch(1))
        mirror.push()
        assert not {name for name in there(store) if "/" not in name} - {"manifest.json"}
        write(mirror.folder, {"model.keras": "m", "report.html": "r"})
        mirror.push()
    assert store.cat_file("/bucket/run/report.html") == b"r"
    assert {name for name in there(store) if "/" not in name} == {
        "history.csv", "manifest.json", "model.keras", "recipe.toml", "report.html"
    }  # fmt: skip


@pytest.mark.parametrize("name", ["../out", "/etc/x", "a//b", ".hidden", "a/../b", "a\nb"])
def test_a_manifest_cannot_name_files_elsewhere(store, name):
    entry = {"object": "objects/x", "bytes": 1, "sha256": "0"}
    store.pipe_file(
        "/bucket/run/manifest.json", json.dumps({"push": 1, "writer": "a", "files": {name: entry}}).encode()
    )
    with pytest.raises(RunError, match="which is no file of a run"), mirrored(RUN):
        pass


def test_what_is_damaged_in_the_store_is_told(store, on_machine):
    with mirrored(RUN) as mirror:
        write(mirror.folder, epoch(1))
        mirror.push()
    on_machine("second")
    path = next(path for path in store.find("/bucket/run") if path.endswith("history.csv"))
    store.pipe_file(path, b"epochs 9")
    with pytest.raises(RunError, match=r"history\.csv\) is damaged"), mirrored(RUN):
        pass
    store.rm_file(path)
    with pytest.raises(RunError, match=r"history\.csv\) is missing"), mirrored(RUN):
        pass
    store.pipe_file("/bucket/run/manifest.json", b"[]")
    with pytest.raises(RunError, match=r"manifest\.json is damaged, or that of something else"), mirrored(RUN):
        pass


def test_without_the_packages_it_is_said_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "fsspec", None)
    with pytest.raises(StoreError, match=r"pip install 'fireweed\[cloud\]'"), mirrored("gs://bucket/run"):
        pass


def test_a_bucket_of_google_cloud_storage_is_written_and_read(monkeypatch, on_machine):
    pytest.importorskip("gcsfs", reason="gcsfs is not installed")
    address = "gs://bucket/some/run"
    with fake_bucket() as bucket:
        monkeypatch.setenv("STORAGE_EMULATOR_HOST", f"http://127.0.0.1:{bucket.server_port}")
        monkeypatch.setitem(fsspec.config.conf, "gs", {"token": "anon", "skip_instance_cache": True})
        with mirrored(address) as mirror:
            for number in (1, 2, 3):
                write(mirror.folder, epoch(number) | {"report.html": f"report {number}"})
                mirror.push()
        assert bucket.objects["bucket/some/run/report.html"] == b"report 3"
        assert not any("/000001-" in name and name.endswith("history.csv") for name in bucket.objects)
        on_machine("second")
        with mirrored(address) as mirror:
            assert held(mirror.folder) == epoch(1) | epoch(2) | epoch(3) | {"report.html": "report 3"}
        bucket.refuses = True
        with (
            pytest.raises(StoreError, match=r"cannot be read: .*Forbidden.*sign in with 'gcloud auth"),
            mirrored(address),
        ):
            pass
    assert working_folder(address).is_dir()
