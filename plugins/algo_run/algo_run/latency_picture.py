"""Latencies by percentile as SVG, a line for each concurrency."""

from __future__ import annotations

import math
from collections.abc import Sequence
from xml.sax.saxutils import escape

from algo_run.measuring import Measurement

WIDTH, HEIGHT = 720, 420
LEFT, RIGHT, TOP, BOTTOM = 72, 24, 48, 48
COLOURS = ("#0b6bcb", "#c2570c", "#3b7d23", "#8a3ffc", "#a8071a", "#5c5c5c")
TICKS = (0.0, 0.5, 0.9, 0.99, 0.999)
"""Percentiles on the axis, which gives each nine as much room as the one before, so that the slowest can be told."""


def latency_picture(title: str, measurements: Sequence[Measurement]) -> str:
    """A picture of at least one measurement with an answer."""
    shown = [found for found in measurements if found.latencies]
    highest = _round_up(max(found.latencies[-1] for found in shown) * 1000)
    most = max(len(found.latencies) for found in shown)
    ticks = [share for share in TICKS if share == 0 or 1 - share >= 1 / (2 * most)]
    right = -math.log10(1 - ticks[-1]) + 0.3
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{HEIGHT}" viewBox="0 0 {WIDTH} {HEIGHT}">',
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="#ffffff"/>',
        _text(LEFT, 24, title, "start", weight="bold"),
        _text(WIDTH - RIGHT, HEIGHT - 8, "share of the calls that took at most this long", "end"),
        _text(8, TOP - 8, "milliseconds", "start"),
    ]
    for step in range(5):
        value = highest * step / 4
        y = _up(value, highest)
        parts.append(f'<line x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y:.1f}" y2="{y:.1f}" stroke="#dddddd"/>')
        parts.append(_text(LEFT - 8, y + 4, f"{value:g}", "end"))
    for share in ticks:
        x = _across(share, right)
        parts.append(f'<line x1="{x:.1f}" x2="{x:.1f}" y1="{TOP}" y2="{HEIGHT - BOTTOM}" stroke="#eeeeee"/>')
        parts.append(_text(x, HEIGHT - BOTTOM + 18, f"{share * 100:g} %", "middle"))
    for number, found in enumerate(shown):
        parts += _line(number, found, right, highest)
    return "\n".join([*parts, "</svg>", ""])


def _line(number: int, found: Measurement, right: float, highest: float) -> list[str]:
    colour, count = COLOURS[number % len(COLOURS)], len(found.latencies)
    end = 1 - 10**-right
    shares = sorted({end, *(1 - 10 ** (-step / 40) for step in range(int(40 * right)))})
    places = [
        (_across(share, right), _up(found.percentile(share) * 1000, highest))
        for share in shares
        if share <= min(end, 1 - 1 / (2 * count))
    ]
    path = " ".join(f"{x:.1f},{y:.1f}" for x, y in places)
    name = f"{found.concurrency} at once: {found.rate:,.4g} calls/s"
    return [
        f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2"/>',
        _text(LEFT + 12, TOP + 18 + 16 * number, name, "start", colour=colour, weight="bold"),
    ]


def _across(share: float, right: float) -> float:
    return LEFT + (WIDTH - LEFT - RIGHT) * min(1.0, -math.log10(1 - share) / right)


def _up(milliseconds: float, highest: float) -> float:
    return HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * milliseconds / highest


def _round_up(value: float) -> float:
    power = 10.0 ** math.floor(math.log10(value)) if value > 0 else 1.0
    return next(step * power for step in (1, 2, 4, 6, 8, 10, 20) if step * power >= value)


def _text(x: float, y: float, text: str, anchor: str, *, colour: str = "#333333", weight: str = "normal") -> str:
    place = f'x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" fill="{colour}" font-weight="{weight}"'
    return f'<text {place} font-family="sans-serif" font-size="12">{escape(text)}</text>'
