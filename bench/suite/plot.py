"""Draws the plots of the README from a session's results: bars per row, curves over the number of
goroutines and of workers. Plain SVG, made by hand."""

import json
import math
from html import escape

from .rows import CURVES, RUNTIMES
from .table import Cell, LABELS, ratio_of, number

COLOURS = {"rt0": "#c2410c", "go": "#0891b2", "tokio": "#4d7c0f", "smol": "#7c3aed", "may": "#78716c"}

# What the bars and the README's table show: row, figure.
SHOWN = (
    ("spawn_join", "ns_per_op"),
    ("spawn_serial", "ns_per_op"),
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
    ("timer_stop", "ns_per_op"),
    ("timer_func_stop", "ns_per_op"),
    ("sleep_100us", "ns_per_op"),
    ("mix_none", "p99_us"),
    ("mix_none", "cpu_ms"),
    ("mix_cpu hop", "p99_us"),
    ("mix_block hop", "p99_us"),
    ("wake_busy", "p50_us"),
    ("spawn_busy", "p50_us"),
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
    """Writes the plots and a copy of the results into `docs`, and returns the short table."""
    docs.mkdir(parents=True, exist_ok=True)
    session, runs = read(results)
    (docs / "results.jsonl").write_text(results.read_text())
    (docs / "bars.svg").write_text(bars(runs))
    for curve in CURVES:
        (docs / f"{curve.name}.svg").write_text(curves(runs, curve))
    return short_table(session, runs)


def short_table(session, runs):
    """The rows of SHOWN as Markdown: medians, and rt0's ratio to Go and to the best of the others."""
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
    return "\n".join(lines) + "\n"


def bars(runs):
    """For each row what each runtime needs, Go's being 1, on a logarithmic scale."""
    left, width, bar, gap, top = 190, 560, 8, 12, 46
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
            if peer == "rt0":
                body.append(text(x + 4, y + bar, number(c.median), size=10))
            y += bar
        y += gap
    grid = []
    for power in range(-5, 4):
        x = at(2.0**power)
        name = f"1/{2 ** -power}" if power < 0 else f"{2 ** power}×" if power else "Go"
        grid.append(line_of(x, top - 8, x, y - gap, "#a8a29e" if power == 0 else "#e7e5e4"))
        grid.append(text(x, top - 12, name, anchor="middle", size=10))
    return svg(left + width + 60, y + 10, legend(left, 14, RUNTIMES) + grid + body,
               "Cost of an operation beside Go's; less is better")


def curves(runs, curve):
    """A figure over a growing number, both on logarithmic scales."""
    left, width, top, height = 70, 560, 46, 300
    series = {}
    for peer in RUNTIMES:
        points = [(x, cell(runs, row, peer, curve.figure)) for x, row in curve.points()]
        points = [(x, c.median) for x, c in points if c.median and not c.less]
        if points:
            series[peer] = points
    values = [v for points in series.values() for _, v in points]
    xs = [x for points in series.values() for x, _ in points]
    if not values:
        return svg(left + width, top, [], curve.title)
    low, high = 2.0 ** math.floor(math.log2(min(values))), 2.0 ** math.ceil(math.log2(max(values)))
    high = max(high, low * 2)
    span = math.log(max(xs) / min(xs)) or 1
    at_x = lambda x: left + width * math.log(x / min(xs)) / span
    at_y = lambda v: top + height * (1 - math.log(v / low) / math.log(high / low))
    body, value = [], low
    while value <= high:
        y = at_y(value)
        body += [line_of(left, y, left + width, y, "#e7e5e4"),
                 text(left - 6, y + 4, number(value), anchor="end", size=10)]
        value *= 2
    for x in sorted(set(xs)):
        body.append(text(at_x(x), top + height + 16, f"{x:,}", anchor="middle", size=10))
    body.append(text(left + width / 2, top + height + 34, curve.axis, anchor="middle"))
    for peer, points in series.items():
        path = " ".join(f"{at_x(x):.1f},{at_y(v):.1f}" for x, v in points)
        body.append(f'<polyline points="{path}" fill="none" stroke="{COLOURS[peer]}" stroke-width="2"/>')
        body += [f'<circle cx="{at_x(x):.1f}" cy="{at_y(v):.1f}" r="3" fill="{COLOURS[peer]}"/>'
                 for x, v in points]
    return svg(left + width + 30, top + height + 44, legend(left, 14, series) + body, curve.title)


def legend(x, y, peers):
    items = []
    for peer in peers:
        items += [rect(x, y - 8, 10, 10, COLOURS[peer]), text(x + 14, y + 1, peer)]
        x += 30 + 8 * len(peer)
    return items


def rect(x, y, w, h, colour):
    return f'<rect x="{x:.1f}" y="{y:.1f}" width="{w:.1f}" height="{h}" fill="{colour}"/>'


def line_of(x1, y1, x2, y2, colour):
    return f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" stroke="{colour}"/>'


def text(x, y, words, anchor="start", size=12):
    return (f'<text x="{x:.1f}" y="{y:.1f}" font-size="{size}" text-anchor="{anchor}" '
            f'fill="#292524">{escape(words)}</text>')


def svg(width, height, body, title):
    head = (f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:.0f} {height:.0f}" '
            f'width="{width:.0f}" height="{height:.0f}" font-family="sans-serif">')
    back = f'<rect width="100%" height="100%" fill="#fff"/><title>{escape(title)}</title>'
    return "\n".join([head, back, *body, "</svg>"]) + "\n"
