package health

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"sync"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/status"

	"github.com/headgate/headgate/pkg/lb"
)

// grpcReplyMax bounds an answer of the health protocol, which has two bytes.
const grpcReplyMax = 4 << 10

// grpcProber asks a node after a service by the standard health protocol of gRPC (grpc.health.v1).
func grpcProber(d *dialer, c lb.Check) prober {
	var secure *trust
	if c.IsSecure() {
		secure = newTrust(c)
	}
	return func(ctx context.Context, to netip.AddrPort) error {
		call := &grpcCall{dialer: d, trust: secure, to: to}
		answer, err := call.check(ctx, c.Service, c.Host)
		if err != nil {
			return err
		}
		if s := answer.GetStatus(); s != grpc_health_v1.HealthCheckResponse_SERVING {
			return fmt.Errorf("the node says %s", s)
		}
		return nil
	}
}

// grpcCall is one question to one node.
type grpcCall struct {
	dialer *dialer
	trust  *trust // nil: without TLS
	to     netip.AddrPort

	mu     sync.Mutex
	failed error // why there was no connection: the library tells it in many words
}

func (c *grpcCall) check(ctx context.Context, service, host string) (*grpc_health_v1.HealthCheckResponse, error) {
	creds, err := c.credentials()
	if err != nil {
		return nil, err
	}
	conn, err := grpc.NewClient("passthrough:///"+c.to.String(),
		grpc.WithTransportCredentials(creds),
		grpc.WithContextDialer(c.dial),
		grpc.WithAuthority(cmp.Or(host, c.to.String())),
		grpc.WithUserAgent(userAgent),
		grpc.WithDisableServiceConfig(), grpc.WithDisableRetry(),
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(grpcReplyMax)))
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrInconclusive, err)
	}
	defer conn.Close()
	answer, err := grpc_health_v1.NewHealthClient(conn).Check(ctx, &grpc_health_v1.HealthCheckRequest{Service: service})
	if err == nil {
		return answer, nil
	}
	return nil, c.verdict(err, service)
}

func (c *grpcCall) credentials() (credentials.TransportCredentials, error) {
	if c.trust == nil {
		return insecure.NewCredentials(), nil
	}
	config, err := c.trust.config(c.to, nil) // the library adds what it speaks
	if err != nil {
		return nil, err
	}
	return noting{credentials.NewTLS(config), c}, nil
}

func (c *grpcCall) dial(ctx context.Context, _ string) (net.Conn, error) {
	conn, err := c.dialer.tcp(ctx, c.to)
	if err != nil {
		c.note(err)
		return nil, err
	}
	return conn, nil
}

func (c *grpcCall) note(err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.failed = err
}

// noting are credentials that note why a handshake failed.
type noting struct {
	credentials.TransportCredentials
	call *grpcCall
}

func (n noting) ClientHandshake(ctx context.Context, authority string, conn net.Conn) (net.Conn, credentials.AuthInfo, error) {
	secured, info, err := n.TransportCredentials.ClientHandshake(ctx, authority, conn)
	if err != nil {
		n.call.note(plainly(err))
	}
	return secured, info, err
}

func (n noting) Clone() credentials.TransportCredentials {
	return noting{n.TransportCredentials.Clone(), n.call}
}

// verdict says in few words why there is no answer.
func (c *grpcCall) verdict(err error, service string) error {
	s := status.Convert(err)
	switch s.Code() {
	case codes.DeadlineExceeded:
		return errNoAnswer
	case codes.Canceled:
		return context.Canceled
	case codes.Unimplemented:
		return errors.New("the node does not speak the health protocol of gRPC")
	case codes.NotFound:
		return fmt.Errorf("the node knows no service %q", service)
	case codes.Unavailable:
		c.mu.Lock()
		defer c.mu.Unlock()
		if c.failed != nil {
			return verdict(c.failed)
		}
	}
	return fmt.Errorf("%s: %s", s.Code(), s.Message())
}
