"""Runs one program and reads what it reports."""

import json
import os
import resource
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

WRK_REPORT = str(Path(__file__).with_name("wrk.lua"))
CPUS = sorted(os.sched_getaffinity(0))
SERVERS, LOADS = {CPUS[0]}, {CPUS[-1]}
"""The first CPU has the server, the last one the load."""


def lacks(tool, what, package=""):
    """Whether there is no such program; says so on stderr, and which Debian package has it."""
    if shutil.which(tool):
        return False
    print(f"bench: no {tool} here (apt-get install {package or tool}): {what}", file=sys.stderr)
    return True


class Noise:
    """What other processes than our children use of the CPUs, as a share of all, from now on."""

    def __init__(self):
        self.start = time.monotonic()
        self.busy, self.own = self.read()

    @staticmethod
    def read():
        with open("/proc/stat") as stat:
            user, nice, system, idle, iowait, *irqs = map(int, stat.readline().split()[1:9])
        busy = user + nice + system + sum(irqs)
        usage = resource.getrusage(resource.RUSAGE_CHILDREN)
        return busy / os.sysconf("SC_CLK_TCK"), usage.ru_utime + usage.ru_stime

    def share(self):
        busy, own = self.read()
        whole = max(time.monotonic() - self.start, 0.001) * os.cpu_count()
        return round(max(0.0, (busy - self.busy) - (own - self.own)) / whole, 3)


def wait_for_quiet(share, patience):
    """Returns after 0.1 s in which others used less than `share`, or when patience ends."""
    end = time.monotonic() + patience
    while time.monotonic() < end:
        noise = Noise()
        time.sleep(0.1)
        if noise.share() < share:
            return


def program(command, limit, env=None):
    """The figures of one run, {"failed": why}, or None where the program lacks the benchmark."""
    noise = Noise()
    process = subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        env=os.environ | (env or {}),
    )
    try:
        out, err = process.communicate(timeout=limit)
    except subprocess.TimeoutExpired:
        process.kill()
        process.communicate()
        return {"failed": f"no end after {limit:.0f} s"}
    if process.returncode == 3:
        return None
    if process.returncode != 0:
        return {"failed": why_failed(process.returncode, err)}
    try:
        result = json.loads(out)
    except ValueError:
        return {"failed": f"no report but {out[:80]!r}"}
    if result["wall_ms"] > 0:
        result["cpu_ns_per_op"] = result["ns_per_op"] * result["cpu_ms"] / result["wall_ms"]
    result["noise"] = noise.share()
    return result


def server(command, load, limit):
    """The figures that `load(port, pid, limit)` has of the server `command`; as `program`. Each has
    a CPU of its own."""
    noise = Noise()
    process = subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
        text=True, preexec_fn=lambda: prepare(SERVERS),
    )
    try:
        said = process.stdout.readline()
        if not said.startswith("listening on "):
            code = process.wait(limit)
            return None if code == 3 else {"failed": why_failed(code, said)}
        result = load(int(said.rsplit(":")[-1]), process.pid, limit)
    except subprocess.TimeoutExpired:
        return {"failed": f"no end after {limit:.0f} s"}
    finally:
        process.kill()
        process.wait()
        process.stdout.close()
    return result if "failed" in result else result | {"noise": noise.share()}


def own_load(command, connections, ms, warm):
    """The load of bench-epoll."""
    def load(port, pid, limit):
        done = from_other_cpu(
            [*command, str(connections), f"port={port}", f"pid={pid}", f"ms={ms}", f"warm={warm}"],
            limit,
        )
        if done.returncode != 0:
            return {"failed": why_failed(done.returncode, done.stderr)}
        return json.loads(done.stdout)
    return load


def wrk_load(connections, ms):
    """wrk's; it counts whole seconds."""
    def load(port, pid, limit):
        before = user_ms(pid)
        done = from_other_cpu(
            ["wrk", "-t1", f"-c{connections}", f"-d{max(ms // 1000, 1)}s", "-s", WRK_REPORT,
             f"http://127.0.0.1:{port}/"],
            limit,
        )
        server_ms = user_ms(pid) - before
        if done.returncode != 0:
            return {"failed": why_failed(done.returncode, done.stderr)}
        result = json.loads(done.stdout.splitlines()[-1])
        if result["errors"] or not result["requests"]:
            return {"failed": f"wrk: {result['errors']} errors, {result['requests']} requests"}
        return result | {
            "connections": connections,
            "request_ns": result["wall_ms"] * 1e6 / result["requests"],
            "request_user_ns": server_ms * 1e6 / result["requests"],
        }
    return load


def from_other_cpu(command, limit):
    return subprocess.run(
        command, capture_output=True, text=True, timeout=limit, preexec_fn=lambda: prepare(LOADS)
    )


def user_ms(pid):
    """The user time of a process; the kernel counts in ticks."""
    with open(f"/proc/{pid}/stat") as stat:
        ticks = int(stat.read().rpartition(")")[2].split()[11])
    return ticks * 1e3 / os.sysconf("SC_CLK_TCK")


def prepare(cpus):
    """In a child: these CPUs, and as many files as may be."""
    os.sched_setaffinity(0, cpus)
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


def why_failed(code, err):
    lines = [line for line in err.splitlines() if line.strip()] or ["nothing on stderr"]
    why = next((line for line in lines if "rror" in line or "panic" in line), lines[-1])
    end = signal.Signals(-code).name if code < 0 else f"exit {code}"
    return f"{end}: {why.strip()[:160]}"


def hellos(programs, n):
    """From spawn to reaped, n times each, in turn; the result of each is its median."""
    for peer, path in programs.items():
        said = subprocess.run([path], capture_output=True, text=True).stdout
        if said != "Hello Go\n":
            return {peer: {"failed": f"said {said[:80]!r}"}}
    noise = Noise()
    took = {peer: [] for peer in programs}
    order = list(programs)
    for turn in range(n):
        # Everyone comes after everyone else equally often.
        for peer in order if turn % 2 else reversed(order):
            took[peer].append(spawn_to_reaped(programs[peer]))
    share = noise.share()
    calls = system_calls(programs)
    return {
        peer: {
            "n": n,
            "us_per_run": statistics.median(times) / 1e3,
            "min_us": min(times) / 1e3,
            "noise": share,
        } | calls.get(peer, {})
        for peer, times in took.items()
    }


def spawn_to_reaped(path):
    to_null = [(os.POSIX_SPAWN_OPEN, 1, os.devnull, os.O_WRONLY, 0)]
    start = time.perf_counter_ns()
    pid = os.posix_spawn(path, [path], os.environ, file_actions=to_null)
    os.waitpid(pid, 0)
    return time.perf_counter_ns() - start


def system_calls(programs):
    """How many system calls and threads each makes between exec and exit: strace counts them, so
    that the clock has no part in it. Medians of three runs; nothing without strace."""
    if lacks("strace", "no system calls of hello are counted"):
        return {}
    try:
        return {peer: counted(path) for peer, path in programs.items()}
    except subprocess.CalledProcessError as failed:  # a container may forbid ptrace
        print(f"bench: {failed}: no system calls of hello are counted", file=sys.stderr)
        return {}


def counted(path):
    runs = []
    for _ in range(3):
        with tempfile.NamedTemporaryFile("r", prefix="bench-strace-") as log:
            subprocess.run(["strace", "-f", "-qq", "-o", log.name, path],
                           stdout=subprocess.DEVNULL, check=True)
            # "PID name(args) = result"; a call that another thread's cut in two has one such line
            # and one with "resumed".
            names = [line.split(None, 1)[1].partition("(")[0] for line in log
                     if "(" in line and " resumed>" not in line]
        runs.append((len(names), sum(name in ("clone", "clone3") for name in names)))
    calls, threads = zip(*runs)
    return {"syscalls": statistics.median(calls), "threads": 1 + statistics.median(threads)}
