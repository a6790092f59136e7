"""Runs rows: each row of each peer once, then all again, so that a slow minute of the machine is
everybody's, and a session cut short still has its table."""

import json
import sys
import time

from . import build, measure
from .rows import Http, PEERS

RESULTS = build.BENCH / "results.jsonl"
"""One line a run; written anew by each session."""


def run(rows, args):
    """Runs `rows` and writes RESULTS."""
    wanted = [name for name in args.peers.split(",") if name]
    dropped = {}
    wrk = [row for row in rows if isinstance(row, Http) and row.wrk]
    if wrk and measure.lacks("wrk", "the rows http_* wrk are left out"):
        rows = [row for row in rows if row not in wrk]
    with RESULTS.open("w") as out:
        write(out, {"versions": build.versions(), "quick": args.quick})
        for repetition in range(args.reps):
            start = time.monotonic()
            for row in rows:
                if repetition >= row.repetitions(args):
                    continue
                peers = [p for p in PEERS if row.has(p, args) and (not wanted or p in wanted)]
                peers = [p for p in peers if dropped.get((row.name, p), 0) < 2]
                if not peers:
                    continue
                # Who goes first changes, so that nobody is always the one after a noisy peer.
                turn = repetition % len(peers)
                for peer, result in results_of(row, peers[turn:] + peers[:turn], args):
                    if result is None:
                        dropped[row.name, peer] = 2
                        continue
                    if "failed" in result:
                        dropped[row.name, peer] = dropped.get((row.name, peer), 0) + 1
                    write(out, {"row": row.name, "as": peer, "metrics": row.metrics, **result})
            took = time.monotonic() - start
            print(f"repetition {repetition + 1} of {args.reps}: {took:.0f} s", file=sys.stderr)


def results_of(row, peers, args):
    """Pairs of peer and result."""
    if hasattr(row, "run_all"):
        yield from steady(lambda: row.run_all(peers, args), all_noise, args).items()
        return
    for peer in peers:
        yield peer, steady(lambda: row.run(peer, args), own_noise, args)


def steady(attempt, noise_of, args):
    """Waits for a quiet moment and runs; once more if it was noisy, and keeps the quieter run."""
    measure.wait_for_quiet(args.quiet, args.patience)
    try:
        first = attempt()
    except FileNotFoundError as missing:
        sys.exit(f"bench/run: {missing.filename} is not built")
    if noise_of(first) <= args.quiet or args.quick:
        return first
    measure.wait_for_quiet(args.quiet, args.patience)
    return min((first, attempt()), key=noise_of)


def own_noise(result):
    return 0 if result is None else result.get("noise", 0)


def all_noise(results):
    return max(map(own_noise, results.values()), default=0)


def write(out, line):
    out.write(json.dumps(line) + "\n")
    out.flush()
