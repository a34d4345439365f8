package health

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// serve listens and hands out where connections came from.
func serve(t *testing.T, addr string) (netip.AddrPort, <-chan netip.AddrPort) {
	t.Helper()
	l, err := net.Listen("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	from := make(chan netip.AddrPort, 4096)
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			from <- netip.MustParseAddrPort(c.RemoteAddr().String())
			c.Close()
		}
	}()
	t.Cleanup(func() { l.Close(); <-done })
	return netip.MustParseAddrPort(l.Addr().String()), from
}

func within(t *testing.T, d time.Duration) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), d)
	t.Cleanup(cancel)
	return ctx
}

func TestCheckComesFromTheProbePortsAndTheChosenAddress(t *testing.T) {
	for _, c := range []struct {
		listen, source, want string
	}{
		{"127.0.0.1:0", "127.0.0.77", "127.0.0.77"},
		{"127.0.0.1:0", "", "127.0.0.1"},
		{"[::1]:0", "", "::1"},
		{"127.0.0.1:0", "192.0.2.55", "127.0.0.1"}, // not of this host
	} {
		t.Run(c.listen+" from "+c.source, func(t *testing.T) {
			to, from := serve(t, c.listen)
			var source netip.Addr
			if c.source != "" {
				source = netip.MustParseAddr(c.source)
			}
			conn := connectionProber(&dialer{source: func(dst netip.Addr) netip.Addr {
				if dst != to.Addr() {
					t.Errorf("source asked for %s", dst)
				}
				return source
			}})
			for range 20 {
				if err := conn(within(t, 5*time.Second), to); err != nil {
					t.Fatal(err)
				}
				got := <-from
				if got.Addr() != netip.MustParseAddr(c.want) || got.Port() < 1024 || got.Port() >= 1536 {
					t.Fatalf("came from %s", got)
				}
			}
		})
	}
}

// More checks of one node than there are ports, faster than any TIME_WAIT ends.
func TestCheckLeavesNoTimeWait(t *testing.T) {
	to, from := serve(t, "127.0.0.1:0")
	conn := connectionProber(&dialer{})
	for i := range 3 * probePortCount {
		if err := conn(within(t, 5*time.Second), to); err != nil {
			t.Fatalf("check %d: %v", i, err)
		}
		<-from
	}
	noTimeWait(t, to)
}

// noTimeWait looks for connections to the address that are over but keep their port.
func noTimeWait(t *testing.T, to netip.AddrPort) {
	t.Helper()
	const timeWait = "06"
	for line := range strings.Lines(readFile(t, "/proc/net/tcp")) {
		f := strings.Fields(line)
		if strings.HasSuffix(f[2], fmt.Sprintf(":%04X", to.Port())) && f[3] == timeWait {
			t.Fatalf("left behind: %s", line)
		}
	}
}

func readFile(t *testing.T, name string) string {
	b, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestRefusedConnectionIsAFailure(t *testing.T) {
	to, _ := serve(t, "127.0.0.1:0")
	closed := netip.AddrPortFrom(netip.MustParseAddr("127.0.0.99"), to.Port()) // nobody listens there
	conn := connectionProber(&dialer{})
	err := conn(within(t, 5*time.Second), closed)
	if !errors.Is(err, unix.ECONNREFUSED) || errors.Is(err, ErrInconclusive) || err.Error() != "connection refused" {
		t.Errorf("error %v", err)
	}
}

func TestSilentNodeIsGivenUpWithTheTimeout(t *testing.T) {
	to := deaf(t)
	conn := connectionProber(&dialer{})
	start := time.Now()
	err := conn(within(t, 200*time.Millisecond), to)
	if !errors.Is(err, errNoAnswer) {
		t.Errorf("error %v", err)
	}
	if took := time.Since(start); took > 2*time.Second {
		t.Errorf("took %v", took)
	}
}

// deaf is a server that has no room for another connection: the kernel drops its SYN.
func deaf(t *testing.T) netip.AddrPort {
	t.Helper()
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Close(fd) })
	if err := errors.Join(unix.Bind(fd, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}), unix.Listen(fd, 0)); err != nil {
		t.Fatal(err)
	}
	sa, err := unix.Getsockname(fd)
	if err != nil {
		t.Fatal(err)
	}
	to := netip.AddrPortFrom(netip.MustParseAddr("127.0.0.1"), uint16(sa.(*unix.SockaddrInet4).Port))
	c, err := net.Dial("tcp", to.String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return to
}

func TestPortsThatServersUseAreSteppedOver(t *testing.T) {
	to, from := serve(t, "127.0.0.1:0")
	taken := map[uint16]bool{}
	for port := uint16(probePortMin); port < probePortMin+probePortCount; port += 2 {
		l, err := net.Listen("tcp4", fmt.Sprintf("127.0.0.88:%d", port))
		if err != nil {
			continue // somebody else listens: as good
		}
		t.Cleanup(func() { l.Close() })
		taken[port] = true
	}
	conn := connectionProber(&dialer{source: func(netip.Addr) netip.Addr { return netip.MustParseAddr("127.0.0.88") }})
	for range 50 {
		if err := conn(within(t, 5*time.Second), to); err != nil {
			t.Fatal(err)
		}
		if got := <-from; taken[got.Port()] {
			t.Fatalf("came from %s", got)
		}
	}
}

func TestVerdictTellsTheNodesFaultFromOurs(t *testing.T) {
	for errno, local := range map[syscall.Errno]bool{
		unix.ECONNREFUSED: false, unix.ECONNRESET: false, unix.EHOSTUNREACH: false, unix.ENETUNREACH: false, unix.ETIMEDOUT: false,
		unix.EMFILE: true, unix.ENFILE: true, unix.ENOBUFS: true, unix.ENOMEM: true, unix.EPERM: true, unix.EADDRNOTAVAIL: true,
	} {
		err := verdict(&net.OpError{Op: "dial", Err: os.NewSyscallError("connect", errno)})
		if err == nil || errors.Is(err, ErrInconclusive) != local {
			t.Errorf("%v becomes %v", errno, err)
		}
	}
	if err := verdict(nil); err != nil {
		t.Errorf("success becomes %v", err)
	}
}
