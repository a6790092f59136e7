package main

import "time"

// busy is how long who has woken or started another goes on computing.
const busy = 300 * time.Microsecond

// burnUntil computes without ever entering the runtime.
func burnUntil(end time.Time) {
	x := uint64(0x123456789ABCDEF)
	for time.Now().Before(end) {
		for range 2000 {
			x ^= x << 13
			x ^= x >> 7
			x ^= x << 17
		}
	}
	sink.Store(x)
}

func wakeBusy(a args) *took {
	sent := make(chan time.Time, 1)
	woken := make(chan []int64)
	go func() {
		var late []int64
		for t := range sent {
			late = append(late, int64(time.Since(t)))
		}
		woken <- late
	}()
	s := start()
	for range a.n {
		now := time.Now()
		sent <- now
		burnUntil(now.Add(busy))
	}
	close(sent)
	return percentiles(<-woken, s.stop(a.n))
}

func spawnBusy(a args) *took {
	started := make(chan int64, 1)
	var late []int64
	s := start()
	for range a.n {
		now := time.Now()
		go func() { started <- int64(time.Since(now)) }()
		burnUntil(now.Add(busy))
		late = append(late, <-started)
	}
	return percentiles(late, s.stop(a.n))
}

// burst is how many steal starts at once.
const burst = 16

func steal(a args) *took {
	started := make(chan int64, burst)
	var late []int64
	s := start()
	for range a.n {
		begin := time.Now()
		for range burst {
			now := time.Now()
			go func() { started <- int64(time.Since(now)) }()
		}
		burnUntil(begin.Add(busy))
		for range burst {
			late = append(late, <-started)
		}
	}
	return percentiles(late, s.stop(a.n))
}
