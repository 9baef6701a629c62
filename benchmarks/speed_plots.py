"""The plots of docs/speed.md."""

from typing import Any

from matplotlib import pyplot as plt

from peers.settings import GROWTH, GROWTH_SIDE_PX, SIDES_PX
from peers.summary import spread
from plots import redraw
from speed_tables import PASSES, STEPS, limit, programs_of

COLOURS = {
    "Fireweed": "#b0307a", "Fireweed, bounded": "#e08fc0", "stock Keras": "#d08a2e", "tf.data": "#d08a2e",
    "PyTorch eager": "#7a8fa6", "torch.compile": "#34638f", "fastai": "#4f9d8c",
}  # fmt: skip
Result = dict[str, Any]


def redraw_speed(result: Result) -> list[str]:
    """Draw the plots anew where these figures are others, as `redraw` does."""
    return redraw(
        {"speed-steps.svg": lambda: steps(result), "speed-growth.svg": lambda: growth(result)}, result["figures"]
    )


def steps(result: Result) -> Any:
    """Draw how much every program's training step multiplies, net by net, below what the chip can; range as a line."""
    peak = limit(result, "flops").median / 2e9
    cases = [case for case in STEPS if programs_of(result, case)]
    picture, axes = plt.subplots(1, max(len(cases), 1), figsize=(11, 3), squeeze=False)
    for case, axis in zip(cases, axes[0], strict=False):
        programs = [name for name in COLOURS if name in programs_of(result, case)]
        for place, program in enumerate(programs):
            found = spread(result["runs"], case, program, "rate")
            if found is None:
                continue
            scale = PASSES * result["nets"][case][program]["multiply_adds"] / 1e9
            axis.bar(place, scale * found.median, color=COLOURS[program], width=0.8)
            axis.plot([place, place], [scale * found.least, scale * found.most], color="black", linewidth=1)
            axis.text(place, scale * found.most, f"{found.median:.3g}", ha="center", va="bottom", fontsize=7.5)
        axis.axhline(peak, color="grey", linestyle="--", linewidth=1)
        axis.set_xticks(range(len(programs)), programs, rotation=55, ha="right")
        words = case.split()
        axis.set_title(f"{words[1]}\n{words[2]} px, batch {words[-1]}", fontsize=9)
    axes[0][0].set_ylabel("G multiply-adds a second")
    picture.tight_layout()
    return picture


def growth(result: Result) -> Any:
    """Draw how time and memory grow with photos, and how the step's rate falls with the side."""
    picture, (time, memory, sides) = plt.subplots(1, 3, figsize=(11, 3.2))
    for program in ("Fireweed", "Fireweed, bounded", "tf.data"):
        rows = [row for times in GROWTH if (row := _growth_row(result, times, program))]
        for axis, column in ((time, 1), (memory, 2)):
            photos = [row[0] for row in rows]
            axis.plot(photos, [row[column] for row in rows], "o-", color=COLOURS[program], label=program)
    for axis, words in ((time, "two epochs of input, s"), (memory, "peak memory, MB")):
        axis.set(xlabel=f"photos, {GROWTH_SIDE_PX} px", ylabel=words, ylim=(0, None))
    for program in ("Fireweed", "stock Keras"):
        measured = [(side, spread(result["runs"], f"step squeezenet {side} px batch 32", program, "rate"))
                    for side in SIDES_PX]  # fmt: skip
        rates = [(side, found.median) for side, found in measured if found]
        seconds = [1000 / rate for _, rate in rates]
        sides.plot([side for side, _ in rates], seconds, "o-", color=COLOURS[program], label=program)
    sides.set(xlabel="side, px (squeezenet, batch 32)", ylabel="training step, ms a photo", ylim=(0, None))
    for axis in (time, memory, sides):
        if axis.has_data():
            axis.legend(frameon=False, fontsize=8)
    picture.tight_layout()
    return picture


def _growth_row(result: Result, times: int, program: str) -> tuple[float, float, float] | None:
    case = f"growth {times}x photos {GROWTH_SIDE_PX} px"
    runs = [run for run in result["runs"] if run["case"] == case and run["program"] == program and "photos" in run]
    peak = spread(result["runs"], case, program, "peak_bytes")
    if not runs or peak is None:
        return None
    seconds = sorted(sum(run["seconds"]) for run in runs)
    return runs[0]["photos"], seconds[len(seconds) // 2], peak.median / 1e6
