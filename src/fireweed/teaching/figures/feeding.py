"""Figures of feeding: how quick each stage is, who waits for whom, losses side by side, how far a step moves layers."""

from collections.abc import Mapping, Sequence

from fireweed.teaching.figure import (
    BLUE,
    DASHES,
    GREY,
    INK,
    LINE_COLORS,
    ORANGE,
    Figure,
    finish,
    legend,
    sheet,
)
from fireweed.teaching.language import pick

_SIGNS = ("o", "^", "s")


def show_rates(rates: Mapping[str, float], is_marked: bool = True) -> Figure:
    """Show how many photos a second each stage makes, bars on a scale of powers of ten; the slowest can be marked."""
    drawing, (place,) = sheet(1, 1, 6.4, 0.42 * len(rates) + 0.7)
    slowest = min(rates, key=lambda name: rates[name])
    low = min(rates.values()) / 3
    for row, (name, rate) in enumerate(rates.items()):
        is_slowest = is_marked and name == slowest
        place.barh(
            row,
            rate - low,
            left=low,
            height=0.6,
            color=ORANGE if is_slowest else BLUE,
            hatch="//" if is_slowest else None,
            edgecolor=INK,
            linewidth=0.6,
        )
        mark = pick("  ◀ slowest", "  ◀ 最慢") if is_slowest else ""
        place.text(rate * 1.1, row, f"{rate:,.0f}{mark}", va="center", color=INK)
    place.set_yticks(range(len(rates)), list(rates))
    place.set_xscale("log")
    place.set_xlim(low, max(rates.values()) * 8)
    place.xaxis.set_major_formatter(lambda rate, _: f"{rate:,.0f}")
    place.invert_yaxis()
    place.set_xlabel(pick("photos a second", "每秒張數"))
    told = ", ".join(f"{name} {rate:,.0f}" for name, rate in rates.items())
    ending = pick(f"; the slowest is {slowest}", f"；最慢的是{slowest}") if is_marked else ""
    return finish(drawing, pick(f"Bars of photos a second: {told}", f"每秒張數的長條圖：{told}") + ending)


def show_timeline(prepare_seconds: float, train_seconds: float, batches: int = 5) -> Figure:
    """Show when batches are prepared and trained on: in turn, and with the next one prepared meanwhile."""
    drawing, axes = sheet(2, 1, 6.8, 1.25, sharex=True)
    in_turn = [number * (prepare_seconds + train_seconds) for number in range(batches)]
    ahead = _overlapped(prepare_seconds, train_seconds, batches)
    plans = (
        (pick("in turn", "輪流"), [(start, start + prepare_seconds) for start in in_turn]),
        (pick("ahead (prefetch)", "預先（prefetch）"), ahead),
    )
    ends = []
    for place, (title, starts) in zip(axes, plans, strict=True):
        for number, (prepared, trained) in enumerate(starts):
            _span(place, prepared, prepare_seconds, 0, str(number), BLUE, None)
            _span(place, trained, train_seconds, 1, str(number), ORANGE, "//")
        ends.append(starts[-1][1] + train_seconds)
        place.set_yticks([0, 1], [pick("prepare", "準備"), pick("train", "訓練")])
        place.set_title(f"{title}: {ends[-1] * 1000:,.0f} ms", loc="left")
        place.set_ylim(1.5, -0.5)
    axes[1].set_xlabel(pick("milliseconds", "毫秒"))
    axes[1].xaxis.set_major_formatter(lambda value, _: f"{value * 1000:,.0f}")
    return finish(drawing, pick(
        f"{batches} batches, each prepared in {prepare_seconds * 1000:.0f} ms and trained on in "
        f"{train_seconds * 1000:.0f} ms: in turn they take {ends[0] * 1000:.0f} ms, "
        f"prepared ahead {ends[1] * 1000:.0f} ms",
        f"{batches} 個批次，每個準備 {prepare_seconds * 1000:.0f} 毫秒、訓練 {train_seconds * 1000:.0f} 毫秒："
        f"輪流進行共 {ends[0] * 1000:.0f} 毫秒，預先準備共 {ends[1] * 1000:.0f} 毫秒",
    ))  # fmt: skip


def show_same_losses(one: Sequence[float], several: Sequence[float], devices: int) -> Figure:
    """Show the losses of a training on one device as a line, and those on several devices as squares upon it."""
    drawing, (place,) = sheet(1, 1, 4.8, 2.5)
    steps = range(1, len(one) + 1)
    place.plot(steps, one, color=BLUE, label=pick("1 device", "1 個裝置"))
    name = pick(f"{devices} devices", f"{devices} 個裝置")
    place.plot(steps, several, "s", color=ORANGE, markerfacecolor="none", markersize=7, label=name)
    place.xaxis.get_major_locator().set_params(integer=True)
    place.set_xlabel(pick("step", "步數"))
    place.set_ylabel(pick("loss", "損失"))
    legend(place, "upper right")
    apart = max(abs(a - b) for a, b in zip(one, several, strict=True))
    return finish(drawing, pick(
        f"Losses of {len(one)} steps, from {one[0]:.3f} to {one[-1]:.3f}; "
        f"on {devices} devices the same within {apart:.1g}",
        f"{len(one)} 步的損失，由 {one[0]:.3f} 到 {one[-1]:.3f}；{devices} 個裝置的損失相同，相差至多 {apart:.1g}",
    ))  # fmt: skip


def show_moves(moves: Mapping[str, Mapping[str, float]]) -> Figure:
    """Show how far one step moves each layer's weights, as a share of their size: a sign for each optimizer."""
    from matplotlib.ticker import LogLocator, NullLocator

    layers = list(next(iter(moves.values())))
    drawing, (place,) = sheet(1, 1, 6.0, 0.32 * len(layers) + 0.9)
    for number, (name, shares) in enumerate(moves.items()):
        style = {"marker": _SIGNS[number], "color": LINE_COLORS[number], "linestyle": DASHES[number]}
        place.plot([shares[layer] for layer in layers], range(len(layers)), linewidth=0.8, label=name, **style)
    place.set_yticks(range(len(layers)), layers)
    place.set_ylim(len(layers) - 0.5, -0.5)
    place.set_xscale("log")
    place.xaxis.set_major_locator(LogLocator(subs=(1, 3)))
    place.xaxis.set_minor_locator(NullLocator())
    place.xaxis.set_major_formatter(lambda value, _: f"{100 * value:g}%")
    place.grid(axis="x", color=GREY, linewidth=0.3)
    place.set_xlabel(pick("moved by one step, as a share of the weights", "一步移動多少（相對於權重大小）"))
    legend(place)
    told = "; ".join(
        pick(
            f"{name} from {min(shares.values()):.1e} to {max(shares.values()):.1e}",
            f"{name} 由 {min(shares.values()):.1e} 到 {max(shares.values()):.1e}",
        )
        for name, shares in moves.items()
    )
    return finish(
        drawing,
        pick(
            f"How far one step moves the weights of {len(layers)} layers, relative to their size: {told}",
            f"一步使 {len(layers)} 層的權重移動多少（相對於權重大小）：{told}",
        ),
    )


def _overlapped(prepare_seconds: float, train_seconds: float, batches: int) -> list[tuple[float, float]]:
    """Return when each batch is begun to be prepared, and trained on, where one waits ready at most."""
    plan: list[tuple[float, float]] = []
    for number in range(batches):
        prepared = plan[-1][0] + prepare_seconds if plan else 0.0
        if number > 1:
            prepared = max(prepared, plan[-1][1])
        free = plan[-1][1] + train_seconds if plan else 0.0
        plan.append((prepared, max(prepared + prepare_seconds, free)))
    return plan


def _span(place, start: float, length: float, row: int, text: str, color: str, hatch: str | None) -> None:  # type: ignore[no-untyped-def]
    place.barh(row, length, left=start, height=0.8, color=color, alpha=0.45, hatch=hatch, edgecolor=INK, linewidth=0.6)
    place.text(start + length / 2, row, text, ha="center", va="center", color=INK)
