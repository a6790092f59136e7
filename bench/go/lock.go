package main

import "sync"

// Lock, add one, unlock.
func mutex(a args) *took {
	var mu sync.Mutex
	var wg sync.WaitGroup
	count, each := 0, a.n/8
	s := start()
	for range 8 {
		wg.Go(func() {
			for range each {
				mu.Lock()
				count++
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	if count != each*8 {
		panic("mutex: lost updates")
	}
	return s.stop(count)
}
