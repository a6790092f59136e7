package main

import (
	"runtime"
	"sync"
)

func yield(a args, tasks int) *took {
	var wg sync.WaitGroup
	each := a.n / tasks
	s := start()
	for range tasks {
		wg.Go(func() {
			for range each {
				runtime.Gosched()
			}
		})
	}
	wg.Wait()
	return s.stop(each * tasks)
}
