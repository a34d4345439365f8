package health

import (
	"context"
	"fmt"
	"net/netip"

	"github.com/headgate/headgate/pkg/lb"
)

// CheckFunc makes one check of an address. It ends with ctx, at the latest when the check's timeout has
// passed. nil is a success; an error that matches ErrInconclusive counts for nobody; any other is a
// failure with the error's text as the reason.
type CheckFunc func(ctx context.Context, to netip.AddrPort, check lb.Check) error

// prober makes the checks of one kind, with all that they have in common prepared. It is as CheckFunc says.
type prober func(ctx context.Context, to netip.AddrPort) error

// newProber prepares a check. What makes that impossible, such as an expression that does not compile, was
// refused long before; if it comes here after all, it is the error of each check.
func newProber(d *dialer, c lb.Check) prober {
	var p prober
	var err error
	switch c.Type {
	case lb.CheckConnection:
		p = connectionProber(d)
	case lb.CheckHTTP, lb.CheckHTTPS, lb.CheckHTTPBody:
		p, err = httpProber(d, c)
	case lb.CheckUDP:
		p, err = udpProber(d, c)
	case lb.CheckGRPC:
		p = grpcProber(d, c)
	default:
		err = fmt.Errorf("there is no check %q", c.Type)
	}
	if err != nil {
		return func(context.Context, netip.AddrPort) error { return fmt.Errorf("%w: %w", ErrInconclusive, err) }
	}
	return p
}

// essence is a check without what its type does not use, so that checks that do the same are the same.
func essence(c lb.Check) lb.Check {
	e := lb.Check{Type: c.Type, Interval: c.Interval, Timeout: c.Timeout, Attempts: c.Attempts, Rise: c.Rise}
	switch c.Type {
	case lb.CheckHTTP, lb.CheckHTTPS:
		e.Path, e.Host, e.Codes = c.Path, c.Host, c.Codes
	case lb.CheckHTTPBody:
		e.Path, e.Host, e.Codes, e.Body, e.TLS = c.Path, c.Host, c.Codes, c.Body, c.TLS
	case lb.CheckUDP:
		e.Send, e.Expect = c.Send, c.Expect
	case lb.CheckGRPC:
		e.Service, e.Host, e.TLS = c.Service, c.Host, c.TLS
	}
	if c.IsSecure() {
		e.Verify, e.CAFile = c.Verify, c.CAFile
	}
	return e
}
