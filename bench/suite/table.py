"""Prints what a session found: one table, every cell `median (min) ×ratio`.

The ratio is rt0's median over the peer's: below 1, rt0 needs less. Runs count by how quiet the
machine was, never by their result: those that others disturbed no more than NOISY, or, if these
are fewer than three, the quietest three.
"""

import json
import statistics

from .rows import CRATES, EXAMPLE, PEERS, SWITCHES

NOISY = 0.10
TICK_US = 10_000
LABELS = {
    "ns_per_op": "ns",
    "cpu_ns_per_op": "CPU ns",
    "bytes_per_g": "bytes each",
    "pte_bytes_per_g": "page-table bytes each",
    "wake_ns_per_g": "wake ns each",
    "first_ns": "first ns",
    "again_ns": "again ns",
    "syscalls": "system calls",
    "threads": "threads",
    "us_per_run": "µs",
    "min_us": "least µs",
    "p50_us": "late p50 µs",
    "p99_us": "late p99 µs",
    "max_us": "late max µs",
    "cpu_ms": "CPU ms",
    "request_ns": "ns",
    "request_p99_us": "p99 µs",
    "request_user_ns": "server's user ns",
}


ALONE = (
    *((switch.name, "ns_per_op") for switch in SWITCHES),
    ("spawn_waves", "first_ns"),
    ("spawn_waves", "again_ns"),
    ("wake_busy", "p50_us"),
    ("spawn_busy", "p50_us"),
    ("steal", "p50_us"),
    ("steal", "p99_us"),
    ("hello", "us_per_run"),
    ("hello", "syscalls"),
    ("hello", "threads"),
)
"""Rows without a budget of their own that PERFORMANCE.md speaks of."""


def show(path):
    """Prints the table of the results in `path`, then failures and noise."""
    with open(path) as lines:
        session, *results = map(json.loads, lines)
    runs, metrics = {}, {}
    for result in results:
        runs.setdefault((result["row"], result["as"]), []).append(result)
        metrics[result["row"]] = result["metrics"]
    of_crates = {row for row, who in runs if who in CRATES}
    kinds = {row: "http" if row.startswith("http_") else row in of_crates for row in metrics}
    tables = [
        grid(runs, {row: of for row, of in metrics.items() if kinds[row] == kind}, session)
        for kind in (False, True, "http")
    ]
    print("\n\n".join(filter(None, tables)))
    footnotes(runs)


def grid(runs, metrics, session):
    """The table of some rows; empty without rows."""
    peers = [peer for peer in PEERS if any((row, peer) in runs for row in metrics)]
    columns = [column(peer, session["versions"]) for peer in peers]
    table = [["benchmark", "figure", *columns, "rt0 / best other"]]
    for row, figures in metrics.items():
        for figure in figures:
            cells = {peer: Cell(runs.get((row, peer), []), figure) for peer in peers}
            if any(cell.median is not None for cell in cells.values()):
                table.append([row, LABELS[figure], *line(cells, peers)])
    return markdown(table) if metrics else ""


def column(peer, versions):
    if peer == EXAMPLE:
        return "rt0-http's example"
    runtime, plus, crate = peer.partition("+")
    crate = "crossbeam-channel" if crate == "crossbeam" else crate
    if plus:
        return f"{crate} {versions[crate]} on {runtime}"
    return f"{peer} {versions.get(peer, 'Rust')}"


class Cell:
    """One figure of one peer: its values in the runs that count."""

    def __init__(self, runs, figure):
        counted = quiet([run for run in runs if figure in run])
        values = [run[figure] for run in counted]
        self.median = statistics.median(values) if values else None
        self.least = min(values, default=None)
        self.less = any(run.get("less") for run in counted)
        # Who sleeps through the ticks needs little CPU for them.
        self.starved = figure == "cpu_ms" and any(r.get("p50_us", 0) > TICK_US for r in counted)
        self.failed = not values and any("failed" in run for run in runs)

    def text(self, own):
        if self.median is None:
            return "failed" if self.failed else ""
        ratio = "" if own is None or own is self else f" ×{ratio_of(own, self)}"
        marks = "*" * self.less + "†" * self.starved
        return f"{number(self.median)} ({number(self.least)}){ratio}{marks}"

    def comparable(self):
        return self.median is not None and not self.less and not self.starved


def line(cells, peers):
    """The cells of the peers, and rt0's ratio to the best of the others that did the same work."""
    own = cells.get("rt0")
    own = own if own is not None and own.median is not None else None
    texts = [cells[peer].text(own) for peer in peers]
    others = [p for p in peers if p not in ("rt0", EXAMPLE) and cells[p].comparable()]
    if own is None or not others:
        return [*texts, ""]
    best = min(others, key=lambda peer: cells[peer].median)
    return [*texts, f"×{ratio_of(own, cells[best])} ({best})"]


def ratio_of(own, other):
    return f"{own.median / other.median:.2f}" if other.median else "?"


def quiet(runs):
    runs = sorted(runs, key=lambda run: run["noise"])
    return runs[: max(3, sum(run["noise"] <= NOISY for run in runs))]


def number(value):
    if value >= 1000:
        return f"{value:,.0f}"
    return f"{value:.0f}" if value >= 100 else f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def markdown(table):
    widths = [max(map(len, cells)) for cells in zip(*table)]
    lines = ["| " + " | ".join(c.ljust(w) for c, w in zip(row, widths)) + " |" for row in table]
    lines.insert(1, "|" + "|".join("-" * (width + 2) for width in widths) + "|")
    return "\n".join(lines)


def footnotes(runs):
    every = [run for of_cell in runs.values() for run in of_cell]
    if any(run.get("less") for run in every):
        print("\n\\* a smaller N than the others have; never the best other.")
    if any(run.get("p50_us", 0) > TICK_US for run in every):
        print("\n† half the ticks were later than a whole tick: CPU time of work not done.")
    failures = {(run["row"], run["as"]): run["failed"] for run in every if "failed" in run}
    if failures:
        print("\nFailed:\n")
        for (row, peer), why in failures.items():
            print(f"- {row}, {peer}: {why}")
    print("\n" + noise(runs), end="")


def said_of(runs):
    """One line below a table: how many runs each figure is of, and how quiet it was."""
    every = [run["noise"] for of_cell in runs.values() for run in of_cell if "noise" in run]
    counts = sorted({len(quiet(of_cell)) for of_cell in runs.values()
                     if all("noise" in run for run in of_cell)})
    if not every or not counts:
        return ""
    how_many = "One run each" if counts[-1] == 1 else f"Medians of up to {counts[-1]} runs each"
    return (f"\n{how_many}; other work used {statistics.median(every):.0%} of the "
            "CPUs meanwhile (median over the runs).\n")


def noise(runs):
    """How quiet it was, and how far figures of one cell lie apart; two lines."""
    every = [run for of_cell in runs.values() for run in of_cell]
    noises = sorted(run["noise"] for run in every if "noise" in run)
    said = ""
    if noises:
        at = [noises[int((len(noises) - 1) * share)] for share in (0.5, 0.9, 1.0)]
        said += (f"Noise: {len(noises)} runs; of the CPUs others used {at[0]:.1%} (median), "
                 f"{at[1]:.1%} (p90), {at[2]:.1%} (most).\n")
    spreads = sorted(filter(None.__ne__, map(spread, runs.values())))
    if spreads:
        said += (f"Medians lie {statistics.median(spreads):.1%} (median over the cells), "
                 f"{spreads[int((len(spreads) - 1) * 0.9)]:.1%} (p90) above the least value.\n")
    return said


def alone(runs):
    """Markdown: the rows that only say something of rt0, of Go, and of plain Rust."""
    lines = ["| row | figure | rt0 | Go | tokio | plain Rust |", "|---|---|---|---|---|---|"]
    for row, figure in ALONE:
        cells = [Cell(runs.get((row, peer), []), figure) for peer in ("rt0", "go", "tokio", "plain")]
        if cells[0].median is not None:
            texts = ["" if c.median is None else number(c.median) for c in cells]
            lines.append(f"| `{row}` | {LABELS[figure]} | {' | '.join(texts)} |")
    return "\n".join(lines) + "\n" if len(lines) > 2 else ""


def spread(runs):
    """How far a cell's median is from its least value, as a share of that."""
    figure = runs[0]["metrics"][0]
    values = [run[figure] for run in quiet([run for run in runs if figure in run])]
    if len(values) < 2 or min(values) <= 0:
        return None
    return (statistics.median(values) - min(values)) / min(values)
