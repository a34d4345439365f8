package peer

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"github.com/headgate/headgate/scripts/lab"
	"golang.org/x/sys/unix"
)

// exchanger makes exchanges over a connection that it keeps or opens anew.
type exchanger interface {
	// exchange makes one and returns the name of the node that answered.
	exchange() (node string, err error)
	close()
}

func newExchanger(load Load, ports *lab.Ports, opened func(int)) exchanger {
	c := conn{load: load, ports: ports, opened: opened}
	if load.Network == "udp" {
		return &udpExchanger{conn: c}
	}
	return &httpExchanger{conn: c}
}

// conn is a connection that is dialled when needed. Unlike an http.Transport it never dials again
// behind the back of its user: a connection that breaks fails the exchange.
type conn struct {
	load   Load
	ports  *lab.Ports
	opened func(int)
	c      net.Conn
}

func (c *conn) begin() error {
	deadline := time.Now().Add(c.load.Timeout)
	if c.c == nil {
		nc, err := c.dial(deadline)
		if err != nil {
			return err
		}
		c.c = nc
		c.opened(1)
	}
	return c.c.SetDeadline(deadline)
}

// dial opens a connection. A UDP socket has a port that no other of the namespace had before, so that its first
// datagram is a new flow's.
func (c *conn) dial(deadline time.Time) (net.Conn, error) {
	d := net.Dialer{Deadline: deadline}
	if c.load.Network != "udp" {
		if c.load.Source.IsValid() {
			d.LocalAddr = net.TCPAddrFromAddrPort(netip.AddrPortFrom(c.load.Source, 0))
		}
		return d.Dial(c.load.Network, c.load.Address)
	}
	for {
		d.LocalAddr = &net.UDPAddr{IP: c.load.Source.AsSlice(), Port: int(c.ports.Next())}
		nc, err := d.Dial(c.load.Network, c.load.Address)
		if !errors.Is(err, unix.EADDRINUSE) { // by a server, or by a socket that has outlived a round of all ports
			return nc, err
		}
	}
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
