"""The design's budget, and what a session says to it: the table of docs/PERFORMANCE.md.

The budget was written beside what the peers needed on the machine of that day. Another machine, or a
busy one, is judged by the same peers: `here` is the budget times what they need now over what they
needed then.
"""

import math
from dataclasses import dataclass, field

from .rows import RUNTIMES
from .table import Cell, number, said_of


@dataclass(frozen=True)
class Line:
    """One figure that has a budget."""

    what: str
    row: str
    figure: str
    budget: float
    then: dict[str, float] = field(default_factory=dict)
    """What the peers needed when the budget was written, in the line's unit."""
    unit: float = 1
    """How many of the figure's unit the line's has."""
    rate: bool = False
    """Thousands a second, made of the figure's ns: more is better."""
    of: str = ""
    """The budget is a share of this peer's figure."""

    def value(self, runs, peer):
        """In the line's unit; None where there is none that can be compared."""
        cell = Cell(runs.get((self.row, peer), []), self.figure)
        if not cell.comparable() or not cell.median:
            return None
        return 1e6 / cell.median if self.rate else cell.median / self.unit

    def better(self, a, b):
        return a >= b if self.rate else a <= b


def of(go, tokio=None, smol=None, may=None, **others):
    """The peers' figures. `kanal_on_tokio` is the peer `tokio+kanal`."""
    named = {"go": go, "tokio": tokio, "smol": smol, "may": may}
    for name, value in others.items():
        crate, on, runtime = name.partition("_on_")
        named[f"{runtime}+{crate}" if on else name] = value
    return {peer: value for peer, value in named.items() if value is not None}


LINES = (
    Line("start, run, end, ns", "spawn_join", "ns_per_op", 180, of(332, 602, 262, 1933)),
    Line("the same, joined at once, ns", "spawn_serial", "ns_per_op", 180),
    Line("skynet, a leaf, ns", "spawn_tree", "ns_per_op", 400, of(890, 1014, 787)),
    Line("fib, a start, ns", "fib", "ns_per_op", 250, of(619, 414, 799)),
    Line("yield, a pair on 1 P, ns", "yield_pair 1P", "ns_per_op", 35, of(87, 312, 66, 55)),
    Line("yield, 1000 on 2 Ps, ns", "yield_many 2P", "ns_per_op", 25, of(130, 27, 86, 35)),
    Line("round trip, 1 P, ns", "chan_pingpong 1P", "ns_per_op", 90,
         of(356, 178, 292, 245, kanal_on_tokio=115)),
    Line("round trip, 2 Ps, ns", "chan_pingpong 2P", "ns_per_op", 130,
         of(335, 312, 584, 264, kanal_on_tokio=165)),
    Line("message, 4 to 4, of 128 places, ns", "chan_mpmc", "ns_per_op", 16,
         of(62, 99, 78, 36, kanal_on_tokio=16)),
    Line("sieve, a send, ns", "chan_prime", "ns_per_op", 32,
         of(127, 63, 190, 95, kanal_on_tokio=34)),
    Line("select of 4, ns", "select", "ns_per_op", 150, of(393, 314, 317)),
    Line("mutex, 8 contenders, ns", "mutex", "ns_per_op", 13, of(15.3, 118, 70, 144)),
    Line("parked, bytes each of 1M", "parked_mem 1M", "bytes_per_g", 8800),
    Line("100,000 timers, late p99, ms", "timers", "p99_us", 0.5, of(22, 2.7, 12), unit=1000),
    Line("100,000 timers, CPU ms", "timers", "cpu_ms", 300, of(716, 342, 1090)),
    Line("timer added and stopped, ns", "timer_stop", "ns_per_op", 90, of(202, 103, 140)),
    Line("the same with a function, ns", "timer_func_stop", "ns_per_op", 90, of(202)),
    Line("sleep of 100 µs, µs", "sleep_100us", "ns_per_op", 150, of(1127, 1206, 163, 190),
         unit=1000),
    Line("1000 tickers, late p99, µs", "mix_none", "p99_us", 200, of(1160, 2070, 220, 170)),
    Line("1000 tickers, CPU ms a second", "mix_none", "cpu_ms", 120, of(238, 125, 1209, 479)),
    Line("tickers beside CPU hogs, late p99, ms", "mix_cpu hop", "p99_us", 10, of(71), unit=1000),
    Line("tickers beside blocking calls, late p99, ms", "mix_block hop", "p99_us", 1, of(18),
         unit=1000),
    Line("hello, share of Go's", "hello", "us_per_run", 0.75, of="go"),
    Line("hello, share of plain Rust's", "hello", "us_per_run", 1.1, of="plain"),
    Line("HTTP raw, 64, thousand a second", "http_raw 64", "request_ns", 145,
         of(118, 147, 125, 143, epoll=144), rate=True),
    Line("HTTP raw, 64, p99, µs", "http_raw 64", "request_p99_us", 750,
         of(1180, 795, 746, 704, epoll=893)),
    Line("HTTP raw, 64, server's user µs", "http_raw 64", "request_user_ns", 0.45,
         of(0.85, 0.78, 0.56, 0.59, epoll=0.28), unit=1000),
    Line("HTTP raw, 1000, thousand a second", "http_raw 1000", "request_ns", 107,
         of(86, 104, 80, 82, epoll=109), rate=True),
    Line("HTTP raw, 1000, p99, ms", "http_raw 1000", "request_p99_us", 13,
         of(17.8, 141, 19.4, 14.2, epoll=11.7), unit=1000),
    Line("HTTP library, 64, thousand a second", "http_lib 64", "request_ns", 145,
         of(64, may=123, hyper_on_tokio=127, httparse_on_tokio=146), rate=True),
)


def table(runs):
    """Markdown, a line for each of LINES that the session has."""
    head = ("row", "budget", "rt0", "met", "Go", "best other", "peers, now / then", "budget here",
            "met here")
    lines = [f"| {' | '.join(head)} |", "|---" * len(head) + "|"]
    for line in LINES:
        own = line.value(runs, "rt0")
        if own is not None:
            lines.append(f"| {' | '.join(judged(line, runs, own))} |")
    return "\n".join(lines) + "\n"


def judged(line, runs, own):
    sign = "≥" if line.rate else "≤"
    name = f"{line.what} (`{line.row}`)"
    if line.of:
        other = line.value(runs, line.of)
        if not other:
            return (name, f"{sign} {line.budget}", "", "", "", "", "", "", "")
        met = yes(own / other <= line.budget)
        return (name, f"{sign} {line.budget}", f"{own / other:.2f}", met, "", "", "", "", met)
    peers = {peer: line.value(runs, peer) for row, peer in runs
             if row == line.row and not peer.startswith("rt0")}
    peers = {peer: value for peer, value in peers.items() if value is not None}
    best = (max if line.rate else min)(peers, key=peers.get, default=None)
    moved = [peers[peer] / then for peer, then in line.then.items() if peer in peers]
    scale = math.exp(sum(map(math.log, moved)) / len(moved)) if moved else None
    here = line.budget * scale if scale else line.budget
    return (
        name, f"{sign} {number(line.budget)}", number(own), yes(line.better(own, line.budget)),
        number(peers["go"]) if "go" in peers else "",
        f"{number(peers[best])} ({best})" if best else "",
        f"{scale:.2f}" if scale else "", f"{sign} {number(here)}", yes(line.better(own, here)),
    )


def yes(met):
    return "yes" if met else "**no**"


SERVERS = (
    ("http_raw", "no library", (*RUNTIMES, "epoll")),
    ("http_lib", "", ("rt0", "rt0+example", "go", "may", "tokio+httparse", "tokio+hyper", "tokio+axum")),
)
LIBRARY = {"rt0": "rt0-http", "rt0+example": "rt0-http's example", "go": "Go's net/http", "may": "may_minihttp"}


def http_table(runs):
    """Markdown for the README: each server at 64 and 1000 connections, by both loads."""
    head = ["server"]
    for connections in ("64", "1000"):
        head += [f"{connections}: req/s", "p99 ms", "user µs", "wrk req/s", "wrk p99 ms"]
    lines = [f"| {' | '.join(head)} |", "|---|" + "--:|" * (len(head) - 1)]
    for bench, kind, peers in SERVERS:
        for peer in peers:
            cells = []
            for connections in (64, 1000):
                own, wrk = ((f"{bench} {connections}{load}", peer) for load in ("", " wrk"))
                cells += [rate(runs, own), scaled(runs, own, "request_p99_us"),
                          scaled(runs, own, "request_user_ns"), rate(runs, wrk),
                          scaled(runs, wrk, "request_p99_us")]
            if any(cells):
                runtime, _, crate = peer.partition("+")
                name = f"{peer}, {kind}" if kind else LIBRARY.get(peer, f"{crate} on {runtime}")
                lines.append(f"| {name} | {' | '.join(cells)} |")
    of_http = {key: of for key, of in runs.items() if key[0].startswith("http_")}
    return "\n".join(lines) + "\n" + said_of(of_http) if len(lines) > 2 else ""


def rate(runs, key):
    median = Cell(runs.get(key, []), "request_ns").median
    return number(1e9 / median) if median else ""


def scaled(runs, key, figure):
    median = Cell(runs.get(key, []), figure).median
    return "" if median is None else number(median / 1000)
