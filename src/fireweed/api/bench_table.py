"""The result of `fireweed bench` as a table of at most 80 columns, and what it advises."""

import math
from typing import Any

from fireweed.reporting import duration

AS_GOOD = 0.97  # of the fastest: within this much a smaller batch is the better one, it needs less memory


def bench_text(result: dict[str, Any]) -> str:
    """Return the tables, the limits and the advice, whatever of them was measured."""
    limits, packages = result["limits"], result["packages"]
    versions = ", ".join(f"{name} {packages[name]}" for name in ("tensorflow", "jax", "keras") if packages.get(name))
    device = result["device"]
    lines = [
        f"{result['net']} on {device['name']}, {device['cores']} cores; {result['precision']}",
        f"Fireweed {result['fireweed']}, {versions}",
        f"limits: {limits['multiply_adds_per_second'] / 1e9:.3g} G multiply-adds/s in matrix products, "
        f"{limits['bytes_per_second'] / 1e9:.3g} GB/s copied",
    ]
    if result["training"]:
        lines += ["", *_rows("training steps", result["training"], has_epochs=bool(result["photos"]))]
    if result["prediction"]:
        lines += ["", *_rows("answers", result["prediction"], has_epochs=False)]
    return "\n".join([*lines, "", *advice(result)])


def advice(result: dict[str, Any]) -> list[str]:
    """Return sentences on engine, batch and side; how many photos the epochs are for; what the columns mean."""
    lines = [result["engine"]["says"]] if "says" in result["engine"] else []
    rows = [row for row in result["training"] if "error" not in row]
    batch = best_batch(rows)
    if batch is not None:
        at_best = {row["side"]: row["images_per_second"] for row in rows if row["batch"] == batch}
        smallest, *others = sorted(at_best)
        lines.append(f"batch: {batch} suits this machine (the smallest of those as fast as the fastest)")
        lines += [
            f"side: a photo at {side} px costs {at_best[smallest] / at_best[side]:.1f} times that at {smallest} px"
            for side in others
        ]
    if result["photos"]:
        lines.append(f"epoch: the training steps of {result['photos']:,} photos")
    lines.append("matrix, memory: share of the machine's limit; each layer's output is counted as")
    lines.append("written and read once. Over 100%: kernels saved multiplications (Winograd), or")
    lines.append("something else kept the machine busy while the limit was measured.")
    lines.append("peak: most memory so far.")
    return lines


def best_batch(rows: list[dict[str, Any]]) -> int | None:
    """Return the smallest batch whose rate, over the sides that all batches have, is as good as the best's."""
    by_batch: dict[int, dict[int, float]] = {}
    for row in rows:
        by_batch.setdefault(row["batch"], {})[row["side"]] = row["images_per_second"]
    if len(by_batch) < 2:
        return None
    shared = set.intersection(*(set(rates) for rates in by_batch.values()))
    if not shared:
        return None
    means = {
        batch: math.exp(sum(math.log(rates[side]) for side in shared) / len(shared))
        for batch, rates in by_batch.items()
    }
    return min(batch for batch, mean in means.items() if mean >= AS_GOOD * max(means.values()))


def _rows(title: str, rows: list[dict[str, Any]], has_epochs: bool) -> list[str]:
    has_peaks = any(row.get("peak_memory_bytes") for row in rows)
    head = f"{'side':>8}{'batch':>7}{'images/s':>10}{'ms/photo':>10}{'G mult-adds':>13}{'matrix':>8}{'memory':>8}"
    head += f"{'epoch':>8}" * has_epochs + f"{'peak':>8}" * has_peaks
    return [title, head, *(_row(row, has_epochs, has_peaks) for row in rows)]


def _row(row: dict[str, Any], has_epochs: bool, has_peaks: bool) -> str:
    start = f"{row['side']:>5} px{row['batch']:>7}"
    if "error" in row:
        return f"{start}  {row['error']}"
    text = f"{start}{_figure(row['images_per_second']):>10}{_figure(row['ms_per_photo']):>10}"
    text += f"{row['multiply_adds'] / 1e9:>13.3f}{row['share_of_matrix_rate']:>8.0%}{row['share_of_memory_rate']:>8.0%}"
    if has_epochs:
        text += f"{duration(row['epoch_seconds']):>8}"
    peak = row.get("peak_memory_bytes")
    return text + (f"{peak / 1e9:>5.1f} GB" if peak else "") * has_peaks


def _figure(value: float) -> str:
    """Return three digits that matter, without an exponent."""
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"
