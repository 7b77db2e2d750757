# SPDX-License-Identifier: GPL-2.0
"""The plots of the page, as SVG by matplotlib; colours follow those of the page, light or dark."""
from __future__ import annotations

import io
import re
from typing import Any, Callable, Dict, List, Sequence

from .page_data import Run

MISSING = ("The plots need matplotlib: apt install python3-matplotlib, then umthp report again.")
MAX_BARS = 24
# Colours that nothing else has: the page's own take their place.
_COLOURS = {"#fe0101": "var(--fg)", "#fe0202": "var(--mute)", "#fe0303": "var(--line)",
            "#fe0404": "var(--pass)", "#fe0505": "var(--accent)", "#fe0606": "var(--void)"}
_FG, _MUTE, _LINE, _PASS, _ACCENT, _VOID = _COLOURS


def draw(run: Run, names: Sequence[str], groups: Sequence[Dict[str, Any]]) -> Dict[str, str]:
    """Each plot that there is something to show in, as a <figure>."""
    import matplotlib
    # `none`: text stays text, which can be searched, read aloud and zoomed. The salt makes the
    # same plot out of the same numbers.
    with matplotlib.rc_context({"svg.fonttype": "none", "svg.hashsalt": "umthp",
                                "font.family": "sans-serif", "font.size": 10}):
        made = {}
        if run.milliseconds:
            made["suites"] = _figure("Seconds by suite", _by_suite(run, names))
            made["cases"] = _figure("How long a case takes", _spread(run))
        if groups:
            made["coverage"] = _figure("Lines reached, per cent", _coverage(groups))
        return made


def _figure(caption: str, svg: str) -> str:
    return "<figure><figcaption>%s</figcaption>%s</figure>" % (caption, svg)


def _svg(width: float, height: float, label: str, fill: Callable[[Any], None]) -> str:
    from matplotlib.backends.backend_svg import FigureCanvasSVG
    from matplotlib.figure import Figure
    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasSVG(figure)
    axes = figure.add_subplot()
    for side in ("top", "right", "left"):
        axes.spines[side].set_visible(False)
    axes.spines["bottom"].set_color(_LINE)
    axes.patch.set_visible(False)
    axes.set_axisbelow(True)
    fill(axes)
    axes.tick_params(colors=_MUTE, length=0)
    for tick in axes.get_yticklabels():
        tick.set_color(_FG)
    out = io.StringIO()
    figure.savefig(out, format="svg", transparent=True, metadata={
        "Date": None, "Creator": None, "Format": None, "Type": None})
    return themed(out.getvalue(), label)


def themed(text: str, label: str) -> str:
    """The <svg> element alone, with the page's colours, and a name for who cannot see it."""
    text = text[text.index("<svg"):]
    for colour, variable in _COLOURS.items():
        text = text.replace(colour, variable)
    text = re.sub(r"<metadata>.*?</metadata>", "", text, flags=re.S)
    return text.replace("<svg", '<svg role="img" aria-label="%s"' % label, 1)


def _plain(axes: Any, names: Sequence[str]) -> None:
    # Names come from logs: nothing in them is mathematics.
    axes.set_yticks(range(len(names)))
    for label in axes.set_yticklabels(names):
        label.set_parse_math(False)


def printable(text: str) -> str:
    """Without what XML cannot hold; long names are cut."""
    text = "".join(character if character.isprintable() else "?" for character in text)
    return text if len(text) <= 44 else text[:43] + "…"


def _by_suite(run: Run, names: Sequence[str]) -> str:
    sums: Dict[str, float] = {}
    for number, took in run.milliseconds.items():
        suite = names[number].partition(".")[0]
        sums[suite] = sums.get(suite, 0.0) + took / 1000
    top = sorted(sums.items(), key=lambda item: -item[1])
    rest = top[MAX_BARS:]
    top = top[:MAX_BARS]
    if rest:
        top.append(("%d more suites" % len(rest), sum(took for _suite, took in rest)))
    top.reverse()

    def fill(axes: Any) -> None:
        values = [took for _suite, took in top]
        bars = axes.barh(range(len(top)), values, color=_ACCENT, height=0.66)
        _plain(axes, [printable(suite) for suite, _took in top])
        axes.bar_label(bars, ["%.2f" % value for value in values], padding=4, color=_MUTE,
                       fontsize=9)
        axes.margins(x=0.09, y=0.01)
        axes.xaxis.grid(True, color=_LINE, linewidth=0.7)
        axes.spines["bottom"].set_visible(False)
    return _svg(7.4, 0.6 + 0.235 * len(top), "Seconds by suite", fill)


def _spread(run: Run) -> str:
    edges = [0, 0.3, 1, 3, 10, 30, 100, 300, 1000]
    titles = ["< %g" % edges[1]] + ["%g–%g" % pair for pair in zip(edges[1:], edges[2:])] \
        + ["> %g" % edges[-1]]
    counts: List[int] = [0] * len(titles)
    for took in run.milliseconds.values():
        counts[sum(took >= edge for edge in edges[1:])] += 1

    def fill(axes: Any) -> None:
        bars = axes.bar(range(len(titles)), counts, color=_PASS, width=0.8)
        axes.set_xticks(range(len(titles)))
        axes.set_xticklabels(titles, fontsize=8.5)
        axes.bar_label(bars, [str(count) if count else "" for count in counts], padding=2,
                       color=_MUTE, fontsize=9)
        axes.set_xlabel("ms", color=_MUTE)
        axes.set_yticks([])
        axes.margins(y=0.12)
    return _svg(7.4, 3.2, "How many cases take how long", fill)


def _coverage(groups: Sequence[Dict[str, Any]]) -> str:
    shown = list(reversed(groups))

    def fill(axes: Any) -> None:
        values = [100 * group["hit"] / group["total"] for group in shown]
        axes.barh(range(len(shown)), [100] * len(shown), color=_VOID, height=0.62)
        axes.barh(range(len(shown)), values, color=_PASS, height=0.62)
        _plain(axes, [printable(group["title"]) for group in shown])
        for at, (value, group) in enumerate(zip(values, shown)):
            axes.text(101, at, "%d %% of %d" % (group["percent"], group["total"]), va="center",
                      color=_MUTE, fontsize=9)
        axes.set_xlim(0, 122)
        axes.set_xticks([])
        axes.margins(y=0.01)
        axes.spines["bottom"].set_visible(False)
    return _svg(8.6, 0.4 + 0.24 * len(shown), "Lines reached by file", fill)
