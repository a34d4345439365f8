package health

import (
	"net"
	"net/http"
	"net/netip"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/health"
	"google.golang.org/grpc/health/grpc_health_v1"

	"github.com/headgate/headgate/pkg/lb"
)

// grpcServer serves the health protocol: "shop" is well, "stock" is not.
func grpcServer(t *testing.T, options ...grpc.ServerOption) (netip.AddrPort, *health.Server) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s, h := grpc.NewServer(options...), health.NewServer()
	h.SetServingStatus("shop", grpc_health_v1.HealthCheckResponse_SERVING)
	h.SetServingStatus("stock", grpc_health_v1.HealthCheckResponse_NOT_SERVING)
	grpc_health_v1.RegisterHealthServer(s, h)
	done := make(chan struct{})
	go func() { defer close(done); s.Serve(l) }()
	t.Cleanup(func() { s.Stop(); <-done })
	return netip.MustParseAddrPort(l.Addr().String()), h
}

func TestGRPCIsJudgedByWhatItSaysOfItself(t *testing.T) {
	to, h := grpcServer(t)
	for service, want := range map[string]string{
		"": "", "shop": "", "stock": "the node says NOT_SERVING", "bakery": `the node knows no service "bakery"`,
	} {
		wantReason(t, probeOnce(t, to, lb.Check{Type: lb.CheckGRPC, Service: service}, 5*time.Second), want)
	}
	h.Shutdown()
	wantReason(t, probeOnce(t, to, lb.Check{Type: lb.CheckGRPC}, 5*time.Second), "the node says NOT_SERVING")
}

func TestGRPCOverTLS(t *testing.T) {
	ca := newAuthority(t)
	with := func(until time.Time) netip.AddrPort {
		to, _ := grpcServer(t, grpc.Creds(credentials.NewServerTLSFromCert(ca.sign(until))))
		return to
	}
	expired := time.Now().Add(-time.Minute).UTC()
	c := lb.Check{Type: lb.CheckGRPC, TLS: lb.On, Host: "www.example.com", CAFile: ca.file}
	wantReason(t, probeOnce(t, with(time.Now().Add(time.Hour)), c, 5*time.Second), "")
	wantReason(t, probeOnce(t, with(expired), c, 5*time.Second), "the certificate expired at "+expired.Format(time.DateTime))
	c.Verify = lb.Off
	wantReason(t, probeOnce(t, with(expired), c, 5*time.Second), "")
	plain, _ := grpcServer(t)
	if err := probeOnce(t, plain, c, 5*time.Second); err == nil {
		t.Error("a node without TLS is good")
	}
}

func TestWhatIsNotGRPCIsAFailure(t *testing.T) {
	closed := netip.MustParseAddrPort("127.0.0.99:9")
	for name, tt := range map[string]struct {
		to   netip.AddrPort
		want string
	}{
		"nobody":        {closed, "connection refused"},
		"silent":        {raw(t, func(c net.Conn) { c.Read(make([]byte, 1)); time.Sleep(time.Second) }), "no answer"},
		"HTTP/1.1 only": {web(t, func(http.ResponseWriter, *http.Request) {}, nil), "*"},
	} {
		t.Run(name, func(t *testing.T) {
			err := probeOnce(t, tt.to, lb.Check{Type: lb.CheckGRPC}, 300*time.Millisecond)
			if tt.want == "*" && err != nil && !strings.Contains(err.Error(), "\n") {
				tt.want = err.Error()
				t.Log(err)
			}
			wantReason(t, err, tt.want)
		})
	}
	withoutHealth := grpc.NewServer()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	go withoutHealth.Serve(l)
	defer withoutHealth.Stop()
	wantReason(t, probeOnce(t, netip.MustParseAddrPort(l.Addr().String()), lb.Check{Type: lb.CheckGRPC}, 5*time.Second),
		"the node does not speak the health protocol of gRPC")
}

func TestGRPCLeavesNoTimeWait(t *testing.T) {
	to, _ := grpcServer(t)
	c := lb.Check{Type: lb.CheckGRPC}
	c.SetDefaults()
	p := newProber(&dialer{}, essence(c))
	for i := range 100 {
		if err := p(within(t, 5*time.Second), to); err != nil {
			t.Fatalf("check %d: %v", i, err)
		}
	}
	noTimeWait(t, to)
}
