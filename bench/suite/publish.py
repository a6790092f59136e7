"""Writes what a session found into the repository: docs/bench, and the tables of two documents."""

import sys

from . import budget, build, plot, session, table


def publish():
    """docs/bench, and what stands between the marks of README.md and docs/PERFORMANCE.md."""
    root = build.BENCH.parent
    found, runs = plot.publish(session.RESULTS, root / "docs" / "bench")
    readme, performance = root / "README.md", root / "docs" / "PERFORMANCE.md"
    put(readme, "bench", plot.short_table(found, runs))
    put(readme, "http", budget.http_table(runs))
    put(performance, "budget", budget.table(runs))
    put(performance, "rows", table.alone(runs))
    put(performance, "noise", table.noise(runs))


def put(path, name, text):
    """Replaces what stands between the two marks called `name`, unless there is nothing to say."""
    before, mark, rest = path.read_text().partition(f"<!-- {name} -->\n")
    _, end, after = rest.partition(f"<!-- end of {name} -->")
    if not mark or not end:
        sys.exit(f"bench/run: {path} has no marks <!-- {name} --> and <!-- end of {name} -->")
    if text:
        path.write_text(before + mark + text + end + after)
    else:
        print(f"bench/run: the session has nothing for <!-- {name} --> of {path}", file=sys.stderr)
