"""What the simulation of a pod counts holds in small, and a host's plan is one of its own."""

import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1] / "benchmarks"))

import pod_simulation
from pod_simulation import Pod, one_host, simulate

SMALL = Pod(records=20_011, hosts=64, batch=256, shards=128, classes=7)


def test_each_record_is_read_once_an_epoch_by_one_host_from_its_own_shards(monkeypatch):
    monkeypatch.setattr(pod_simulation, "ROWS_AT_ONCE", 1 << 12)
    found = simulate(SMALL)
    assert found["each_record_once_an_epoch_on_its_own_host"] and found["lanes"] == 64
    assert found["steps_an_epoch"] == -(-SMALL.records // SMALL.batch)
    assert found["records_of_a_host"] == {"least": SMALL.records // 64, "most": SMALL.records // 64 + 1}
    assert found["shards_of_a_host"] == {"least": 2, "most": 2}
    assert found["hosts_that_read_a_shard"] == {"least": 1, "most": 1}


def test_a_host_alone_makes_the_rows_that_are_counted_for_it():
    keys = SMALL.keys()
    alone, other = SMALL.plan(keys, 5), SMALL.plan(keys, 0).of_host(5)
    for name in ("index", "weight", "partner"):
        assert np.array_equal(getattr(alone.rows(1), name), getattr(other.rows(1), name))
    told = one_host(SMALL, 5)
    assert told["records_read"] == len(alone.own_photos()) and told["peak_bytes"] > 0
