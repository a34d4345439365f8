package netdev

import (
	"errors"
	"fmt"
	"net/netip"
	"syscall"

	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

// watchBuffer is the receive buffer of the subscription in bytes: about 30,000 messages, so that a
// burst of changes is seldom lost while the Resolver works.
const watchBuffer = 8 << 20

// subscribe opens one socket for everything that can change the way to a node, so that changes arrive
// in the order in which they happened.
func subscribe(buffer int) (*nl.NetlinkSocket, error) {
	s, err := nl.Subscribe(unix.NETLINK_ROUTE,
		unix.RTNLGRP_LINK, unix.RTNLGRP_NEIGH, unix.RTNLGRP_NEXTHOP,
		unix.RTNLGRP_IPV4_IFADDR, unix.RTNLGRP_IPV6_IFADDR,
		unix.RTNLGRP_IPV4_ROUTE, unix.RTNLGRP_IPV6_ROUTE,
		unix.RTNLGRP_IPV4_RULE, unix.RTNLGRP_IPV6_RULE)
	if err != nil {
		return nil, fmt.Errorf("subscribe to network changes: %w", err)
	}
	// Beyond net.core.rmem_max only with CAP_NET_ADMIN; with less, losses are just likelier.
	if err := s.SetReceiveBufferSize(buffer, true); err != nil {
		if err := s.SetReceiveBufferSize(buffer, false); err != nil {
			s.Close()
			return nil, fmt.Errorf("subscribe to network changes: size the buffer: %w", err)
		}
	}
	return s, nil
}

// event is one batch of what the kernel told, or that some of it was lost.
type event struct {
	msgs []syscall.NetlinkMessage
	lost bool
}

// watch hands what the subscription receives to events, which it closes at the end. It ends when the
// socket is closed, or fails otherwise than by an overflow; the error goes to failed.
func watch(s *nl.NetlinkSocket, events chan<- event, failed chan<- error) {
	defer close(events)
	for {
		msgs, from, err := s.Receive()
		switch {
		case err == nil && from.Pid == nl.PidKernel:
			events <- event{msgs: msgs}
		case err == nil, errors.Is(err, unix.EINTR):
		case errors.Is(err, unix.ENOBUFS):
			if err := drain(s); err != nil {
				failed <- err
				return
			}
			events <- event{lost: true}
		default:
			failed <- err
			return
		}
	}
}

// watchQueue is more messages than can wait in a socket's buffer: the kernel doubles its size, and counts
// no message as less than 512 bytes.
const watchQueue = 2 * watchBuffer / 512

// drain throws away what waits in the socket after an overflow. It must be emptied before the world is
// read anew: until the queue has been empty once, the kernel drops what is new without a further word
// (NETLINK_S_CONGESTED in net/netlink/af_netlink.c), and an old message in it would undo what was read.
// It gives up waiting for a pause after so many messages that the old ones must be among them.
func drain(s *nl.NetlinkSocket) error {
	if err := s.SetReceiveTimeout(&unix.Timeval{Usec: 1000}); err != nil {
		return err
	}
	for range watchQueue {
		_, _, err := s.Receive()
		if errors.Is(err, unix.EAGAIN) {
			break
		}
		if err != nil && !errors.Is(err, unix.EINTR) && !errors.Is(err, unix.ENOBUFS) {
			return err
		}
	}
	return s.SetReceiveTimeout(&unix.Timeval{})
}

// routePrefix is the destination of an RTM_NEWROUTE or RTM_DELROUTE.
func routePrefix(b []byte) (netip.Prefix, bool) {
	if len(b) < unix.SizeofRtMsg {
		return netip.Prefix{}, false
	}
	var addr netip.Addr
	switch b[0] {
	case unix.AF_INET:
		addr = netip.IPv4Unspecified()
	case unix.AF_INET6:
		addr = netip.IPv6Unspecified()
	default:
		return netip.Prefix{}, false
	}
	for kind, value := range attributes(b[unix.SizeofRtMsg:]) {
		if kind == unix.RTA_DST {
			addr, _ = netip.AddrFromSlice(value)
		}
	}
	p, err := addr.Prefix(int(b[1]))
	return p, err == nil && p.IsValid()
}
