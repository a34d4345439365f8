package peer

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"strconv"
	"strings"
	"time"
)

// exchanger makes exchanges over a connection that it keeps or opens anew.
type exchanger interface {
	// exchange makes one and returns the name of the node that answered.
	exchange() (node string, err error)
	close()
}

func newExchanger(load Load, opened func(int)) exchanger {
	c := conn{load: load, opened: opened}
	if load.Network == "udp" {
		return &udpExchanger{conn: c}
	}
	return &httpExchanger{conn: c}
}

// conn is a connection that is dialled when needed. Unlike an http.Transport it never dials again
// behind the back of its user: a connection that breaks fails the exchange.
type conn struct {
	load   Load
	opened func(int)
	c      net.Conn
}

func (c *conn) begin() error {
	deadline := time.Now().Add(c.load.Timeout)
	if c.c == nil {
		nc, err := (&net.Dialer{Deadline: deadline, LocalAddr: c.source()}).Dial(c.load.Network, c.load.Address)
		if err != nil {
			return err
		}
		c.c = nc
		c.opened(1)
	}
	return c.c.SetDeadline(deadline)
}

// source is nil unless the load says where to come from.
func (c *conn) source() net.Addr {
	from := netip.AddrPortFrom(c.load.Source, 0)
	switch {
	case !c.load.Source.IsValid():
		return nil
	case c.load.Network == "udp":
		return net.UDPAddrFromAddrPort(from)
	}
	return net.TCPAddrFromAddrPort(from)
}

func (c *conn) end(err error) {
	if err != nil || !c.load.KeepOpen {
		c.close()
	}
}

func (c *conn) close() {
	if c.c != nil {
		c.c.Close()
		c.c = nil
		c.opened(-1)
	}
}

type httpExchanger struct {
	conn
	buffered *bufio.Reader
}

func (x *httpExchanger) exchange() (node string, err error) {
	fresh := x.c == nil
	if err := x.begin(); err != nil {
		return "", err
	}
	defer func() { x.end(err) }()
	if fresh {
		x.buffered = bufio.NewReader(x.c)
	}
	connection := "close"
	if x.load.KeepOpen {
		connection = "keep-alive"
	}
	_, err = fmt.Fprintf(x.c, "GET %s HTTP/1.1\r\nHost: headgate\r\nConnection: %s\r\n\r\n", x.load.Path, connection)
	if err != nil {
		return "", err
	}
	resp, err := http.ReadResponse(x.buffered, nil)
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return "", fmt.Errorf("status %d", resp.StatusCode)
	}
	node = resp.Header.Get("X-Node")
	if node == "" {
		body, err := io.ReadAll(resp.Body)
		return strings.TrimSpace(string(body)), err
	}
	// The node's name came in a header: the body is a download, checked by its length.
	n, err := io.Copy(io.Discard, resp.Body)
	if err == nil && n != resp.ContentLength {
		err = io.ErrUnexpectedEOF
	}
	return node, err
}

type udpExchanger struct {
	conn
	sent int
	buf  [2048]byte
}

func (x *udpExchanger) exchange() (node string, err error) {
	if err := x.begin(); err != nil {
		return "", err
	}
	defer func() { x.end(nil) }() // a lost datagram says nothing about the socket
	x.sent++
	want := []byte("datagram " + strconv.Itoa(x.sent))
	if _, err := x.c.Write(want); err != nil {
		return "", err
	}
	for {
		n, err := x.c.Read(x.buf[:])
		if err != nil {
			return "", err
		}
		node, got, _ := bytes.Cut(x.buf[:n], []byte(" "))
		if bytes.Equal(got, want) {
			return string(node), nil
		}
		// A late answer to an earlier datagram.
	}
}
