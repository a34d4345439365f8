package health

import (
	"errors"
	"net"
	"net/netip"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/headgate/headgate/pkg/lb"
)

// answers is a server that answers each datagram with what the function makes of it; nil: not at all.
func answers(t *testing.T, answer func(datagram []byte) []byte) (netip.AddrPort, <-chan netip.AddrPort) {
	t.Helper()
	c, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	from := make(chan netip.AddrPort, 4096)
	done := make(chan struct{})
	go func() {
		defer close(done)
		buf := make([]byte, 2048)
		for {
			n, addr, err := c.ReadFromUDPAddrPort(buf)
			if errors.Is(err, net.ErrClosed) {
				return
			}
			if a := answer(buf[:n]); err == nil && a != nil {
				c.WriteToUDPAddrPort(a, addr)
			}
			from <- addr
		}
	}()
	t.Cleanup(func() { c.Close(); <-done })
	return netip.MustParseAddrPort(c.LocalAddr().String()), from
}

func TestDatagramIsJudgedByItsReply(t *testing.T) {
	to, from := answers(t, func(d []byte) []byte {
		if string(d) == "quiet" {
			return nil
		}
		return append([]byte("\xff\x00re: "), d...)
	})
	for _, tt := range []struct{ send, expect, want string }{
		{"ping", "", ""},
		{"ping", `\xff\x00re: ping`, ""},
		{`\x00\xffa`, `\x00\xffa`, ""},
		{"ping", "pong", `the reply is not as expected: it begins with "\xff\x00re: ping"`},
		{"quiet", "", "no answer"},
	} {
		wantReason(t, probeOnce(t, to, lb.Check{Type: lb.CheckUDP, Send: tt.send, Expect: tt.expect}, 300*time.Millisecond), tt.want)
		if port := (<-from).Port(); port < probePortMin || port >= probePortMin+probePortCount {
			t.Errorf("came from port %d", port)
		}
	}
}

func TestNobodyListeningIsToldAtOnce(t *testing.T) {
	to := netip.AddrPortFrom(netip.MustParseAddr("127.0.0.99"), 9)
	start := time.Now()
	if err := probeOnce(t, to, lb.Check{Type: lb.CheckUDP, Send: "x"}, 5*time.Second); !errors.Is(err, unix.ECONNREFUSED) {
		t.Errorf("error %v", err)
	}
	if took := time.Since(start); took > time.Second {
		t.Errorf("took %v", took)
	}
}

// Many probes at a time share 512 ports; each gets its own node's answer.
func TestProbesFromTheSamePortGetTheirOwnReplies(t *testing.T) {
	const nodes = 4 * probePortCount
	c, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4zero})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	port := netip.MustParseAddrPort(c.LocalAddr().String()).Port()
	failed := make(chan error, nodes)
	room := make(chan struct{}, probePortCount+100) // more than there are ports, and no more than the server's buffer holds
	for i := range nodes {
		go func() {
			room <- struct{}{}
			defer func() { <-room }()
			to := netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 1, byte(i >> 8), byte(i)}), port)
			err := errNoAnswer
			for range 20 { // the server's buffer may be too small for all at once
				if !errors.Is(err, errNoAnswer) {
					break
				}
				err = probeOnce(t, to, lb.Check{Type: lb.CheckUDP, Send: to.String(), Expect: "for " + to.String()}, time.Second)
			}
			failed <- err
		}()
	}
	go echoFor(c)
	for range nodes {
		if err := <-failed; err != nil {
			t.Fatal(err)
		}
	}
}

// echoFor answers each datagram with "for " and itself, from the address that it came to.
func echoFor(c *net.UDPConn) {
	raw, err := c.SyscallConn()
	if err != nil {
		return
	}
	raw.Control(func(fd uintptr) { unix.SetsockoptInt(int(fd), unix.IPPROTO_IP, unix.IP_PKTINFO, 1) })
	buf, oob := make([]byte, 2048), make([]byte, 128)
	for {
		n, oobn, _, from, err := c.ReadMsgUDPAddrPort(buf, oob)
		if err != nil {
			return
		}
		c.WriteMsgUDPAddrPort(append([]byte("for "), buf[:n]...), oob[:oobn], from)
	}
}
