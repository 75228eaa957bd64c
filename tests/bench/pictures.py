"""Draws curves: one file for each picture, with its curves beside each other."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

from tests.bench.shape import Curve

_MARKS: Final = ("o", "s", "^", "D", "v", "P", "X")
# Told apart by those who see few colours, too: Okabe and Ito, "Color Universal Design".
_COLOURS: Final = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00", "#000000")
_WIDTH_IN: Final = 3.9
_ALONE_IN: Final = 5.6
_HEIGHT_IN: Final = 3.6
_STYLE: Final[Any] = {
    # The same file for the same figures, and texts that stay texts.
    "svg.hashsalt": "gardien",
    "svg.fonttype": "none",
    "font.family": "sans-serif",
    "font.size": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
}
_LEAST_SPAN: Final = 5.0
"""A curve that varies less than so many times is shown over so many: noise is no rise."""


def draw(curves: Sequence[Curve], file: Path, note: str) -> None:
    """Draw the curves of one picture as SVG, both axes logarithmic.

    Args:
        curves: at least one.
        file: written anew.
        note: set small below them.
    """
    with mpl.rc_context(_STYLE):
        width = _ALONE_IN if len(curves) == 1 else _WIDTH_IN * len(curves)
        figure = Figure(figsize=(width, _HEIGHT_IN), layout="constrained")
        shares = len({curve.y for curve in curves}) == 1
        panels = figure.subplots(1, len(curves), squeeze=False, sharey=shares)[0]
        for axes, curve in zip(panels, curves, strict=True):
            _draw_one(axes, curve)
            if shares:
                axes.label_outer()
        _widen(panels, curves, shares=shares)
        names = [line.name for line in curves[0].lines]
        if len(names) > 1:
            handles = panels[0].get_lines()
            figure.legend(
                handles, names, loc="outside upper left", ncols=2 * len(curves), frameon=False
            )
        figure.supxlabel(note, fontsize=7, color="#555555", x=0.01, ha="left")
        figure.savefig(file, format="svg", metadata={"Date": None, "Creator": "gardien"})


def _draw_one(axes: Axes, curve: Curve) -> None:
    for place, line in enumerate(curve.lines):
        axes.plot(
            [x for x, _ in line.points],
            [y for _, y in line.points],
            marker=_MARKS[place % len(_MARKS)],
            color=_COLOURS[place % len(_COLOURS)],
            markersize=5,
            linewidth=1.4,
        )
    axes.set_title(curve.title, fontsize=10, loc="left")
    axes.set_xlabel(curve.x)
    axes.set_ylabel(curve.y)
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.grid(visible=True, which="major", color="#dddddd", linewidth=0.6)
    axes.set_axisbelow(True)
    places = sorted({x for line in curve.lines for x, _ in line.points})
    axes.set_xticks(places, [_short(x) for x in places])
    axes.xaxis.set_minor_locator(NullLocator())
    axes.yaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda y, _: _short(y)))
    axes.yaxis.set_minor_locator(NullLocator())


def _widen(panels: Sequence[Axes], curves: Sequence[Curve], *, shares: bool) -> None:
    """Leave room above and below, and never look closer than `_LEAST_SPAN`."""
    groups = [curves] if shares else [[curve] for curve in curves]
    for axes, group in zip(panels, groups, strict=False):
        values = [y for curve in group for line in curve.lines for _, y in line.points if y > 0]
        low, high = min(values) / 1.25, max(values) * 1.25
        more = max(1.0, _LEAST_SPAN / (high / low)) ** 0.5
        axes.set_ylim(low / more, high * more)


def _short(value: float) -> str:
    for least, sign in ((1_000_000, "M"), (1_000, "k")):
        if value >= least:
            return f"{value / least:g}{sign}"
    return f"{value:g}"
