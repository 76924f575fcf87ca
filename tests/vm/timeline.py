# SPDX-License-Identifier: GPL-2.0-or-later
"""Draws what happened to a guest's memory over time, as one SVG file.

Two panels over one time axis: memory (balloon as an area, host and guest as
lines) and stalls. Phases are shaded and named. Colours come from a palette that
colour-blind readers can tell apart; a dark variant follows the viewer's
preference. Values are bytes and seconds. A value that is missing from a sample
is bridged (not measured), None leaves a gap (does not exist).

Knows nothing of guests: whoever has series may draw them.
"""
from xml.sax.saxutils import escape

GIB = 1 << 30
WIDTH, LEFT, RIGHT, TOP = 1120, 74, 24, 132
MAIN_HEIGHT, GAP, STALL_HEIGHT, BOTTOM = 340, 44, 84, 52
HEIGHT = TOP + MAIN_HEIGHT + GAP + STALL_HEIGHT + BOTTOM

STYLE = """
  .bg { fill: #ffffff } .ink { fill: #1c2430 } .soft { fill: #5b6675 }
  .grid { stroke: #dde2e8; stroke-width: 1 } .axis { stroke: #8a94a3; stroke-width: 1 }
  .band { fill: #f2f4f7 } .bandedge { stroke: #c5ccd6; stroke-width: 1; stroke-dasharray: 2 3 }
  .balloon { fill: #0072b2; fill-opacity: .22; stroke: #0072b2; stroke-width: 1.5 }
  .target { fill: none; stroke: #0072b2; stroke-width: 1.5; stroke-dasharray: 5 4 }
  .host { fill: none; stroke: #d55e00; stroke-width: 3; stroke-linejoin: round }
  .available { fill: none; stroke: #009e73; stroke-width: 2; stroke-linejoin: round }
  .mark { stroke: #d55e00; stroke-width: 1.2; stroke-dasharray: 7 4 }
  .hostink { fill: #b04e00 } .halo { paint-order: stroke; stroke: #ffffff; stroke-opacity: .8; stroke-width: 4px }
  .some { fill: #cc79a7; fill-opacity: .75 } .full { fill: #8c2d62 }
  text { font: 13px system-ui, -apple-system, "Segoe UI", "DejaVu Sans", sans-serif }
  .title { font-size: 20px; font-weight: 600 } .small { font-size: 12px }
  .phase { font-size: 12px; font-weight: 600 }
  @media (prefers-color-scheme: dark) {
    .bg { fill: #12171e } .ink { fill: #e6eaf0 } .soft { fill: #9aa6b5 }
    .grid { stroke: #29313b } .axis { stroke: #66717f } .band { fill: #1a2129 } .bandedge { stroke: #3a4552 }
    .balloon { fill: #56b4e9; stroke: #56b4e9 } .target { stroke: #56b4e9 }
    .host { stroke: #ff9248 } .mark { stroke: #ff9248 } .hostink { fill: #ff9248 }
    .halo { stroke: #12171e } .available { stroke: #2fd1a3 }
    .some { fill: #e79ac6 } .full { fill: #ff6fb5 }
  }
"""


def _step(span, wanted):
    """A round distance between grid lines: 1, 2 or 5 times a power of ten."""
    size = 10.0 ** -3
    while True:
        for factor in (1, 2, 5):
            if span / (size * factor) <= wanted:
                return size * factor
        size *= 10


class Timeline:
    """samples: dicts with t, host, balloon, target, available (bytes or None), some, full (0..1 or None)."""

    def __init__(self, title, subtitle, ram):
        self.title, self.subtitle, self.ram = title, subtitle, ram
        self.samples, self.phases, self.marks, self.events = [], [], [], []

    def add(self, **sample):
        self.samples.append(sample)

    def phase(self, t, name):
        self.phases.append((t, name))

    def event(self, t, label):
        """Something that begins within a phase; a few only, they share one row."""
        self.events.append((t, label))

    def mark(self, value, label):
        """A level to compare the host's line with."""
        self.marks.append((value, label))

    def svg(self):
        end = max(self.samples[-1]["t"], 1.0)
        top = max([self.ram] + [s["host"] for s in self.samples if s["host"] is not None]) * 1.04
        stall_top = max([0.1] + [s["some"] for s in self.samples if s.get("some") is not None]) * 1.1
        stall_base = TOP + MAIN_HEIGHT + GAP + STALL_HEIGHT
        out = []

        def x(t):
            return LEFT + (WIDTH - LEFT - RIGHT) * t / end

        def y(v):
            return TOP + MAIN_HEIGHT * (1 - v / top)

        def ys(v):
            return stall_base - STALL_HEIGHT * v / stall_top

        def text(px, py, s, css="soft", anchor="start"):
            out.append(f'<text x="{px:.1f}" y="{py:.1f}" class="{css}" text-anchor="{anchor}">{escape(s)}</text>')

        def line(x1, y1, x2, y2, css):
            out.append(f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" class="{css}"/>')

        def rect(px, py, w, h, css):
            out.append(f'<rect x="{px:.1f}" y="{py:.1f}" width="{w:.1f}" height="{h:.1f}" class="{css}"/>')

        def path(name, css, close=False):
            runs, run = [], []
            for s in self.samples:
                if name not in s:
                    continue
                if s[name] is None:
                    runs.append(run)
                    run = []
                else:
                    run.append((x(s["t"]), y(s[name])))
            for run in filter(None, runs + [run]):
                if close:
                    run = [(run[0][0], y(0)), *run, (run[-1][0], y(0))]
                points = "L".join(f"{px:.1f},{py:.1f}" for px, py in run)
                out.append(f'<path d="M{points}{"Z" if close else ""}" class="{css}"/>')

        rect(0, 0, WIDTH, HEIGHT, "bg")
        text(LEFT, 34, self.title, "ink title")
        text(LEFT, 56, self.subtitle, "soft")

        # Legend
        px = LEFT
        for css, label in (("host", "host: resident memory of the guest"), ("balloon", "balloon"),
                           ("target", "target"), ("available", "guest: available without the balloon")):
            if css == "balloon":
                rect(px, 72, 24, 12, css)
            else:
                line(px, 78, px + 24, 78, css)
            text(px + 31, 82, label, "ink")
            px += 31 + 7.1 * len(label) + 26

        # Phases
        for i, (t, name) in enumerate(self.phases):
            until = self.phases[i + 1][0] if i + 1 < len(self.phases) else end
            if i % 2 == 0:
                rect(x(t), TOP - 24, x(until) - x(t), stall_base - TOP + 24, "band")
            if i:
                line(x(t), TOP - 24, x(t), stall_base, "bandedge")
            if (x(until) - x(t)) > 6.8 * len(name) + 10:
                text(x(t) + 6, TOP - 8, name, "ink phase")
            else:
                text(x(t) + 6, TOP - 8, str(i + 1), "ink phase")

        # Grid and axes
        step = _step(top / GIB, 6)
        n = 0
        while n * step * GIB <= top:
            line(LEFT, y(n * step * GIB), WIDTH - RIGHT, y(n * step * GIB), "axis" if n == 0 else "grid")
            text(LEFT - 9, y(n * step * GIB) + 4, f"{n * step:.2g}" if step < 1 else f"{n * step:.0f}", anchor="end")
            n += 1
        text(LEFT - 9, TOP - 8, "GiB", anchor="end")
        step = _step(end, 12)
        n = 0
        while n * step <= end:
            line(x(n * step), stall_base, x(n * step), stall_base + 5, "axis")
            text(x(n * step), stall_base + 20, f"{n * step:.0f}", anchor="middle")
            n += 1
        text(WIDTH - RIGHT, stall_base + 40, "seconds", anchor="end")

        # Memory
        path("balloon", "balloon", close=True)
        path("target", "target")
        path("available", "available")
        for value, label in self.marks:
            line(LEFT, y(value), WIDTH - RIGHT, y(value), "mark")
        path("host", "host")
        for value, label in self.marks:
            text(WIDTH - RIGHT - 8, y(value) + 17, label, "hostink small halo", "end")

        for t, label in self.events:
            line(x(t), TOP + 6, x(t), TOP + 18, "axis")
            text(x(t) + 5, TOP + 16, label, "soft small halo")

        # Stalls
        text(LEFT, stall_base - STALL_HEIGHT - 12,
             "time in which some task (dark: all tasks) waited for memory, PSI", "ink small")
        line(LEFT, stall_base, WIDTH - RIGHT, stall_base, "axis")
        line(LEFT, ys(stall_top / 1.1), WIDTH - RIGHT, ys(stall_top / 1.1), "grid")
        text(LEFT - 9, ys(stall_top / 1.1) + 4, f"{stall_top / 1.1:.0%}", anchor="end")
        text(LEFT - 9, stall_base + 4, "0", anchor="end")
        before = 0.0
        for s in self.samples:
            if "some" not in s:
                continue
            for name, css in (("some", "some"), ("full", "full")):
                if s.get(name):
                    rect(x(before), ys(s[name]), max(1.0, x(s["t"]) - x(before)), stall_base - ys(s[name]), css)
            before = s["t"]

        body = "\n".join(out)
        return (f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" '
                f'width="{WIDTH}" height="{HEIGHT}" role="img" aria-label="{escape(self.title)}">\n'
                f"<style>{STYLE}</style>\n{body}\n</svg>\n")
