"""Lines on logarithmic axes, as SVG: what grows how."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from xml.sax.saxutils import escape

WIDTH, HEIGHT = 400, 300
LEFT, RIGHT, TOP, BOTTOM = 58, 14, 34, 44
COLOURS = ("#0b6bcb", "#c2570c", "#3b7d23")
FONT = 'font-family="sans-serif" font-size="11"'

Points = Sequence[tuple[float, float]]


@dataclass(frozen=True)
class Chart:
    """A title, what the axes are, and a line of points for each side; `ticks` names places on the x axis."""

    title: str
    across: str
    upwards: str
    lines: Mapping[str, Points]
    ticks: Mapping[float, str]


def picture(charts: Sequence[Chart]) -> str:
    """The charts side by side."""
    width = WIDTH * len(charts)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{HEIGHT}" viewBox="0 0 {width} {HEIGHT}">',
        f'<rect width="{width}" height="{HEIGHT}" fill="#ffffff"/>',
    ]
    for number, chart in enumerate(charts):
        parts += [f'<g transform="translate({number * WIDTH} 0)">', *_chart(chart), "</g>"]
    return "\n".join([*parts, "</svg>", ""])


def _chart(chart: Chart) -> list[str]:
    xs = [x for line in chart.lines.values() for x, _ in line]
    ys = [y for line in chart.lines.values() for _, y in line]
    lowest, highest = math.floor(math.log10(min(ys))), math.ceil(math.log10(max(ys)))
    across = _Scale(math.log10(min(xs)), math.log10(max(xs)), LEFT, WIDTH - RIGHT)
    upwards = _Scale(lowest, highest, HEIGHT - BOTTOM, TOP)
    parts = [_text(WIDTH / 2, 16, chart.title, "middle", weight="bold")]
    parts += [_text(WIDTH / 2, HEIGHT - 8, chart.across, "middle"), _text(4, TOP - 8, chart.upwards, "start")]
    for power in range(lowest, highest + 1):
        y = upwards(power)
        parts.append(f'<line x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y:.1f}" y2="{y:.1f}" stroke="#dddddd"/>')
        parts.append(_text(LEFT - 6, y + 4, f"{10.0**power:g}", "end"))
    for value, name in chart.ticks.items():
        x = across(math.log10(value))
        parts.append(f'<line x1="{x:.1f}" x2="{x:.1f}" y1="{TOP}" y2="{HEIGHT - BOTTOM}" stroke="#eeeeee"/>')
        parts.append(_text(x, HEIGHT - BOTTOM + 16, name, "middle"))
    for number, (name, line) in enumerate(chart.lines.items()):
        colour = COLOURS[number % len(COLOURS)]
        places = [(across(math.log10(x)), upwards(math.log10(y))) for x, y in line]
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in places)
        parts.append(f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2"/>')
        parts += [f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3" fill="{colour}"/>' for x, y in places]
        parts.append(_text(LEFT + 10, TOP + 14 + 15 * number, name, "start", colour=colour, weight="bold"))
    return parts


class _Scale:
    """From a logarithm to a place on the picture."""

    def __init__(self, lowest: float, highest: float, start: float, end: float) -> None:
        self._lowest = lowest
        self._start = start
        self._factor = (end - start) / ((highest - lowest) or 1)

    def __call__(self, value: float) -> float:
        return self._start + (value - self._lowest) * self._factor


def _text(x: float, y: float, text: str, anchor: str, *, colour: str = "#333333", weight: str = "normal") -> str:
    place = f'x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" fill="{colour}" font-weight="{weight}"'
    return f"<text {place} {FONT}>{escape(text)}</text>"
