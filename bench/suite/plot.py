"""Draws the plots of the README from a session's results: bars per row, curves over the number of
goroutines and of workers. Plain SVG, made by hand."""

import json
import math
from html import escape

from .rows import CURVES, RUNTIMES
from .table import Cell, LABELS, ratio_of, number, said_of

COLOURS = {"rt0": "#c2410c", "go": "#0891b2", "tokio": "#4d7c0f", "smol": "#7c3aed", "may": "#78716c"}

# What the bars and the README's table show: row, figure.
SHOWN = (
    ("spawn_join", "ns_per_op"),
    ("spawn_serial", "ns_per_op"),
    ("spawn_waves", "first_ns"),
    ("spawn_waves", "again_ns"),
    ("spawn_tree", "ns_per_op"),
    ("fib", "ns_per_op"),
    ("yield_pair 1P", "ns_per_op"),
    ("yield_many 2P", "ns_per_op"),
    ("chan_pingpong 1P", "ns_per_op"),
    ("chan_pingpong 2P", "ns_per_op"),
    ("chan_mpmc", "ns_per_op"),
    ("chan_prime", "ns_per_op"),
    ("select", "ns_per_op"),
    ("mutex", "ns_per_op"),
    ("tcp_echo", "ns_per_op"),
    ("timers", "p99_us"),
    ("timer_stop", "ns_per_op"),
    ("timer_func_stop", "ns_per_op"),
    ("sleep_100us", "ns_per_op"),
    ("mix_none", "p99_us"),
    ("mix_none", "cpu_ms"),
    ("mix_cpu hop", "p99_us"),
    ("mix_block hop", "p99_us"),
    ("wake_busy", "p50_us"),
    ("spawn_busy", "p50_us"),
    ("steal", "p50_us"),
    ("parked_mem", "bytes_per_g"),
    ("hello", "us_per_run"),
)


def read(path):
    """The session's first line, and the runs by row and peer."""
    runs = {}
    with open(path) as lines:
        session, *results = map(json.loads, lines)
    for result in results:
        runs.setdefault((result["row"], result["as"]), []).append(result)
    return session, runs


def cell(runs, row, peer, figure):
    return Cell(runs.get((row, peer), []), figure)


def publish(results, docs):
    """Writes the plots and a copy of the results into `docs`; the session and its runs."""
    docs.mkdir(parents=True, exist_ok=True)
    session, runs = read(results)
    (docs / "results.jsonl").write_text(results.read_text())
    (docs / "bars.svg").write_text(bars(runs))
    for curve in CURVES:
        (docs / f"{curve.name}.svg").write_text(curves(runs, curve, curve.figure, curve.title))
        if curve.also:
            name, figure, title = curve.also
            (docs / f"{name}.svg").write_text(curves(runs, curve, figure, title))
    return session, runs


def short_table(session, runs):
    """The rows of SHOWN as Markdown: medians, and rt0's ratio to the best of the others."""
    names = [f"{peer} {session['versions'][peer]}" for peer in RUNTIMES]
    lines = ["| | " + " | ".join(names) + " | rt0 / best other |", "|---" * (len(RUNTIMES) + 2) + "|"]
    for row, figure in SHOWN:
        cells = {peer: cell(runs, row, peer, figure) for peer in RUNTIMES}
        own = cells["rt0"]
        if own.median is None:
            continue
        texts = ["" if c.median is None else number(c.median) + "*" * c.less for c in cells.values()]
        others = [c for p, c in cells.items() if p != "rt0" and c.comparable()]
        best = min(others, key=lambda c: c.median, default=None)
        ratio = f"{ratio_of(own, best)}" if best else ""
        lines.append(f"| {row}, {LABELS[figure]} | " + " | ".join(texts) + f" | {ratio} |")
    shown = {row for row, _ in SHOWN}
    of_runtimes = {key: of for key, of in runs.items() if key[0] in shown and key[1] in RUNTIMES}
    return "\n".join(lines) + "\n" + said_of(of_runtimes)


def bars(runs):
    """For each row what each runtime needs, Go's being 1, on a logarithmic scale."""
    left, width, bar, gap, top = 200, 560, 9, 12, 66
    low, high = 1 / 32, 8.0
    rows = []
    for row, figure in SHOWN:
        cells = {peer: cell(runs, row, peer, figure) for peer in RUNTIMES}
        if cells["go"].median and cells["rt0"].median:
            rows.append((f"{row}, {LABELS[figure]}", cells))
    at = lambda v: left + width * math.log(min(max(v, low), high) / low) / math.log(high / low)
    body, y = [], top
    for label, cells in rows:
        present = [(peer, c) for peer, c in cells.items() if c.median]
        middle = y + len(present) * bar / 2
        body.append(text(left - 8, middle + 4, label, anchor="end"))
        for peer, c in present:
            share = c.median / cells["go"].median
            x = at(share)
            body.append(rect(left, y, max(x - left, 1), bar - 1, COLOURS[peer]))
            # The figure of rt0, and how many times Go's where a bar does not fit.
            said = number(c.median) if peer == "rt0" else ""
            if share > high:
                said = f"{said} ({share:.0f}×)" if said else f"{share:.0f}×"
            if said:
                body.append(text(x + 4, y + bar - 1, said, size=10, halo=True))
            y += bar
        y += gap
    grid = []
    for power in range(-5, 4):
        x = at(2.0**power)
        name = f"1/{2 ** -power}" if power < 0 else f"{2 ** power}×" if power else "Go"
        grid.append(line_of(x, top - 8, x, y - gap, "#78716c" if power == 0 else "#e7e5e4"))
        grid.append(text(x, top - 12, name, anchor="middle", size=10))
    title = "Cost beside Go's; less is better, each line is twice the one before"
    return svg(left + width + 70, y + 10, legend(left, 38, RUNTIMES) + grid + body, title)


def curves(runs, curve, figure, title):
    """A figure over a growing number, both on logarithmic scales."""
    left, width, top, height = 80, 560, 66, 300
    series = {}
    for peer in RUNTIMES:
        points = [(x, cell(runs, row, peer, figure)) for x, row in curve.points()]
        points = [(x, c.median) for x, c in points if c.median and not c.less]
        if points:
            series[peer] = points
    values = [v for points in series.values() for _, v in points]
    xs = sorted({x for points in series.values() for x, _ in points})
    if not values:
        return svg(left + width, top, [], title)
    ticks = ticks_of(min(values), max(values))
    low, high = ticks[0], ticks[-1]
    span = math.log(xs[-1] / xs[0]) or 1
    at_x = lambda x: left + width * math.log(x / xs[0]) / span
    at_y = lambda v: top + height * (1 - math.log(v / low) / math.log(high / low))
    say = nanoseconds if figure.startswith("ns") else bytes_of
    body = []
    for value in ticks:
        y = at_y(value)
        body += [line_of(left, y, left + width, y, "#e7e5e4"),
                 text(left - 8, y + 4, say(value), anchor="end", size=11)]
    for x in xs:
        body.append(text(at_x(x), top + height + 18, f"{x:,}", anchor="middle", size=11))
    body.append(text(left + width / 2, top + height + 38, curve.axis, anchor="middle"))
    for peer, points in reversed(series.items()):  # rt0 above the others
        path = " ".join(f"{at_x(x):.1f},{at_y(v):.1f}" for x, v in points)
        body.append(f'<polyline points="{path}" fill="none" stroke="{COLOURS[peer]}" '
                    f'stroke-width="{3 if peer == "rt0" else 2}"/>')
        body += [f'<circle cx="{at_x(x):.1f}" cy="{at_y(v):.1f}" r="3.5" fill="{COLOURS[peer]}"/>'
                 for x, v in points]
    for peer, y in apart({peer: at_y(points[-1][1]) for peer, points in series.items()}).items():
        body.append(text(at_x(series[peer][-1][0]) + 8, y + 4, peer, colour=COLOURS[peer], halo=True))
    return svg(left + width + 60, top + height + 50, legend(left, 38, series) + body, title)


def ticks_of(low, high):
    """Round values around `low` to `high`: the fewest steps of which there are at least four."""
    for steps in ((1,), (1, 3), (1, 2, 5), (1, 1.5, 2, 3, 4, 5, 7)):
        every = [s * 10.0**e for e in range(-3, 16) for s in steps]
        first = max(v for v in every if v <= low)
        last = min(v for v in every if v >= high and v > first)
        ticks = [v for v in every if first <= v <= last]
        if len(ticks) >= 4:
            return ticks
    return ticks


def nanoseconds(ns):
    for unit, size in (("s", 1e9), ("ms", 1e6), ("µs", 1e3)):
        if ns >= size:
            return f"{ns / size:g} {unit}"
    return f"{ns:g} ns"


def bytes_of(n):
    for unit, size in (("MB", 1e6), ("kB", 1e3)):
        if n >= size:
            return f"{n / size:g} {unit}"
    return f"{n:g} B"


def apart(heights, least=13):
    """The same heights, moved so that no two labels cover each other."""
    placed, last = {}, -math.inf
    for peer, y in sorted(heights.items(), key=lambda item: item[1]):
        last = max(y, last + least)
        placed[peer] = last
    return placed


def legend(x, y, peers):
    items = []
    for peer in peers:
        items += [rect(x, y - 8, 10, 10, COLOURS[peer]), text(x + 14, y + 1, peer)]
        x += 36 + 8 * len(peer)
    return items


def rect(x, y, w, h, colour):
    return f'<rect x="{x:.1f}" y="{y:.1f}" width="{w:.1f}" height="{h}" fill="{colour}"/>'


def line_of(x1, y1, x2, y2, colour):
    return f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" stroke="{colour}"/>'


def text(x, y, words, anchor="start", size=12, colour="#292524", halo=False):
    """With a halo it can be read on top of lines and bars."""
    edge = ' stroke="#fff" stroke-width="3" paint-order="stroke"' if halo else ""
    return (f'<text x="{x:.1f}" y="{y:.1f}" font-size="{size}" text-anchor="{anchor}" '
            f'fill="{colour}"{edge}>{escape(words)}</text>')


def svg(width, height, body, title):
    head = (f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:.0f} {height:.0f}" '
            f'width="{width:.0f}" height="{height:.0f}" font-family="sans-serif">')
    back = f'<rect width="100%" height="100%" fill="#fff"/><title>{escape(title)}</title>'
    return "\n".join([head, back, text(12, 18, title, size=14), *body, "</svg>"]) + "\n"
