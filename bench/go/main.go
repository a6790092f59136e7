// The benchmarks in Go: peer-go BENCH N [workers=W] [key=value ...].
package main

import (
	"fmt"
	"os"
	"runtime"
	"sort"
	"strconv"
	"strings"
	"syscall"
	"time"
	"unsafe"
)

var benches = map[string]func(args) *took{
	"spawn_join":      spawnJoin,
	"spawn_serial":    spawnSerial,
	"spawn_tree":      spawnTree,
	"fib":             fibBench,
	"tcp_echo":        tcpEcho,
	"http_raw":        httpRaw,
	"http_lib":        httpLib,
	"yield_pair":      func(a args) *took { return yield(a, 2) },
	"yield_many":      func(a args) *took { return yield(a, 1000) },
	"chan_pingpong":   chanPingpong,
	"chan_mpmc":       chanMpmc,
	"chan_prime":      chanPrime,
	"select":          selectOfFour,
	"mutex":           mutex,
	"parked_mem":      parkedMem,
	"spawn_waves":     spawnWaves,
	"timers":          timers,
	"wake_busy":       wakeBusy,
	"spawn_busy":      spawnBusy,
	"steal":           steal,
	"sleep_100us":     sleepShort,
	"timer_stop":      timerStop,
	"timer_func_stop": timerFuncStop,
	"mix_none":        mixNone,
	"mix_cpu":         mixCPU,
	"mix_block":       mixBlock,
	"mix_mutex":       mixMutex,
	"mix_file":        mixFile,
	"mix_dns":         mixDNS,
	"mix_fault":       mixFault,
}

func main() {
	a := parse()
	runtime.GOMAXPROCS(a.workers)
	f, ok := benches[a.bench]
	if !ok {
		fmt.Println(`{"unsupported":"no such benchmark"}`)
		os.Exit(3)
	}
	f(a).report(a)
}

type args struct {
	bench   string
	n       int
	workers int
	opts    map[string]string
}

func parse() args {
	a := args{opts: map[string]string{}}
	var words []string
	for _, s := range os.Args[1:] {
		if k, v, ok := strings.Cut(s, "="); ok {
			a.opts[k] = v
		} else {
			words = append(words, s)
		}
	}
	if len(words) != 2 {
		usage("BENCH N [key=value ...]")
	}
	a.bench = words[0]
	var err error
	if a.n, err = strconv.Atoi(words[1]); err != nil {
		usage("BENCH N [key=value ...]")
	}
	if a.bench == "spawn_tree" && strings.Trim(strings.TrimPrefix(words[1], "1"), "0") != "" {
		usage("spawn_tree N, a power of ten") // tenths of anything else never come to one leaf
	}
	a.workers = a.num("workers", 2)
	return a
}

func usage(what string) {
	fmt.Fprintf(os.Stderr, "usage: %s %s\n", os.Args[0], what)
	os.Exit(2)
}

// num is the number given as key=, or def.
func (a args) num(key string, def int) int {
	v, ok := a.opts[key]
	if !ok {
		return def
	}
	n, err := strconv.Atoi(v)
	if err != nil {
		usage("key=NUMBER")
	}
	return n
}

type span struct {
	cpu  int64
	wall time.Time
}

func start() span { return span{cpuNs(), time.Now()} }

func (s span) stop(ops int) *took {
	wall := time.Since(s.wall)
	return &took{wall: wall, cpu: time.Duration(cpuNs() - s.cpu), ops: ops}
}

// cpuNs is user and system time of this process.
func cpuNs() int64 {
	const clockProcessCPU = 2
	var ts syscall.Timespec
	syscall.Syscall(syscall.SYS_CLOCK_GETTIME, clockProcessCPU, uintptr(unsafe.Pointer(&ts)), 0)
	return ts.Nano()
}

// took is what a benchmark took, and what else it has to report.
type took struct {
	wall, cpu time.Duration
	ops       int
	extra     []string
}

func (t *took) with(key string, v float64) *took {
	t.extra = append(t.extra, fmt.Sprintf("%q:%.2f", key, v))
	return t
}

// report prints the one line of JSON that the runner reads.
func (t *took) report(a args) {
	own := took{}
	own.with("ns_per_op", float64(t.wall)/float64(max(t.ops, 1))).
		with("wall_ms", float64(t.wall)/1e6).
		with("cpu_ms", float64(t.cpu)/1e6).
		with("rss_kb", statusKB("VmRSS:")).
		with("hwm_kb", statusKB("VmHWM:"))
	fmt.Printf(`{"peer":"go","bench":%q,"n":%d,"workers":%d,%s}`+"\n",
		a.bench, a.n, a.workers, strings.Join(append(own.extra, t.extra...), ","))
}

// statusKB is a field of /proc/self/status that counts kB.
func statusKB(field string) float64 {
	b, err := os.ReadFile("/proc/self/status")
	if err != nil {
		panic(err)
	}
	for l := range strings.Lines(string(b)) {
		if v, ok := strings.CutPrefix(l, field); ok {
			n, _ := strconv.Atoi(strings.Fields(v)[0])
			return float64(n)
		}
	}
	return 0
}

// rng is SplitMix64, as in the Rust programs.
type rng uint64

func (r *rng) next() uint64 {
	*r += 0x9E3779B97F4A7C15
	z := uint64(*r)
	z = (z ^ z>>30) * 0xBF58476D1CE4E5B9
	z = (z ^ z>>27) * 0x94D049BB133111EB
	return z ^ z>>31
}

// percentiles adds p50, p99 and max of late, which is in ns.
func percentiles(late []int64, t *took) *took {
	sort.Slice(late, func(i, j int) bool { return late[i] < late[j] })
	t.with("samples", float64(len(late)))
	if len(late) == 0 {
		return t
	}
	at := func(p float64) float64 { return float64(late[int(float64(len(late)-1)*p)]) / 1e3 }
	return t.with("p50_us", at(0.50)).with("p99_us", at(0.99)).with("max_us", at(1))
}
