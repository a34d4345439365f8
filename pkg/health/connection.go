package health

import (
	"context"
	"net/netip"
)

// connectionProber makes a TCP handshake and hangs up.
func connectionProber(d *dialer) prober {
	return func(ctx context.Context, to netip.AddrPort) error {
		conn, err := d.tcp(ctx, to)
		if err != nil {
			return err
		}
		return conn.Close()
	}
}
