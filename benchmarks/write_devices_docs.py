"""Write the tables of docs/devices.md, between its marks, from measurements.

    python benchmarks/write_devices_docs.py [--check]

With --check nothing is written, and the exit code is 1 when the page is not up to date.
"""

import sys
from collections.abc import Callable
from typing import Any

from fireweed.text import counted
from marked import ROOT, fill_measured
from speed_tables import NONE, measured_on, table

DOCUMENT = ROOT / "docs" / "devices.md"


def main() -> int:
    return fill_measured(DOCUMENT, WRITERS)


def batches_text(found: dict[str, Any]) -> str:
    """Return accuracy by batch and optimizer, and what scaling and warm-up do for the largest batch."""
    runs = found["runs"]
    batches = sorted({run["batch"] for run in runs})
    optimizers = list(dict.fromkeys(run["optimizer"] for run in runs))

    def cell(optimizer: str, batch: int, kind: str = "scaled") -> str:
        for run in runs:
            if (run["optimizer"], run["batch"], run["kind"]) == (optimizer, batch, kind):
                outcome = "no number" if run["loss"] is None else f"{run['accuracy']:.1%}"
                return f"{outcome} (rate {run['rate']:.3g})"
        return NONE

    steps = {run["batch"]: run["steps"] for run in runs}
    rows = [(f"{batch}", f"{steps[batch]:,}", *(cell(one, batch) for one in optimizers)) for batch in batches]
    for kind in ("not scaled", "no warm-up"):
        rows.append((f"{batches[-1]}, {kind}", f"{steps[batches[-1]]:,}",
                     *(cell(one, batches[-1], kind) for one in optimizers)))  # fmt: skip
    return (
        f"{table(('batch', 'steps', *optimizers), rows)}\n"
        f"Validation accuracy on {found['photos']['validation']} drawn photos, {found['photos']['train']} to train on, "
        f"{found['epochs']} epochs of `{found['net']}` at {found['side']} px, one seed; the rate at batch {batches[0]} "
        f'is the best of three on these validation photos. "No number": the loss became none. {measured_on(found)}'
    )


def one_device_text(found: dict[str, Any]) -> str:
    before, now, rounds = found["before"], found["now"], found["ratio_by_round"]
    return (
        f"{found['net']} at {found['side']} px, batch {found['batch']}, on one CPU: {now['median']:.1f} images/s, and "
        f"{before['median']:.1f} at commit {found['commit_before']}, the last that knew one device only: "
        f"{found['ratio_of_medians']:.3f} times (by round {rounds['least']:.3f} to {rounds['most']:.3f}, "
        f"n = {len(now['images_per_second'])}). {measured_on(found)}"
    )


def pod_text(found: dict[str, Any]) -> str:
    pod, checked, hosts = found["pod"], found["checked"], found["hosts_measured"]
    shares, shards = checked["records_of_a_host"], checked["shards_of_a_host"]["most"]
    readers = counted(checked["hosts_that_read_a_shard"]["most"], "host")
    peak = max(host["peak_bytes"] for host in hosts) / 1e9
    seconds = max(host["plan_seconds"] + host["rows_of_an_epoch_seconds"] for host in hosts)
    return (
        f"{pod['records']:,} records in {pod['shards']:,} shards, {pod['hosts']} hosts, batch {pod['batch']:,}: "
        f"{checked['steps_an_epoch']:,} steps an epoch on every host, {shares['least']:,} to {shares['most']:,} "
        f"records and {shards:,} shards a host, each shard read by {readers}, each record once an epoch "
        f"({checked['epochs']} epochs counted). A host's plan and the rows of an epoch take {seconds:.0f} s, and its "
        f"process {peak:.1f} GB at most, the catalog of all records among them ({len(hosts)} hosts measured). "
        f"{measured_on(found['machine'])}"
    )


def loopback_text(found: dict[str, Any]) -> str:
    head = ("hosts", "between hosts", "to one process", "photos surveyed by each", "photos decoded to train on")
    rows = [
        (
            f"{one['hosts']}",
            f"{one['greatest_difference_between_hosts']:.1g}",
            f"{one['greatest_difference_to_one_process']:.1g}",
            ", ".join(map(str, one["photos_surveyed"])) + f" (one process: {one['one_process']['photos_surveyed']})",
            ", ".join(str(share["train"]) for share in one["photos_decoded"])
            + f" (one process: {one['one_process']['photos_decoded']['train']})",
        )
        for one in found["results"]
    ]
    notes = "The second and third column are the greatest differences of a loss or accuracy, the kill and all."
    what = f"The photos are {found['data']}, the net `{found['net']}`."
    return f"{table(head, rows)}\n{notes} {what} {measured_on(found['machine'])}"


WRITERS: dict[str, Callable[[dict[str, Any]], str]] = {
    "accuracy/batch-size": batches_text,
    "one-device": one_device_text,
    "pod-simulation": pod_text,
    "loopback-hosts": loopback_text,
}


if __name__ == "__main__":
    sys.exit(main())
