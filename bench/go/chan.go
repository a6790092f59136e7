package main

import (
	"sync"
	"sync/atomic"
)

// sides is how many producers, consumers and channels there are where there are several.
const sides = 4

func chanPingpong(a args) *took {
	c := a.num("cap", 0)
	ping, pong := make(chan uint64, c), make(chan uint64, c)
	s := start()
	go func() {
		for v := range ping {
			pong <- v
		}
	}()
	for i := range a.n {
		ping <- uint64(i)
		<-pong
	}
	t := s.stop(a.n)
	close(ping)
	return t
}

func chanMpmc(a args) *took {
	c := make(chan uint64, a.num("cap", 128))
	each := a.n / sides
	var sum atomic.Uint64
	var producers, consumers sync.WaitGroup
	s := start()
	for range sides {
		producers.Go(func() {
			for i := range each {
				c <- uint64(i)
			}
		})
		consumers.Go(func() {
			own := uint64(0)
			for v := range c {
				own += v
			}
			sum.Add(own)
		})
	}
	producers.Wait()
	close(c)
	consumers.Wait()
	if sum.Load() != uint64(sides*(each*(each-1)/2)) {
		panic("mpmc: wrong sum")
	}
	return s.stop(each * sides)
}

func chanPrime(a args) *took {
	capacity := a.num("cap", 0)
	hops, last := sieveWork(a.n)
	s := start()
	first := make(chan int, capacity)
	go func() {
		for i := 2; i <= last; i++ {
			first <- i
		}
	}()
	in, prime := first, 0
	for range a.n {
		prime = <-in
		in = filter(in, prime, capacity)
	}
	if prime != last {
		panic("sieve: wrong prime")
	}
	return s.stop(hops)
}

func filter(in <-chan int, prime, capacity int) chan int {
	out := make(chan int, capacity)
	go func() {
		for v := range in {
			if v%prime != 0 {
				out <- v
			}
		}
	}()
	return out
}

// sieveWork is how many messages the first n primes take, and the last prime.
func sieveWork(n int) (hops, last int) {
	var primes []int
	for m := 2; len(primes) < n; m++ {
		passed := 0
		for passed < len(primes) && m%primes[passed] != 0 {
			passed++
		}
		hops += passed + 1
		if passed == len(primes) {
			primes = append(primes, m)
		}
	}
	return hops, primes[len(primes)-1]
}

func selectOfFour(a args) *took {
	each := a.n / sides
	s := start()
	var cs [sides]chan uint64
	for i := range cs {
		c := make(chan uint64, a.num("cap", 0))
		cs[i] = c
		go func() {
			for k := range each {
				c <- uint64(k)
			}
		}()
	}
	sum := uint64(0)
	for range each * sides {
		select {
		case v := <-cs[0]:
			sum += v
		case v := <-cs[1]:
			sum += v
		case v := <-cs[2]:
			sum += v
		case v := <-cs[3]:
			sum += v
		}
	}
	if sum != uint64(sides*(each*(each-1)/2)) {
		panic("select: wrong sum")
	}
	return s.stop(each * sides)
}
