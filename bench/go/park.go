package main

import (
	"runtime"
	"sync"
	"sync/atomic"
	"time"
)

func parkedMem(a args) *took {
	done := make(chan struct{})
	var wg sync.WaitGroup
	var parked atomic.Int64
	rss, pte := statusKB("VmRSS:"), statusKB("VmPTE:")
	wg.Add(a.n)
	s := start()
	for range a.n {
		go func() {
			parked.Add(1)
			<-done
			wg.Done()
		}()
	}
	for parked.Load() != int64(a.n) {
		runtime.Gosched()
	}
	t := s.stop(a.n)
	time.Sleep(100 * time.Millisecond)
	per := func(kb float64) float64 { return max(kb, 0) * 1024 / float64(a.n) }
	t.with("bytes_per_g", per(statusKB("VmRSS:")-rss)).with("pte_bytes_per_g", per(statusKB("VmPTE:")-pte))
	w := time.Now()
	close(done)
	wg.Wait()
	return t.with("wake_ns_per_g", float64(time.Since(w))/float64(a.n))
}
