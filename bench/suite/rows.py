"""The rows of the table: which benchmark, how much of it, and what its figures are.

A row of another kind is one more class with `name`, `metrics`, `has` and `run`.
"""

from dataclasses import dataclass, field

from . import build, measure

RUNTIMES = ("rt0", "go", "tokio", "smol", "may")
THREADS = ("threads+crossbeam", "threads+flume", "threads+kanal")
CRATES = ("tokio+flume", "tokio+kanal", *THREADS)
"""Channels of other crates, between tasks or threads."""
LIBRARIES = ("tokio+httparse", "tokio+hyper", "tokio+axum")
"""What answers HTTP between tasks."""
EXAMPLE = "rt0+example"
"""rt0-http's example `http`, built as its users build it."""
PEERS = (*RUNTIMES, *CRATES, EXAMPLE, *LIBRARIES, "epoll", "plain")
"""In the order of the columns. `plain` is Rust without any runtime, and so is `epoll`."""

NS_PER_OP = ("ns_per_op", "cpu_ns_per_op")
LATENESS = ("p50_us", "p99_us", "max_us", "cpu_ms")
WAKES = ("p50_us", "p99_us", "max_us")
HTTP = ("request_ns", "request_p99_us", "request_user_ns")
WAVES = ("first_ns", "again_ns")
MEMORY = ("bytes_per_g", "pte_bytes_per_g", "ns_per_op", "wake_ns_per_g")


class Row:
    """What all kinds have in common."""

    most = 99
    """Long rows that are in no budget: in the first so many repetitions only, once if --quick."""

    def repetitions(self, args):
        return min(1 if args.quick and self.most < 99 else self.most, args.reps)


@dataclass(frozen=True)
class Bench(Row):
    """`prog BENCH N [key=value ...]` of each peer, in a process of its own."""

    name: str
    bench: str
    n: int
    quick_n: int
    metrics: tuple[str, ...] = NS_PER_OP
    options: tuple[str, ...] = ()
    less: dict[str, int] = field(default_factory=dict)
    """A peer's own N where the common one is too much for it; 0: it cannot do it at all."""
    also: tuple[str, ...] = ()
    """Peers besides the runtimes."""
    tuned: dict[str, tuple[str, ...]] = field(default_factory=dict)
    """A peer's own options, where its defaults would not do it justice."""
    most: int = Row.most

    def n_of(self, peer, args):
        """The N of a peer; 0 where this session leaves it out."""
        n = self.quick_n if args.quick else self.n
        return min(n, self.less.get(peer, n))

    def has(self, peer, args):
        return peer in (*RUNTIMES, *self.also) and self.n_of(peer, args) > 0

    def run(self, peer, args):
        """One result, or None where the program lacks the benchmark."""
        n = self.n_of(peer, args)
        program, *which = build.program(peer)
        options = [*which, *self.options, *self.tuned.get(peer, ())]
        result = measure.program([program, self.bench, str(n), *options], args.limit)
        if result is not None:
            result["less"] = n < (self.quick_n if args.quick else self.n)
        return result


@dataclass(frozen=True)
class Hello(Row):
    """From exec to reaped, of programs that print a line. All of them in turn, so that one result
    of each comes from the same moment."""

    name: str
    n: int
    quick_n: int
    metrics = ("us_per_run", "min_us", "syscalls", "threads")
    peers = ("rt0", "go", "plain")

    def has(self, peer, args):
        return peer in self.peers

    def run_all(self, peers, args):
        """A result for each of `peers`."""
        n = self.quick_n if args.quick else self.n
        return measure.hellos({peer: build.hello(peer) for peer in peers}, n)


@dataclass(frozen=True)
class Curve:
    """One benchmark at several sizes or numbers of workers: a row for each, and a plot of all."""

    name: str
    bench: str
    figure: str
    xs: tuple[int, ...]
    axis: str
    title: str
    n: int = 0
    """N of every point, which x is the number of workers of; 0: x is N."""
    less: dict[str, int] = field(default_factory=dict)
    named: dict[int, str] = field(default_factory=dict)
    """Points that are rows of their own."""
    also: tuple[str, str, str] = ()
    """A second plot of the same rows: its name, figure and title."""

    def points(self):
        """Pairs of x and the name of its row."""
        return [(x, self.named.get(x, f"{self.name} {x}")) for x in self.xs]

    def rows(self):
        """The rows that no other has."""
        return [self.row(x) for x in self.xs if x not in self.named]

    def row(self, x):
        """Not in --quick sessions."""
        options = (f"workers={x}",) if self.n else ()
        metrics = ("ns_per_op",) if self.n else MEMORY
        return Bench(f"{self.name} {x}", self.bench, self.n or x, 0, metrics, options, self.less)


WORKERS = (1, 2, 4, 8, 16)
CURVES = (
    Curve("goroutines", "parked_mem", "ns_per_op",
          (10, 100, 1000, 10_000, 100_000, 1_000_000), "goroutines",
          "Starting one goroutine and parking it, beside how many there are",
          less={"may": 10_000}, named={100_000: "parked_mem", 1_000_000: "parked_mem 1M"},
          also=("memory", "bytes_per_g", "Memory of a parked goroutine, beside how many there are")),
    Curve("workers_spawn", "spawn_join", "ns_per_op", WORKERS, "workers, on 2 CPUs",
          "Starting one goroutine and waiting for it", n=300_000, less={"may": 0}),
    Curve("workers_yield", "yield_many", "ns_per_op", WORKERS, "workers, on 2 CPUs",
          "A yield among 1000", n=1_000_000),
    Curve("workers_mpmc", "chan_mpmc", "ns_per_op", WORKERS, "workers, on 2 CPUs",
          "A message, four producers and four consumers", n=1_000_000),
)


@dataclass(frozen=True)
class Http(Row):
    """A server on one CPU, and so many connections from another, each with a request under way."""

    name: str
    bench: str
    connections: int
    peers: tuple[str, ...]
    wrk: bool = False
    """The load is wrk, not our own."""
    metrics: tuple[str, ...] = HTTP

    def has(self, peer, args):
        return peer in self.peers and not (args.quick and self.wrk and self.connections > 64)

    def repetitions(self, args):
        most = 1 if args.quick else 3  # wrk takes a second at least
        return min(most, args.reps) if self.wrk else args.reps

    def run(self, peer, args):
        """One result, or None where the program lacks the benchmark."""
        ms = 200 if args.quick else 1000
        if self.wrk:
            load = measure.wrk_load(self.connections, ms)
        else:
            load = measure.own_load([*build.program("epoll"), "load"], self.connections, ms, min(ms, 300))
        return measure.server(self.server(peer), load, args.limit)

    def server(self, peer):
        """The command."""
        if peer == EXAMPLE:
            return [build.http_example(), "127.0.0.1:0"]  # one P, as it has one CPU
        runtime, plus, library = peer.partition("+")
        program, = build.program(runtime)
        which = [f"lib={library}"] if plus else []
        return [program, self.bench, str(self.connections), "workers=1", *which]


@dataclass(frozen=True)
class Switch(Row):
    """rt0 alone, on one worker: built with `features`, which leave a part of the switch out or add
    one."""

    name: str
    bench: str = "yield_pair"
    features: tuple[str, ...] = ()
    options: tuple[str, ...] = ()
    env: tuple[tuple[str, str], ...] = ()
    metrics = NS_PER_OP

    def has(self, peer, args):
        return peer == "rt0"

    def run(self, peer, args):
        """One result."""
        n = 500_000 if args.quick else 2_000_000
        command = [build.variant(self.features), self.bench, str(n), "workers=1", *self.options]
        return measure.program(command, args.limit, dict(self.env))


BY_G0, SHARED, BY_G0_SHARED = build.FEATURES
SWITCHES = (
    Switch("switch bare, no TLS", "switch_bare", BY_G0),
    Switch("switch bare", "switch_bare", BY_G0, ("tls=1",)),
    Switch("switch direct, no TLS", features=SHARED),
    Switch("switch direct"),
    Switch("switch direct, arch_prctl", env=(("GODEBUG", "tlsmode=1"),)),
    Switch("switch by g0, no TLS", features=BY_G0_SHARED),
    Switch("switch by g0", features=BY_G0),
)


RAW = (*RUNTIMES, "epoll")
LIB = ("rt0", EXAMPLE, "go", "may", *LIBRARIES)
# may gives a coroutine a mapping and a guard page of its own, and Linux allows 65,530 mappings.
# Threads take microseconds where tasks take nanoseconds.
ROWS = (
    Hello("hello", 500, 100),
    Bench("spawn_join", "spawn_join", 1_000_000, 200_000, tuned={"may": ("pool=20000",)}),
    Bench("spawn_serial", "spawn_serial", 300_000, 50_000, less={"may": 20_000}),
    Bench("spawn_waves", "spawn_waves", 10_000, 3000, WAVES, less={"may": 2000}),
    Bench("spawn_tree", "spawn_tree", 1_000_000, 100_000, less={"may": 10_000}),
    Bench("fib", "fib", 25, 20, less={"may": 15}),
    *SWITCHES,
    Bench("yield_pair 1P", "yield_pair", 2_000_000, 500_000, options=("workers=1",)),
    Bench("yield_many 2P", "yield_many", 2_000_000, 500_000),
    Bench("chan_pingpong 1P", "chan_pingpong", 1_000_000, 100_000, options=("workers=1",),
          also=CRATES, less=dict.fromkeys(THREADS, 20_000)),
    Bench("chan_pingpong 2P", "chan_pingpong", 1_000_000, 100_000,
          also=CRATES, less=dict.fromkeys(THREADS, 20_000)),
    Bench("chan_mpmc", "chan_mpmc", 4_000_000, 400_000, also=CRATES),
    Bench("chan_prime", "chan_prime", 1000, 1000, also=CRATES, less=dict.fromkeys(THREADS, 200)),
    Bench("select", "select", 1_000_000, 100_000,
          also=THREADS, less=dict.fromkeys(THREADS, 20_000)),
    Bench("mutex", "mutex", 8_000_000, 1_000_000),
    Bench("tcp_echo", "tcp_echo", 320_000, 32_000),
    *(Http(f"{bench} {connections}{' wrk' * wrk}", bench, connections, peers, wrk)
      for bench, peers in (("http_raw", RAW), ("http_lib", LIB))
      for connections in (64, 1000) for wrk in (False, True)),
    Bench("parked_mem", "parked_mem", 100_000, 30_000, MEMORY, less={"may": 30_000}),
    Bench("parked_mem 1M", "parked_mem", 1_000_000, 0, MEMORY, less={"may": 0}, most=3),
    Bench("timers", "timers", 100_000, 20_000, LATENESS, less={"may": 30_000}),
    Bench("timer_stop", "timer_stop", 3_000_000, 300_000),
    Bench("timer_func_stop", "timer_func_stop", 2_000_000, 200_000),
    Bench("wake_busy", "wake_busy", 3000, 1000, WAKES),
    Bench("spawn_busy", "spawn_busy", 3000, 1000, WAKES),
    Bench("steal", "steal", 2000, 500, WAKES),
    Bench("io_busy", "io_busy", 500, 200, WAKES, most=2),
    Bench("sleep_100us", "sleep_100us", 1000, 300, ("ns_per_op", "cpu_ms")),
    Bench("mix_none", "mix_none", 1000, 500, LATENESS, also=("epoll",)),
    Bench("mix_cpu", "mix_cpu", 1500, 500, LATENESS, also=("epoll",), most=2),
    Bench("mix_cpu hop", "mix_cpu", 1500, 0, LATENESS, options=("hop=1",)),
    Bench("mix_cpu_offload", "mix_cpu_offload", 1500, 500, LATENESS, most=2),
    Bench("mix_block", "mix_block", 1500, 500, LATENESS, also=("epoll",), most=2),
    Bench("mix_block hop", "mix_block", 1500, 0, LATENESS, options=("hop=1",)),
    Bench("mix_block_offload", "mix_block_offload", 1500, 500, LATENESS, most=2),
    *(row for other in ("ccall", "mutex", "file", "dns", "fault") for row in (
        Bench(f"mix_{other}", f"mix_{other}", 1500, 0, LATENESS, also=("epoll",), most=2),
        Bench(f"mix_{other} hop", f"mix_{other}", 1500, 500, LATENESS, options=("hop=1",), most=2),
    )),
    *(row for curve in CURVES for row in curve.rows()),
)
