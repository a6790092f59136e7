package main

import "sync"

// batch is how many goroutines spawn_join has at a time.
const batch = 10000

func spawnJoin(a args) *took {
	s := start()
	for left := a.n; left > 0; left -= batch {
		k := min(left, batch)
		var wg sync.WaitGroup
		wg.Add(k)
		for range k {
			go wg.Done()
		}
		wg.Wait()
	}
	return s.stop(a.n)
}

func spawnSerial(a args) *took {
	s := start()
	for range a.n {
		done := make(chan struct{})
		go close(done)
		<-done
	}
	return s.stop(a.n)
}

func spawnTree(a args) *took {
	s := start()
	c := make(chan int, 1)
	go skynet(0, a.n, c)
	if got := <-c; got != a.n*(a.n-1)/2 {
		panic("skynet: wrong sum")
	}
	return s.stop(a.n)
}

func skynet(num, size int, out chan<- int) {
	if size == 1 {
		out <- num
		return
	}
	c := make(chan int, 10)
	sub := size / 10
	for i := range 10 {
		go skynet(num+i*sub, sub, c)
	}
	sum := 0
	for range 10 {
		sum += <-c
	}
	out <- sum
}

func fibBench(a args) *took {
	s := start()
	f := fib(a.n)
	t := s.stop(0)
	// fib(n+1)-1 inner calls, each of them one spawn.
	x, y := 0, 1
	for range a.n + 1 {
		x, y = y, x+y
	}
	if f < 0 {
		panic("fib")
	}
	t.ops = x - 1
	return t
}

func fib(n int) int {
	if n < 2 {
		return n
	}
	c := make(chan int, 1)
	go func() { c <- fib(n - 1) }()
	b := fib(n - 2)
	return <-c + b
}
