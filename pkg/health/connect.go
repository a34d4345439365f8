package health

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// Probes are sent from the ports 1024 to 1535 (PROBE_PORT_MIN to NAT_PORT_MIN-1 in bpf/abi.h). The data
// path uses the other ports, from 1536, of the same addresses for the connections that it forwards to the
// same nodes. It does not ask the kernel, so the kernel's own choice of a port could be one in use there:
// the answer to the probe would be taken for one to the client.
const (
	probePortMin   = 1024
	probePortCount = 512
)

// connectTries is how many ports are tried. One is taken only while a server listens on it or another probe
// of the same node holds it, so the first is nearly always free.
const connectTries = 16

// connector makes TCP handshakes.
type connector struct {
	source func(dst netip.Addr) netip.Addr
}

// check connects to the address and hangs up.
func (c *connector) check(ctx context.Context, to netip.AddrPort) error {
	var source netip.Addr
	if c.source != nil {
		source = c.source(to.Addr())
	}
	port := rand.Uint32N(probePortCount)
	var err error
	for range connectTries {
		port = (port + 1) % probePortCount
		err = connect(ctx, netip.AddrPortFrom(source, uint16(probePortMin+port)), to)
		switch {
		case errors.Is(err, unix.EADDRINUSE):
		case errors.Is(err, unix.EADDRNOTAVAIL):
			if failedCall(err) == "bind" && source.IsValid() {
				// The address has left this host and the one who chooses does not know yet. A check from
				// another address says more than none.
				source = netip.Addr{}
			}
		default:
			return verdict(err)
		}
	}
	return fmt.Errorf("%w: no free source port from %d to %d: %w",
		ErrInconclusive, probePortMin, probePortMin+probePortCount-1, err)
}

// connect does one handshake, from a port that other probes use too: the kernel tells them apart by the
// node, given SO_REUSEADDR. SO_LINGER 0 ends the connection with a RST, so that it leaves no TIME_WAIT
// which would keep the port from that node for a minute.
func connect(ctx context.Context, from, to netip.AddrPort) error {
	network, source := "tcp4", from.Addr()
	if to.Addr().Is6() && !to.Addr().Is4In6() {
		network = "tcp6"
	}
	if !source.IsValid() {
		source = netip.IPv4Unspecified()
		if network == "tcp6" {
			source = netip.IPv6Unspecified()
		}
	}
	d := net.Dialer{
		LocalAddr: net.TCPAddrFromAddrPort(netip.AddrPortFrom(source, from.Port())),
		KeepAlive: -1,
		Control:   reuseAddr,
	}
	conn, err := d.DialContext(ctx, network, to.String())
	if err != nil {
		return err
	}
	if err := conn.(*net.TCPConn).SetLinger(0); err != nil {
		return errors.Join(err, conn.Close())
	}
	return conn.Close()
}

func reuseAddr(_, _ string, c syscall.RawConn) error {
	var err error
	if e := c.Control(func(fd uintptr) {
		err = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_REUSEADDR, 1)
	}); e != nil {
		return e
	}
	return err
}

// failedCall is the system call that an error came from.
func failedCall(err error) string {
	var e *os.SyscallError
	if errors.As(err, &e) {
		return e.Syscall
	}
	return ""
}

// verdict tells what the node did wrong from what this host could not do, and puts the former in few words.
func verdict(err error) error {
	var errno syscall.Errno
	var timeout interface{ Timeout() bool }
	switch {
	case err == nil:
		return nil
	case errors.Is(err, context.Canceled):
		return err
	case errors.As(err, &errno) && isLocal(errno):
		return fmt.Errorf("%w: %w", ErrInconclusive, err)
	case errors.As(err, &timeout) && timeout.Timeout():
		return errNoAnswer
	case errno != 0:
		return errno
	}
	return err
}

// isLocal says that an error is for lack of something on this host, or its own firewall's doing.
func isLocal(e syscall.Errno) bool {
	switch e {
	case unix.EMFILE, unix.ENFILE, unix.ENOBUFS, unix.ENOMEM, unix.EPERM, unix.EADDRNOTAVAIL:
		return true
	}
	return false
}
