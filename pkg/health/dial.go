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

// dialTries is how many ports are tried. One is taken only while a server listens on it or another probe
// of the same node holds it, so the first is nearly always free.
const dialTries = 16

// dialer opens sockets to nodes from the ports of probes.
type dialer struct {
	source func(dst netip.Addr) netip.Addr // nil: the kernel chooses
}

// tcp connects. Whoever closes the connection, and whenever, ends it with a RST (SO_LINGER 0): it leaves no
// TIME_WAIT, which would keep the port from that node for a minute.
func (d *dialer) tcp(ctx context.Context, to netip.AddrPort) (*net.TCPConn, error) {
	return fromProbePort(d, to, func(from netip.AddrPort) (*net.TCPConn, error) {
		conn, err := dialFrom(ctx, "tcp", net.TCPAddrFromAddrPort(from), to)
		if err != nil {
			return nil, err
		}
		tcp := conn.(*net.TCPConn)
		if err := tcp.SetLinger(0); err != nil {
			return nil, errors.Join(err, tcp.Close())
		}
		return tcp, nil
	})
}

// udp makes a socket that sends to the node. Before it was connected it may have caught what was meant for
// another probe from the same port: see who a datagram is from.
func (d *dialer) udp(ctx context.Context, to netip.AddrPort) (*net.UDPConn, error) {
	return fromProbePort(d, to, func(from netip.AddrPort) (*net.UDPConn, error) {
		conn, err := dialFrom(ctx, "udp", net.UDPAddrFromAddrPort(from), to)
		if err != nil {
			return nil, err
		}
		return conn.(*net.UDPConn), nil
	})
}

// fromProbePort opens a socket from the first port that is free, at the address that is to be used.
func fromProbePort[C any](d *dialer, to netip.AddrPort, open func(from netip.AddrPort) (C, error)) (C, error) {
	source := unspecified(to.Addr())
	chosen := false
	if d.source != nil {
		if a := d.source(to.Addr()); a.IsValid() {
			source, chosen = a, true
		}
	}
	port := rand.Uint32N(probePortCount)
	var conn C
	var err error
	for range dialTries {
		port = (port + 1) % probePortCount
		conn, err = open(netip.AddrPortFrom(source, uint16(probePortMin+port)))
		switch {
		case errors.Is(err, unix.EADDRINUSE):
		case errors.Is(err, unix.EADDRNOTAVAIL):
			if failedCall(err) == "bind" && chosen {
				// The address has left this host and the one who chooses does not know yet. A check from
				// another address says more than none.
				source, chosen = unspecified(to.Addr()), false
			}
		default:
			return conn, verdict(err)
		}
	}
	return conn, fmt.Errorf("%w: no free source port from %d to %d: %w",
		ErrInconclusive, probePortMin, probePortMin+probePortCount-1, err)
}

func unspecified(family netip.Addr) netip.Addr {
	if family.Is4() || family.Is4In6() {
		return netip.IPv4Unspecified()
	}
	return netip.IPv6Unspecified()
}

// dialFrom opens one socket from a port that other probes use too: the kernel tells them apart by the node,
// given SO_REUSEADDR.
func dialFrom(ctx context.Context, protocol string, from net.Addr, to netip.AddrPort) (net.Conn, error) {
	network := protocol + "4"
	if !unspecified(to.Addr()).Is4() {
		network = protocol + "6"
	}
	d := net.Dialer{LocalAddr: from, KeepAlive: -1, Control: reuseAddr}
	return d.DialContext(ctx, network, to.String())
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
