"""Runs one program and reads what it reports."""

import json
import os
import resource
import signal
import statistics
import subprocess
import time


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
    """Returns after 0.2 s in which others used less than `share`, or when patience ends."""
    end = time.monotonic() + patience
    while time.monotonic() < end:
        noise = Noise()
        time.sleep(0.2)
        if noise.share() < share:
            return


def program(command, limit):
    """The figures of one run, {"failed": why}, or None where the program lacks the benchmark."""
    noise = Noise()
    process = subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
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
    """The figures that `load` has of the server `command`; as `program`. Each has a CPU of its own."""
    own, *others = sorted(os.sched_getaffinity(0))
    noise = Noise()
    process = subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
        text=True, preexec_fn=lambda: prepare({own}),
    )
    try:
        said = process.stdout.readline()
        if not said.startswith("listening on "):
            code = process.wait(limit)
            return None if code == 3 else {"failed": why_failed(code, said)}
        port = said.rsplit(":")[-1].strip()
        done = subprocess.run(
            [*load, f"port={port}", f"pid={process.pid}"], capture_output=True, text=True,
            timeout=limit, preexec_fn=lambda: prepare(set(others[:1]) or {own}),
        )
    except subprocess.TimeoutExpired:
        return {"failed": f"no end after {limit:.0f} s"}
    finally:
        process.kill()
        process.wait()
    if done.returncode != 0:
        return {"failed": why_failed(done.returncode, done.stderr)}
    return json.loads(done.stdout) | {"noise": noise.share()}


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
    return {
        peer: {
            "n": n,
            "us_per_run": statistics.median(times) / 1e3,
            "min_us": min(times) / 1e3,
            "noise": share,
        }
        for peer, times in took.items()
    }


def spawn_to_reaped(path):
    to_null = [(os.POSIX_SPAWN_OPEN, 1, os.devnull, os.O_WRONLY, 0)]
    start = time.perf_counter_ns()
    pid = os.posix_spawn(path, [path], os.environ, file_actions=to_null)
    os.waitpid(pid, 0)
    return time.perf_counter_ns() - start
