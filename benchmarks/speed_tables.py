"""The tables of docs/speed.md and the READMEs, from measurements/speed.json."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from peers.settings import GROWTH, GROWTH_SIDE_PX, SIDES_PX
from peers.summary import OURS, SAME_NET, STEP, XCEPTION_STEP, Spread, goals, overlap, quotient, ratio, spread, values

STEPS = (STEP, "step squeezenet 192 px batch 16", "step squeezenet 192 px batch 64", XCEPTION_STEP,
         "step xception 160 px batch 16", "step xception 160 px bfloat16 batch 32")  # fmt: skip
PASSES = 3  # a training step multiplies about three times as much as a forward pass: forward, and two gradients
ACTIVATION_MOVES = 5  # an output is written and read, read once more backwards, its gradient written and read
WEIGHT_MOVES = 10  # read twice, gradient written and read, Adam's two averages and the weight read and written
NONE = "-"
README_ROWS = (
    (STEP, "rate", SAME_NET),
    (XCEPTION_STEP, "rate", (*SAME_NET, "fastai")),
    ("input from shards 192 px", "later_rates", ("tf.data",)),
    ("writing shards 192 px", "rate", ("tf.data",)),
    ("predict squeezenet 192 px", "rate", ("stock Keras",)),
    ("predict xception 160 px", "rate", ("stock Keras",)),
)
Result = dict[str, Any]


def tables() -> dict[str, Callable[[Result], str]]:
    """Return the function of each table by the name it has in docs/speed.md."""
    return {"machine": machine, "goals": goals_table, "steps": steps_table, "epochs": epochs_table,
            "input": input_table, "predictions": predictions_table, "starts": starts_table, "sides": sides_table,
            "growth": growth_table}  # fmt: skip


def machine(result: Result) -> str:
    """Say what was measured on, with what, and how fast the machine itself is."""
    runs, versions = result["runs"], {**result["versions"], **result["peers"]}
    peak, copied = limit(result, "flops"), limit(result, "copy_bytes_per_second")
    vectors = "AVX-512" if result["has_avx512"] else "no AVX-512"
    lines = [
        f"{result['chip']}, {result['cores']} cores, {vectors}; {result['system']}, Python {result['python']}; "
        + ", ".join(f"{name} {version}" for name, version in versions.items())
        + f". {result['date']}, commit {result['commit']}; {result['rounds']} round(s).",
        "",
        f"Limits of the machine, in the same run: matrix product {figure(peak, 1e-9)} GFLOP/s (NumPy, 2048 x 2048, "
        f"float32); copying memory {figure(copied, 1e-9)} GB/s (256 MB, one thread, read + write); decoding JPEGs "
        f"{figure(spread(runs, 'limits', 'NumPy', 'decode_rate'))} photos/s (OpenCV, all cores, nothing else).",
    ]
    failed = sorted({f"{run['case']}, {run['program']}: {run['error']}" for run in runs if "error" in run})
    lines += [f"\nNot measured, since the program failed: {'; '.join(failed)}."] if failed else []
    return "\n".join([*(["**A quick trial of the harness with few steps and photos; rely on none of it.**", ""]
                        if result["is_quick"] else []), *lines]) + "\n"  # fmt: skip


def goals_table(result: Result) -> str:
    rows = []
    for goal in goals(result):
        sign = ">=" if goal.is_at_least else "<="
        found = figure(goal.found, 1, "{:.2f}") if goal.found else NONE
        rows.append((goal.what, f"{sign} {goal.need:g}", found, goal.verdict))
    return table(("what", "goal, times", "measured (range, n)", ""), rows)


def steps_table(result: Result) -> str:
    rows = [row for case in STEPS for row in _step_rows(result, case)]
    head = ("step", "program", "photos/s (range, n)", "Fireweed is times as fast", "G multiply-adds a photo",
            "of the matrix rate", "of the memory rate", "peak memory, GB", "to the first step, s")  # fmt: skip
    return table(head, rows)


def sides_table(result: Result) -> str:
    rows = []
    for side_px in SIDES_PX:
        case = f"step squeezenet {side_px} px batch 32"
        wanted = [row for row in _step_rows(result, case) if row[1] in (OURS, "stock Keras")]
        rows += [(f"{side_px} px", *row[1:6], row[7]) for row in wanted]
    head = ("side", "program", "photos/s (range, n)", "Fireweed is times as fast", "G multiply-adds a photo",
            "of the matrix rate", "peak memory, GB")  # fmt: skip
    return table(head, rows)


def _step_rows(result: Result, case: str) -> Iterator[tuple[str, ...]]:
    runs = result["runs"]
    nets = result["nets"].get(case, {})
    for program, net in nets.items():
        rate = spread(runs, case, program, "rate")
        if rate is None:
            continue
        ours = nets.get(OURS, net)
        is_same_net = ours["multiply_adds"] == net["multiply_adds"]
        moved = ours if is_same_net and "activation_bytes" in ours else {}
        yield (
            case.removeprefix("step "),
            program,
            figure(rate),
            faster_by(result, case, "rate", program) if is_same_net else "another net",
            f"{net['multiply_adds'] / 1e9:.3f}",
            share(2 * PASSES * net["multiply_adds"] * rate.median, limit(result, "flops")),
            share(rate.median * _moved_bytes(moved, case), limit(result, "copy_bytes_per_second")) if moved else NONE,
            figure(spread(runs, case, program, "peak_bytes"), 1e-9, "{:.2f}", has_range=False),
            figure(spread(runs, case, program, "first_step_seconds"), has_range=False),
        )


def _moved_bytes(net: dict[str, Any], case: str) -> float:
    """Return the least bytes that a step moves for each photo, were every layer's work done in one pass."""
    batch = int(case.rsplit(" ", 1)[1])
    return ACTIVATION_MOVES * net["activation_bytes"] + WEIGHT_MOVES * 4 * net["parameters"] / batch


def epochs_table(result: Result) -> str:
    runs, case, rows = result["runs"], "epoch squeezenet 192 px batch 32", []
    for program in programs_of(result, case):
        first, later, alone = (values(runs, case, program, key) for key in ("rate", "later_rate", "step_rate"))
        rows.append((program, figure(spread(runs, case, program, "rate")),
                     figure(spread(runs, case, program, "step_rate")), figure(quotient(first, alone), 1, "{:.3f}"),
                     figure(quotient(later, alone), 1, "{:.3f}"),
                     faster_by(result, case, "rate", program)))  # fmt: skip
    head = ("program", "photos/s of epoch one (range, n)", "photos/s of the step alone", "epoch one / step",
            "epoch two / step", "Fireweed is times as fast")  # fmt: skip
    return table(head, rows)


def input_table(result: Result) -> str:
    runs, rows = result["runs"], []
    decoding, copying = (limit(result, key) for key in ("decode_rate", "copy_bytes_per_second"))
    for case, key, words in (
        ("input from photos 192 px", "first_rate", "epoch one, from photos"),
        ("input from shards 192 px", "first_rate", "epoch one, from shards"),
        ("input from photos 192 px", "later_rates", "later epochs, from photos"),
        ("input from shards 192 px", "later_rates", "later epochs, from shards"),
        ("writing shards 192 px", "rate", "writing shards"),
    ):
        for program in programs_of(result, case):
            rate = spread(runs, case, program, key)
            if rate is None:
                continue
            bound = NONE
            if key == "later_rates":
                bound = share(rate.median * 2 * 3 * 192**2, copying) + " of copying"
            elif "from shards" not in case:
                bound = share(rate.median, decoding) + " of decoding"
            memory = figure(spread(runs, case, program, "peak_bytes"), 1e-9, "{:.2f}", has_range=False)
            rows.append((words, program, figure(rate), faster_by(result, case, key, program), bound, memory))
    head = ("192 px", "program", "photos/s (range, n)", "Fireweed is times as fast", "limit reached", "peak memory, GB")
    return table(head, rows)


def predictions_table(result: Result) -> str:
    runs, rows = result["runs"], []
    for net, side_px, step in (("squeezenet", 192, STEP), ("xception", 160, XCEPTION_STEP)):
        case = f"predict {net} {side_px} px"
        cost = result["nets"].get(step, {}).get(OURS, {}).get("multiply_adds")
        for program in programs_of(result, case):
            rate = spread(runs, case, program, "rate")
            if rate is None:
                continue
            photos = next(run["photos"] for run in runs if run["case"] == case and "photos" in run)
            peak, latency = (spread(runs, case, program, key) for key in ("peak_bytes", "latency_seconds"))
            rows.append((f"{net} {side_px} px, {photos} photos", program, figure(rate),
                         faster_by(result, case, "rate", program),
                         share(2 * cost * rate.median, limit(result, "flops")) if cost else NONE,
                         figure(latency, 1e3), figure(peak, 1e-9, "{:.2f}", has_range=False)))  # fmt: skip
    head = ("folder", "program", "photos/s (range, n)", "Fireweed is times as fast", "of the matrix rate",
            "one photo, ms", "peak memory, GB")  # fmt: skip
    return table(head, rows)


def starts_table(result: Result) -> str:
    runs = result["runs"]
    cases = [case for case in result["figures"] if case.startswith("start ")]
    rows = [(case.removeprefix("start "), program, figure(spread(runs, case, program, "seconds"), 1, "{:.2f}"))
            for case in cases for program in programs_of(result, case)]  # fmt: skip
    return table(("what", "program", "seconds (range, n)"), rows)


def held_table(held: Result) -> str:
    """Return the rates of a step whose libraries were held to AVX2, from held-to-avx2.json."""
    spreads = {name: Spread(f["median"], f["min"], f["max"], f["n"]) for name, f in held["figures"].items()}
    rows = [(name, figure(spreads[name]), figure(spreads["times as fast"], 1, "{:.2f}") if name != OURS else NONE)
            for name in (OURS, "stock Keras")]  # fmt: skip
    heads = ("held to AVX2", "photos/s (range, n)", "Fireweed is times as fast")
    return f"{table(heads, rows)}\n{measured_on(held)}\n"


def measured_on(facts: dict[str, Any]) -> str:
    """Say in short on what, and of what, a measurement is."""
    return f"{facts['chip']}, {facts['cores']} cores; {facts['date']}, commit {facts['commit']}."


def growth_table(result: Result) -> str:
    runs, rows = result["runs"], []
    for times in GROWTH:
        case = f"growth {times}x photos {GROWTH_SIDE_PX} px"
        for program in programs_of(result, case):
            measured = [run for run in runs if run["case"] == case and run["program"] == program and "photos" in run]
            epochs = [Spread.of([run["photos"] / run[key] if key == "first_rate" else run["photos"] / run[key][0]
                                 for run in measured]) for key in ("first_rate", "later_rates")]  # fmt: skip
            rows.append((f"{times}x: {measured[0]['photos']:,}", program, *(figure(s, 1, "{:.3g}") for s in epochs),
                         *(figure(spread(runs, case, program, key), 1e-6, "{:.0f}", has_range=False)
                           for key in ("peak_bytes", "held_bytes"))))  # fmt: skip
    head = ("photos", "program", "epoch one, s (range, n)", "a later epoch, s", "peak memory, MB",
            "held at the end, files' pages apart, MB")  # fmt: skip
    return table(head, rows)


def readme_table(result: Result, head: Sequence[str], names: dict[str, str]) -> str:
    """Return the short table of a README; `names` says each case in its language."""
    runs, rows = result["runs"], []
    for case, key, peers in README_ROWS:
        ours = spread(runs, case, OURS, key)
        measured = [(found.median, peer) for peer in peers if (found := spread(runs, case, peer, key))]
        times = ratio(runs, case, key, peers)
        if ours and times:
            best, peer = max(measured)
            rows.append((names[case], number(ours.median), f"{number(best)} ({peer})", figure(times, 1, "{:.2f}")))
    return table(head, rows)


def faster_by(result: Result, case: str, key: str, program: str) -> str:
    """Say how many times as fast Fireweed is as a program, in pairs of one round; or that noise hides it."""
    ours, theirs = (spread(result["runs"], case, name, key) for name in (OURS, program))
    times = ratio(result["runs"], case, key, (program,))
    if program == OURS or ours is None or theirs is None or times is None:
        return NONE
    words = figure(times, 1, "{:.2f}")
    return f"equal within noise: {words}" if ours.n > 1 and overlap(ours, theirs) else words


def programs_of(result: Result, case: str) -> list[str]:
    return list(result["figures"].get(case, {}))


def limit(result: Result, key: str) -> Spread:
    found = spread(result["runs"], "limits", "NumPy", key)
    if found is None:
        raise ValueError(f"the run has no {key} of the machine itself; measure again")
    return found


def share(value: float, of: Spread) -> str:
    return f"{value / of.median:.0%}"


def number(value: float) -> str:
    """Return three digits at least, and no fractions of hundreds."""
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def figure(found: Spread | None, scale: float = 1, form: str = "", has_range: bool = True) -> str:
    """Return "median (least to most, n = n)"."""
    if found is None:
        return NONE
    median, least, most = (
        form.format(scale * v) if form else number(scale * v) for v in (found.median, found.least, found.most)
    )
    if not has_range:
        return median
    return f"{median} (n = 1)" if found.n == 1 else f"{median} ({least} to {most}, n = {found.n})"


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = ["| " + " | ".join(cells) + " |" for cells in (head, ("---",) * len(head), *rows)]
    return "\n".join(lines) + "\n"
