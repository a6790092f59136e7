package main

import (
	"io"
	"net"
	"os"
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

// pending makes timers that are not due soon, beside those that are measured.
func pending() []*time.Timer {
	kept := make([]*time.Timer, 1000)
	for i := range kept {
		kept[i] = time.AfterFunc(time.Hour+time.Duration(i)*time.Second, func() {})
	}
	return kept
}

func timerStop(a args) *took {
	kept := pending()
	s := start()
	for i := range a.n {
		if !time.NewTimer(time.Duration(1+i%10) * time.Second).Stop() {
			panic("a timer fired")
		}
	}
	t := s.stop(a.n)
	runtime.KeepAlive(kept)
	return t
}

func timerFuncStop(a args) *took {
	kept := pending()
	s := start()
	for i := range a.n {
		if !time.AfterFunc(time.Duration(1+i%10)*time.Second, func() {}).Stop() {
			panic("a timer fired")
		}
	}
	t := s.stop(a.n)
	runtime.KeepAlive(kept)
	return t
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
	return mix(a, 2*a.workers, burnUntil)
}

// blockers is how many goroutines are in each other's or the kernel's way.
const blockers = 8

// blockFor takes the same path through the scheduler as a cgo call: entersyscall.
func blockFor(d time.Duration) {
	ts := syscall.NsecToTimespec(int64(d))
	syscall.Syscall(syscall.SYS_NANOSLEEP, uintptr(unsafe.Pointer(&ts)), 0, 0)
}

func mixBlock(a args) *took {
	return mix(a, blockers, func(end time.Time) {
		for time.Now().Before(end) {
			blockFor(50 * time.Millisecond)
		}
	})
}

// One holds a mutex asleep, the others wait for it.
func mixMutex(a args) *took {
	var mu sync.Mutex
	return mix(a, blockers, func(end time.Time) {
		for time.Now().Before(end) {
			mu.Lock()
			blockFor(5 * time.Millisecond)
			mu.Unlock()
		}
	})
}

// The program's own first megabyte: it is in the page cache.
func mixFile(a args) *took {
	path, err := os.Executable()
	if err != nil {
		panic(err)
	}
	return mix(a, blockers, func(end time.Time) {
		for time.Now().Before(end) {
			f, err := os.Open(path)
			if err == nil {
				_, err = io.ReadFull(f, make([]byte, 1<<20))
				f.Close()
			}
			if err != nil {
				panic(err)
			}
		}
	})
}

// A name from the hosts file.
func mixDNS(a args) *took {
	return mix(a, blockers, func(end time.Time) {
		for time.Now().Before(end) {
			if found, err := net.LookupHost("localhost"); err != nil || len(found) == 0 {
				panic("localhost has an address")
			}
		}
	})
}

// Fresh memory, touched page by page and given back.
func mixFault(a args) *took {
	return mix(a, blockers, func(end time.Time) {
		for time.Now().Before(end) {
			const prot, flags = syscall.PROT_READ | syscall.PROT_WRITE, syscall.MAP_ANON | syscall.MAP_PRIVATE
			fresh, err := syscall.Mmap(-1, 0, 40<<20, prot, flags)
			if err != nil {
				panic(err)
			}
			for i := 0; i < len(fresh) && time.Now().Before(end); i += 4096 {
				fresh[i] = 1
			}
			syscall.Munmap(fresh)
		}
	})
}
