"""Plan the epochs of a pod without training: which host reads which shards, in which order, in how many steps.

    python benchmarks/pod_simulation.py [--records 10000000] [--hosts 64]

Every host's rows of every step are made, as training would, and it is counted that each record comes once an epoch, on
one host. A few hosts do so in processes of their own, whose time and greatest memory are measured; they hold the
catalog of all records, as every host does. Writes measurements/pod-simulation.json.
"""

import argparse
import json
import resource
import subprocess
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from fireweed.data.catalog import Catalog, Photo
from fireweed.data.dealing import shard_of_rank
from fireweed.data.plan import Plan

ROOT = Path(__file__).parents[1]
ROWS_AT_ONCE = 1 << 20  # positions of the epoch whose rows are made in one go
MEASURED_HOSTS = 3


@dataclass(frozen=True)
class Pod:
    """What is simulated: `records` in all, dealt to `shards` files, read by `hosts` that share batches of `batch`."""

    records: int = 10_000_000
    hosts: int = 64
    batch: int = 4096
    shards: int = 1024
    classes: int = 1000
    epochs: int = 2
    seed: int = 0

    def keys(self) -> list[str]:
        """Return made-up SHA-256 keys of the records."""
        text = np.random.default_rng(self.seed).bytes(32 * self.records).hex()
        return [text[start : start + 64] for start in range(0, len(text), 64)]

    def labels(self) -> np.ndarray:
        return np.random.default_rng(self.seed + 1).integers(0, self.classes, self.records)

    def plan(self, keys: list[str], host: int) -> Plan:
        return Plan(self.seed, keys, self.labels(), self.batch, hosts=self.hosts, host=host)


def simulate(pod: Pod) -> dict[str, Any]:
    """Return what was counted over all hosts.

    Raises:
        AssertionError: a record is read twice in an epoch, or not at all, or on another host than the one that has it.
    """
    plan = pod.plan(pod.keys(), 0)
    plans = [plan.of_host(host) for host in range(pod.hosts)]
    shares = np.array([len(one.own_photos()) for one in plans])
    assert len(np.unique(np.concatenate([one.own_photos() for one in plans]))) == shares.sum() == pod.records
    shard_of = np.empty(pod.records, np.int64)
    shard_of[plan.by_rank] = shard_of_rank(pod.labels()[plan.by_rank], pod.shards)
    shards_of_host = [np.unique(shard_of[one.own_photos()]) for one in plans]
    read_by = np.bincount(np.concatenate(shards_of_host), minlength=pod.shards)
    orders = [_check_epoch(plans, epoch) for epoch in range(pod.epochs)]
    assert len(set(orders)) == pod.epochs
    return {
        "steps_an_epoch": plan.steps, "lanes": plan.lanes, "epochs": pod.epochs,
        "records_of_a_host": _range(shares),
        "shards_of_a_host": _range(map(len, shards_of_host)),
        "hosts_that_read_a_shard": _range(read_by.tolist()),
        "each_record_once_an_epoch_on_its_own_host": True,
    }  # fmt: skip


def _check_epoch(plans: list[Plan], epoch: int) -> int:
    """Make sure that each record is read once in an epoch; return a number that tells its order from others."""
    read = np.zeros(plans[0].photos, np.uint8)
    order = 0
    for plan in plans:
        own = np.zeros(plan.photos, bool)
        own[plan.own_photos()] = True
        for index, weight in _rows(plan, epoch):
            assert own[index].all()
            counted = index[weight > 0]
            assert len(np.unique(counted)) == len(counted)
            read[counted] += 1
            order = hash((order, index.tobytes()))
    assert (read == 1).all()
    return order


def _rows(plan: Plan, epoch: int) -> Any:
    """Yield index and weight of this host's rows of an epoch, some steps at a time."""
    steps = max(1, ROWS_AT_ONCE // plan.batch)
    for first in range(0, plan.steps, steps):
        rows = plan.rows(epoch, first, first + steps)
        yield rows.index.ravel(), rows.weight.ravel()


def one_host(pod: Pod, host: int) -> dict[str, Any]:
    """Return time and greatest memory of what one host does: the catalog, the plan, and all rows of an epoch."""
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    keys, labels = pod.keys(), pod.labels().tolist()
    photos = tuple(
        Photo(f"photos{number % pod.shards}.tfrec", label, key, "train", number * 30_000, 29_984, f"photos#{number}")
        for number, (key, label) in enumerate(zip(keys, labels, strict=True))
    )
    catalog = Catalog(tuple(map(str, range(pod.classes))), photos)
    catalog_bytes = 1024 * (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
    began = time.perf_counter()
    plan = Plan(pod.seed, [one.key for one in catalog.photos], catalog.labels(), pod.batch, hosts=pod.hosts, host=host)
    planned = time.perf_counter()
    rows = sum(int((weight > 0).sum()) for _, weight in _rows(plan, 0))
    return {
        "host": host,
        "records_read": rows,
        "plan_seconds": round(planned - began, 2),
        "rows_of_an_epoch_seconds": round(time.perf_counter() - planned, 2),
        "catalog_bytes_a_record": round(catalog_bytes / pod.records),
        "peak_bytes": 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss,
    }


def _range(values: Any) -> dict[str, int]:
    found = [int(value) for value in values]
    return {"least": min(found), "most": max(found)}


def main() -> None:
    from machine_facts import machine_facts

    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name, value in asdict(Pod()).items():
        arguments.add_argument(f"--{name}", type=int, default=value)
    arguments.add_argument("--one-host", type=int, help=argparse.SUPPRESS)
    asked = vars(arguments.parse_args())
    host = asked.pop("one_host")
    pod = Pod(**asked)
    if host is not None:
        print(json.dumps(one_host(pod, host)))
        return
    began = time.perf_counter()
    chosen = sorted({0, pod.hosts // 2, pod.hosts - 1})[:MEASURED_HOSTS]
    measured = [
        json.loads(subprocess.run(
            [sys.executable, __file__, *sys.argv[1:], "--one-host", str(number)], capture_output=True, check=True,
        ).stdout)
        for number in chosen
    ]  # fmt: skip
    found = {"machine": machine_facts(), "pod": asdict(pod), "checked": simulate(pod), "hosts_measured": measured,
             "seconds": round(time.perf_counter() - began, 1)}  # fmt: skip
    (ROOT / "measurements" / "pod-simulation.json").write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    print(json.dumps(found, indent=1))


if __name__ == "__main__":
    main()
