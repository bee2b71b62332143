"""Curves as SVG, with a logarithmic scale on both sides. Readable on a light and on a dark page."""

import math
from html import escape

from .results import Curve

WIDTH, HEIGHT = 720, 420
LEFT, RIGHT, TOP, BOTTOM = 70, 130, 40, 55

# For each line: on a light page, on a dark one, and how it is dashed.
COLOURS = {
    "countersign": ("#0969da", "#58a6ff", ""),
    "python-tuf": ("#bc4c00", "#f0883e", ""),
    "tuftool": ("#8250df", "#bc8cff", ""),
    "sigstore-tuf": ("#1a7f37", "#56d364", ""),
    "limit": ("#57606a", "#8b949e", "5 4"),
}


def svg(curve: Curve) -> str:
    points = [point for line in curve.lines.values() for point in line]
    across = Scale([x for x, _ in points], LEFT, WIDTH - RIGHT)
    up = Scale([y for _, y in points], HEIGHT - BOTTOM, TOP)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" '
        f'aria-label="{escape(curve.title)}" font-family="sans-serif" font-size="12">',
        _style(curve),
        f'<text x="{LEFT}" y="20" font-size="14" class="text">{escape(curve.title)}</text>',
    ]
    for value in across.decades():
        x = across.at(value)
        parts.append(f'<line x1="{x:.1f}" y1="{TOP}" x2="{x:.1f}" y2="{HEIGHT - BOTTOM}" class="grid"/>')
        parts.append(f'<text x="{x:.1f}" y="{HEIGHT - BOTTOM + 18}" text-anchor="middle" class="text">{value:,.0f}</text>')
    for value in up.decades():
        y = up.at(value)
        parts.append(f'<line x1="{LEFT}" y1="{y:.1f}" x2="{WIDTH - RIGHT}" y2="{y:.1f}" class="grid"/>')
        parts.append(f'<text x="{LEFT - 8}" y="{y + 4:.1f}" text-anchor="end" class="text">{_seconds(value)}</text>')
    middle = (LEFT + WIDTH - RIGHT) / 2
    parts.append(f'<text x="{middle}" y="{HEIGHT - 12}" text-anchor="middle" class="text">{escape(curve.over)}</text>')
    places = (TOP + HEIGHT - BOTTOM) / 2
    parts.append(
        f'<text transform="translate(16 {places}) rotate(-90)" text-anchor="middle" class="text">processor time</text>'
    )
    parts += _lines(curve, across, up)
    return "\n".join([*parts, "</svg>", ""])


class Scale:
    """From numbers to places on the page, by their logarithm."""

    def __init__(self, values: list[float], begin: float, end: float) -> None:
        self.low = 10 ** math.floor(math.log10(min(values)) + 1e-9)
        self.high = 10 ** math.ceil(math.log10(max(values)) - 1e-9)
        if self.high <= self.low:
            self.high = self.low * 10
        self.begin, self.end = begin, end

    def at(self, value: float) -> float:
        part = math.log10(value / self.low) / math.log10(self.high / self.low)
        return self.begin + part * (self.end - self.begin)

    def decades(self) -> list[float]:
        count = round(math.log10(self.high / self.low))
        return [self.low * 10**power for power in range(count + 1)]


def _lines(curve: Curve, across: Scale, up: Scale) -> list[str]:
    parts, ends = [], []
    for name, line in curve.lines.items():
        places = [(across.at(x), up.at(y)) for x, y in line]
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in places)
        parts.append(f'<polyline points="{path}" class="{name} line"/>')
        parts += [f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3" class="{name} dot"/>' for x, y in places]
        ends.append((places[-1], name))
    # Names stand where their lines end, apart from each other.
    lowest = -math.inf
    for (x, y), name in sorted(ends, key=lambda end: end[0][1]):
        lowest = max(y + 4, lowest + 14)
        parts.append(f'<text x="{WIDTH - RIGHT + 10}" y="{lowest:.1f}" class="{name} name">{escape(name)}</text>')
    return parts


def _style(curve: Curve) -> str:
    def rules(which: int) -> str:
        text, grid = (("#1f2328", "#d0d7de"), ("#e6edf3", "#3d444d"))[which]
        lines = [f".text{{fill:{text}}} .grid{{stroke:{grid}}}"]
        for name in curve.lines:
            colour = COLOURS[name][which]
            lines.append(f".{name}.line{{stroke:{colour}}} .{name}.dot,.{name}.name{{fill:{colour}}}")
        return " ".join(lines)

    dashes = " ".join(f".{name}.line{{stroke-dasharray:{COLOURS[name][2]}}}" for name in curve.lines if COLOURS[name][2])
    dark = f"@media (prefers-color-scheme: dark) {{ {rules(1)} }}"
    return f"<style>.line{{fill:none;stroke-width:2}} .grid{{stroke-width:0.5}} {rules(0)} {dashes} {dark}</style>"


def _seconds(value: float) -> str:
    if value >= 1:
        return f"{value:,.0f} s"
    return f"{value * 1e3:g} ms" if value >= 1e-3 else f"{value * 1e6:g} µs"
