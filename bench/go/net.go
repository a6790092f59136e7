package main

import (
	"io"
	"net"
	"sync"
)

// connections is how many there are at once.
const connections = 64

// tcpEcho sends 64 bytes there and back, one request after the other on each connection.
func tcpEcho(a args) *took {
	each := a.n / connections
	l, err := net.Listen("tcp", "127.0.0.1:0")
	check(err)
	var servers, clients sync.WaitGroup
	var ends []net.Conn
	for range connections {
		c, err := net.Dial("tcp", l.Addr().String())
		check(err)
		ends = append(ends, c)
		s, err := l.Accept()
		check(err)
		servers.Go(func() {
			buf := make([]byte, 4096)
			for {
				n, err := s.Read(buf)
				if err == io.EOF {
					s.Close()
					return
				}
				check(err)
				_, err = s.Write(buf[:n])
				check(err)
			}
		})
	}
	t := start()
	for _, c := range ends {
		clients.Go(func() {
			buf := make([]byte, 64)
			for range each {
				_, err := c.Write(buf)
				check(err)
				_, err = io.ReadFull(c, buf)
				check(err)
			}
			c.Close()
		})
	}
	clients.Wait()
	result := t.stop(each * connections)
	servers.Wait()
	return result
}

func check(err error) {
	if err != nil {
		panic(err)
	}
}
