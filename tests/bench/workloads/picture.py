# SPDX-License-Identifier: GPL-2.0-or-later
"""Host memory over time, a line for each configuration, the phases shaded: one SVG file.

Colours come from a palette that colour-blind readers can tell apart, and lines differ in their dashes as well;
a dark variant follows the viewer's preference.
"""
from xml.sax.saxutils import escape

from . import configs

WIDTH, HEIGHT, LEFT, RIGHT, TOP, BOTTOM = 1120, 560, 70, 24, 150, 48
GIB = 1 << 30
# (light, dark, dashes)
LINES = (("#6b7480", "#9aa6b5", ""), ("#e69f00", "#f5b942", "2 3"), ("#009e73", "#2fd1a3", "9 3"),
         ("#cc79a7", "#e79ac6", "6 3 2 3"), ("#56b4e9", "#8fd0f5", "4 4"),
         ("#0072b2", "#5aa9e6", "12 4"), ("#d55e00", "#ff9248", ""))


def _style(count):
    light = "".join(f" .l{i} {{ stroke: {LINES[i][0]}; stroke-dasharray: {LINES[i][2] or 'none'} }}" for i in range(count))
    dark = "".join(f" .l{i} {{ stroke: {LINES[i][1]} }}" for i in range(count))
    return (".bg { fill: #fff } .ink { fill: #1c2430 } .soft { fill: #5b6675 } .grid { stroke: #dde2e8 } .band { fill: #f2f4f7 }"
            " .line { fill: none; stroke-width: 2; stroke-linejoin: round } .last { stroke-width: 3.5 }" + light +
            ' text { font: 13px system-ui, "Segoe UI", "DejaVu Sans", sans-serif } .title { font-size: 20px; font-weight: 600 }'
            " .small { font-size: 12px }"
            " @media (prefers-color-scheme: dark) { .bg { fill: #12171e } .ink { fill: #e6eaf0 } .soft { fill: #9aa6b5 }"
            " .grid { stroke: #29313b } .band { fill: #1a2129 }" + dark + " }")


def svg(title, subtitle, runs, ram):
    """@runs: Runs of one set, in the order of the legend; the last is drawn on top."""
    runs = [r for r in runs if r.samples]
    end = max(r.samples[-1].t for r in runs)
    top = ram / GIB * 1.04
    out = []

    def x(t):
        return LEFT + (WIDTH - LEFT - RIGHT) * t / end

    def y(gib):
        return HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * gib / top

    def text(px, py, s, css="soft", anchor="start", more=""):
        out.append(f'<text x="{px:.1f}" y="{py:.1f}" class="{css}" text-anchor="{anchor}"{more}>{escape(s)}</text>')

    out.append(f'<rect width="{WIDTH}" height="{HEIGHT}" class="bg"/>')
    text(LEFT, 34, title, "ink title")
    text(LEFT, 56, subtitle)
    for n, d in enumerate(runs[-1].done):
        out.append(f'<rect x="{x(d.start):.1f}" y="{TOP}" width="{max(x(d.end) - x(d.start), 2):.1f}" '
                   f'height="{HEIGHT - TOP - BOTTOM}" class="band"/>')
        text(x((d.start + d.end) / 2), TOP - 8 - 15 * (n % 2), d.phase.name, "soft small", "middle")
    step = .5 if top <= 3 else 1
    for n in range(int(top / step) + 1):
        out.append(f'<line x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y(n * step):.1f}" y2="{y(n * step):.1f}" class="grid"/>')
        text(LEFT - 8, y(n * step) + 4, f"{n * step:g} GiB", "soft small", "end")
    for n in range(0, int(end) + 1, 30):
        text(x(n), HEIGHT - BOTTOM + 20, f"{n} s", "soft small", "middle")
    for n, run in enumerate(runs):
        points = "L".join(f"{x(s.t):.1f},{y(s.rss / GIB):.1f}" for s in run.samples)
        # A configuration looks the same in every picture.
        css = f"line l{configs.NAMES.index(run.config.name)}" + (" last" if n == len(runs) - 1 else "")
        out.append(f'<path d="M{points}" class="{css}"/>')
        px = LEFT + n * 175
        out.append(f'<path d="M{px},86L{px + 34},86" class="{css}"/>')
        text(px + 42, 90, run.config.name, "ink")
    return (f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH}" height="{HEIGHT}" '
            f'role="img" aria-label="{escape(title)}">\n<style>{_style(len(LINES))}</style>\n' + "\n".join(out) + "\n</svg>\n")
