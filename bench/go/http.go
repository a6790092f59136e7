package main

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
)

const body = "Hello, World!"

var response = []byte("HTTP/1.1 200 OK\r\nServer: bench\r\nContent-Type: text/plain\r\n" +
	"Content-Length: 13\r\n\r\n" + body)

// listen tells the runner where.
func listen() net.Listener {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	check(err)
	fmt.Println("listening on", l.Addr())
	return l
}

// httpRaw is a web server without a library, for ever.
func httpRaw(args) *took {
	l := listen()
	for {
		c, err := l.Accept()
		check(err)
		go answer(c)
	}
}

func answer(c net.Conn) {
	defer c.Close()
	buf := make([]byte, 4096)
	have := 0
	var out []byte
	for {
		n, err := c.Read(buf[have:])
		if err != nil {
			return
		}
		have += n
		out = out[:0]
		used := 0
		for {
			i := bytes.Index(buf[used:have], []byte("\r\n\r\n"))
			if i < 0 {
				break
			}
			used += i + 4
			out = append(out, response...)
		}
		have = copy(buf, buf[used:have])
		if _, err := c.Write(out); err != nil {
			return
		}
	}
}

// httpLib is the same with net/http.
func httpLib(args) *took {
	hello := func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/plain")
		io.WriteString(w, body)
	}
	check(http.Serve(listen(), http.HandlerFunc(hello)))
	return nil
}
