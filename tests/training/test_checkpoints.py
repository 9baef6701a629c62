"""A checkpoint is whole or is not there; a damaged one is told and the one before it used."""

import numpy as np
import pytest

from fireweed.errors import FireweedError, RunError
from fireweed.training.checkpoints import Checkpoint, newest_checkpoint, read_checkpoint, write_checkpoint


def checkpoint(epoch: int) -> Checkpoint:
    made = Checkpoint(epoch, facts={"rows": [{"epoch": epoch}]})
    made.put("weights", [np.full((2, 3), epoch, np.float32), np.arange(12, dtype=np.uint32)])
    made.put("optimizer", [np.array(epoch, np.int64)])
    return made


def test_reads_back_what_was_written_and_keeps_two_generations(tmp_path):
    for epoch in (1, 2, 3):
        write_checkpoint(tmp_path, checkpoint(epoch))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["epoch-000002.npz", "epoch-000003.npz"]
    read, notes = newest_checkpoint(tmp_path)
    assert read.epoch == 3 and notes == [] and read.facts == {"rows": [{"epoch": 3}]}
    assert [a.tolist() for a in read.group("weights")] == [[[3.0] * 3] * 2, list(range(12))]
    assert read.group("weights")[1].dtype == np.uint32 and read.group("nothing") == []


def test_groups_keep_their_order_beyond_ten(tmp_path):
    made = Checkpoint(1)
    made.put("weights", [np.array(i) for i in range(25)])
    write_checkpoint(tmp_path, made)
    assert [int(a) for a in newest_checkpoint(tmp_path)[0].group("weights")] == list(range(25))


@pytest.mark.parametrize("damage", ["half", "empty", "random", "flipped"])
def test_a_damaged_checkpoint_is_named_and_the_one_before_used(tmp_path, damage):
    for epoch in (1, 2):
        write_checkpoint(tmp_path, checkpoint(epoch))
    newest = tmp_path / "epoch-000002.npz"
    data = newest.read_bytes()
    middle = data.index(np.full((2, 3), 2, np.float32).tobytes())
    newest.write_bytes({
        "half": data[: len(data) // 2],
        "empty": b"",
        "random": np.random.default_rng(0).bytes(len(data)),
        "flipped": data[:middle] + bytes([data[middle] ^ 1]) + data[middle + 1 :],
    }[damage])  # fmt: skip
    read, notes = newest_checkpoint(tmp_path)
    assert read.epoch == 1
    assert len(notes) == 1 and "epoch-000002.npz" in notes[0]


def test_when_all_are_damaged_the_run_does_not_start_over_unasked(tmp_path):
    (tmp_path / "epoch-000001.npz").write_bytes(b"PK")
    with pytest.raises(RunError, match="all 1 checkpoints"):
        newest_checkpoint(tmp_path)


def test_a_full_disk_leaves_the_earlier_checkpoint_and_no_scraps(tmp_path, monkeypatch):
    write_checkpoint(tmp_path, checkpoint(1))

    def full(*arguments, **options):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(np, "savez", full)
    with pytest.raises(FireweedError, match=r"disk full.*bytes are free"):
        write_checkpoint(tmp_path, checkpoint(2))
    assert [path.name for path in tmp_path.iterdir()] == ["epoch-000001.npz"]
    assert read_checkpoint(tmp_path / "epoch-000001.npz").epoch == 1


def test_a_flag_that_says_encrypted_is_damage(tmp_path):
    for epoch in (1, 2):
        write_checkpoint(tmp_path, checkpoint(epoch))
    newest = tmp_path / "epoch-000002.npz"
    data = bytearray(newest.read_bytes())
    data[data.index(b"PK\x01\x02") + 8] |= 1  # the flags of the first member in the central directory
    newest.write_bytes(data)
    assert newest_checkpoint(tmp_path)[0].epoch == 1


def test_no_byte_of_the_list_of_arrays_can_be_changed_unseen(tmp_path):
    write_checkpoint(tmp_path, checkpoint(1))
    path = tmp_path / "epoch-000001.npz"
    whole, good = read_checkpoint(path), path.read_bytes()
    for place in range(good.index(b"PK\x01\x02"), len(good)):
        for value in (good[place] ^ 1, 63, 65):  # as many bytes as some entries have
            path.write_bytes(good[:place] + bytes([value]) + good[place + 1 :])
            try:
                read = read_checkpoint(path)
            except RunError:
                continue
            assert read.arrays.keys() == whole.arrays.keys() and read.facts == whole.facts


@pytest.mark.parametrize("facts", [b"[]", b"1", b"{}", b'{"epoch": "1"}', b'{"epoch": true}', b'{"epoch": -1}',
                                   b'{"epoch": 1, "step": null}', b"[" * 100_000, b"\xff"])  # fmt: skip
def test_facts_of_another_shape_are_damage(tmp_path, facts):
    np.savez(tmp_path / "epoch-000001.npz", facts=np.frombuffer(facts, np.uint8))
    with pytest.raises(RunError, match="damaged"):
        read_checkpoint(tmp_path / "epoch-000001.npz")


def test_a_checkpoint_of_before_the_arrays_were_counted_is_read(tmp_path):
    np.savez(tmp_path / "old.npz", facts=np.frombuffer(b'{"epoch": 3}', np.uint8), **{"weights/00000": np.zeros(2)})
    assert read_checkpoint(tmp_path / "old.npz").epoch == 3
