package main

import (
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// parked is goroutines that wait for one event.
type parked struct {
	open chan struct{}
	wg   sync.WaitGroup
}

// park returns when all wait.
func park(n int) *parked {
	p := &parked{open: make(chan struct{})}
	var waiting atomic.Int64
	p.wg.Add(n)
	for range n {
		go func() {
			waiting.Add(1)
			<-p.open
			p.wg.Done()
		}()
	}
	for waiting.Load() != int64(n) {
		runtime.Gosched()
	}
	return p
}

// wake returns when all have ended.
func (p *parked) wake() {
	close(p.open)
	p.wg.Wait()
}

func parkedMem(a args) *took {
	rss, pte := statusKB("VmRSS:"), statusKB("VmPTE:")
	s := start()
	p := park(a.n)
	t := s.stop(a.n)
	time.Sleep(100 * time.Millisecond)
	per := func(kb float64) float64 { return max(kb, 0) * 1024 / float64(a.n) }
	t.with("bytes_per_g", per(statusKB("VmRSS:")-rss)).with("pte_bytes_per_g", per(statusKB("VmPTE:")-pte))
	w := time.Now()
	p.wake()
	return t.with("wake_ns_per_g", float64(time.Since(w))/float64(a.n))
}

// waves is how often spawnWaves starts all.
const waves = 6

func spawnWaves(a args) *took {
	var each []float64
	s := start()
	for range waves {
		w := time.Now()
		p := park(a.n)
		each = append(each, float64(time.Since(w))/float64(a.n))
		p.wake()
	}
	t := s.stop(a.n*waves).with("first_ns", each[0])
	again := each[1:]
	slices.Sort(again)
	return t.with("again_ns", again[len(again)/2])
}
