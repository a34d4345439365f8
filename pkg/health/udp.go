package health

import (
	"bytes"
	"context"
	"fmt"
	"net/netip"
	"time"

	"github.com/headgate/headgate/pkg/lb"
)

// udpReplyMax is how much of a reply is looked at: all that one datagram can hold.
const udpReplyMax = 64 << 10

// udpProber sends a datagram and judges the first reply.
func udpProber(d *dialer, c lb.Check) (prober, error) {
	send, err := lb.ParsePayload(c.Send)
	if err != nil {
		return nil, err
	}
	expect, err := lb.ParsePayload(c.Expect)
	if err != nil {
		return nil, err
	}
	return func(ctx context.Context, to netip.AddrPort) error {
		reply, err := exchange(ctx, d, to, send)
		if err != nil {
			return verdict(err)
		}
		if !bytes.Contains(reply, expect) {
			return fmt.Errorf("the reply is not as expected: it begins with %.40q", reply)
		}
		return nil
	}, nil
}

// exchange sends a datagram and returns the first that the node sends back. That nobody listens there is
// told by an ICMP error, at once.
func exchange(ctx context.Context, d *dialer, to netip.AddrPort, send []byte) ([]byte, error) {
	conn, err := d.udp(ctx, to)
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	// When ctx ends, whatever for, the read does.
	defer context.AfterFunc(ctx, func() { conn.SetReadDeadline(time.Unix(1, 0)) })()
	if _, err := conn.Write(send); err != nil {
		return nil, err
	}
	buf := make([]byte, udpReplyMax)
	for {
		n, from, err := conn.ReadFromUDPAddrPort(buf)
		if err != nil {
			return nil, err
		}
		if from.Port() == to.Port() && from.Addr().Unmap() == to.Addr().Unmap() {
			return buf[:n], nil
		}
	}
}
