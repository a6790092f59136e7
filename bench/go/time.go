package main

import (
	"runtime"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
	"unsafe"
)

func timers(a args) *took {
	late := make([]int64, a.n)
	var wg sync.WaitGroup
	wg.Add(a.n)
	s := start()
	for i := range a.n {
		go func() {
			r := rng(i)
			due := time.Now().Add(time.Duration(r.next()%1_000_000) * time.Microsecond)
			time.Sleep(time.Until(due))
			late[i] = int64(time.Since(due))
			wg.Done()
		}()
	}
	wg.Wait()
	return percentiles(late, s.stop(a.n))
}

func sleepShort(a args) *took {
	s := start()
	for range a.n {
		time.Sleep(100 * time.Microsecond)
	}
	return s.stop(a.n)
}

const (
	tickers = 1000
	tick    = 10 * time.Millisecond
)

// mix runs 1000 tickers for a.n ms beside `others` calls of f(end).
func mix(a args, others int, f func(end time.Time)) *took {
	hop := a.num("hop", 0) != 0
	begin := time.Now()
	end := begin.Add(time.Duration(a.n) * time.Millisecond)
	var mu sync.Mutex
	var all []int64
	var wg sync.WaitGroup
	s := start()
	for i := range tickers {
		wg.Go(func() {
			due := begin.Add(tick + time.Duration(i)*10*time.Microsecond)
			late := make([]int64, 0, a.n/10+8)
			for due.Before(end) {
				time.Sleep(time.Until(due))
				if hop {
					runtime.Gosched()
				}
				now := time.Now()
				for !due.After(now) && due.Before(end) {
					late = append(late, int64(now.Sub(due)))
					due = due.Add(tick)
				}
			}
			mu.Lock()
			all = append(all, late...)
			mu.Unlock()
		})
	}
	for range others {
		wg.Go(func() { f(end) })
	}
	wg.Wait()
	return percentiles(all, s.stop(a.n))
}

func mixNone(a args) *took { return mix(a, 0, nil) }

// sink keeps the computation of mix_cpu alive.
var sink atomic.Uint64

func mixCPU(a args) *took {
	return mix(a, 2*a.workers, func(end time.Time) {
		x := uint64(0x123456789ABCDEF)
		for time.Now().Before(end) {
			for range 2000 {
				x ^= x << 13
				x ^= x >> 7
				x ^= x << 17
			}
		}
		sink.Store(x)
	})
}

func mixBlock(a args) *took {
	return mix(a, 8, func(end time.Time) {
		for time.Now().Before(end) {
			// Same path through the scheduler as a cgo call: entersyscall.
			ts := syscall.NsecToTimespec(50e6)
			syscall.Syscall(syscall.SYS_NANOSLEEP, uintptr(unsafe.Pointer(&ts)), 0, 0)
		}
	})
}
