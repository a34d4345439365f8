package config

import (
	"errors"
	"flag"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/headgate/headgate/pkg/lb"
)

var update = flag.Bool("update", false, "rewrite the .want files of testdata/config/bad")

const testdata = "../../testdata/config"

var (
	compareAddresses = cmpopts.EquateComparable(netip.Addr{}, netip.AddrPort{}, netip.Prefix{})
	equateEmpty      = cmpopts.EquateEmpty()
)

func files(t testing.TB, pattern string) []string {
	t.Helper()
	names, err := filepath.Glob(filepath.Join(testdata, pattern))
	if err != nil || len(names) == 0 {
		t.Fatalf("%s: no files (%v)", pattern, err)
	}
	return names
}

// TestBadFilesAnswerWithEveryFault compares the faults of each bad file with the .want beside it.
func TestBadFilesAnswerWithEveryFault(t *testing.T) {
	for _, name := range files(t, "bad/*.yaml") {
		t.Run(filepath.Base(name), func(t *testing.T) {
			data, err := os.ReadFile(name)
			if err != nil {
				t.Fatal(err)
			}
			file, err := Parse(filepath.Base(name), data)
			var faults Faults
			if !errors.As(err, &faults) || file != nil {
				t.Fatalf("not Faults alone: %v, %v", file, err)
			}
			got := faults.Error() + "\n"
			wantName := strings.TrimSuffix(name, ".yaml") + ".want"
			if *update {
				if err := os.WriteFile(wantName, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(wantName)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(strings.Split(string(want), "\n"), strings.Split(got, "\n")); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// TestGoodFilesComeBackFromExport reads each good file, writes its balancers and reads those again.
func TestGoodFilesComeBackFromExport(t *testing.T) {
	for _, name := range files(t, "good/*.yaml") {
		t.Run(filepath.Base(name), func(t *testing.T) {
			f, err := Load(name)
			if err != nil {
				t.Fatal(err)
			}
			data, err := Export(f.Balancers)
			if err != nil {
				t.Fatal(err)
			}
			again, err := Parse("export", data)
			if err != nil {
				t.Fatalf("%v in:\n%s", err, data)
			}
			if diff := cmp.Diff(f.Balancers, again.Balancers, compareAddresses, equateEmpty); diff != "" {
				t.Errorf("%s\nof:\n%s", diff, data)
			}
		})
	}
}

func TestTheSmallestFileHasEveryDefault(t *testing.T) {
	f, err := Load(filepath.Join(testdata, "good/smallest.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	want := &File{
		Interfaces: []string{"eth0"}, XDPMode: "auto",
		StateDir: "/var/lib/headgate", BPFFS: "/sys/fs/bpf/headgate",
		FlowTable: FlowTable{1048576, 262144}, StickyTable: 262144, ThrottleTable: 65536, API: API{Socket: "/run/headgate/headgate.sock"}, Region: "local", Domain: "headgate.internal",
		Metrics: Metrics{"127.0.0.1:9464"},
		Balancers: []lb.Balancer{{
			Label: "web", IPv4: netip.MustParseAddr("203.0.113.10"),
			Configs: []lb.Config{{
				Port: 80, Protocol: lb.TCP, Algorithm: lb.RoundRobin, Stickiness: lb.StickNone, StickTTL: 30 * time.Minute, OnNoBackend: lb.NoBackendReset, OnDown: lb.DownKeep,
				MinEligible: lb.MinEligible{N: 1}, TCPIdle: time.Hour, UDPIdle: 16 * time.Second,
				DrainDeadline: lb.NoDeadline, RejectDeadline: lb.NoDeadline, RemoveDeadline: 300 * time.Second,
				Check: lb.Check{
					Type: lb.CheckNone, UDPPort: 80, Interval: 31 * time.Second, Timeout: 30 * time.Second, Attempts: 3, Rise: 1, Passive: lb.On,
					Codes: "200-399", TLS: lb.Off, Verify: lb.On,
				},
				Nodes: []lb.Node{{Label: "web-1", Address: netip.MustParseAddrPort("192.0.2.11:8080"), Weight: 50, Mode: lb.Accept, Override: lb.OverrideNone}},
			}},
		}},
	}
	if diff := cmp.Diff(want, f, compareAddresses); diff != "" {
		t.Error(diff)
	}
}

func TestEveryKeyOfTheFullFileIsRead(t *testing.T) {
	f, err := Load(filepath.Join(testdata, "good/full.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	addr, addrPort := netip.MustParseAddr, netip.MustParseAddrPort
	web := lb.Config{
		Port: 80, Protocol: lb.TCP, Algorithm: lb.LeastConn, Stickiness: lb.StickTable, StickTTL: time.Hour, StickRefresh: true, OnNoBackend: lb.NoBackendOpen, OnDown: lb.DownReset,
		MinEligible: lb.MinEligible{N: 2}, FailbackDelay: 5 * time.Minute, SlowStart: 30 * time.Second,
		TCPIdle: 10 * time.Minute, UDPIdle: 30 * time.Second,
		DrainDeadline: 2 * time.Hour, RejectDeadline: 90 * time.Second, RemoveDeadline: 10 * time.Minute,
		Check: lb.Check{
			Type: lb.CheckHTTPBody, Port: 8081, UDPPort: 53, Interval: 2 * time.Second, Timeout: 250 * time.Millisecond, Attempts: 2, Rise: 4, Passive: lb.Off,
			Path: "/healthz?full=1", Host: "www.example.com:8443", Codes: "200,204,3xx", Body: `"ok":\s*true`,
			TLS: lb.On, Verify: lb.Off, CAFile: "/etc/ssl/nodes.pem", Send: `\x00PING\r\n`, Expect: "PONG", Service: "shop.v1.Cart",
		},
		Nodes: []lb.Node{
			{Label: "web-1", Address: addrPort("192.0.2.11:8080"), Weight: 100, Mode: lb.Accept, Override: lb.OverrideUp, MaxConns: 1000},
			{Label: "web-2", Address: addrPort("192.0.2.12:8080"), Weight: 1, Mode: lb.Drain, Override: lb.OverrideDown},
			{Label: "spare", Address: addrPort("[2001:db8:1::13]:8080"), Weight: 50, Mode: lb.Backup},
			{Label: "spare", Address: addrPort("192.0.2.14:8080"), Weight: 255, Mode: lb.Reject},
		},
	}
	dns := lb.Config{Port: 53, Nodes: []lb.Node{{Label: "ns-1", Address: addrPort("192.0.2.53:53"), Weight: 50}}}
	web.SetDefaults()
	udp := dns
	udp.Protocol, udp.OnNoBackend, udp.Algorithm = lb.UDP, lb.NoBackendDrop, lb.RingHash
	udp.Stickiness = lb.StickSourceIP
	udp.MinEligible = lb.MinEligible{N: 50, Percent: true}
	udp.DrainDeadline = lb.NoDeadline
	dns.SetDefaults()
	udp.SetDefaults()
	want := &File{
		Interfaces: []string{"eth0", "eth1"}, XDPMode: "native",
		SNAT:     []netip.Addr{addr("192.0.2.1"), addr("2001:db8:1::1")},
		StateDir: "/srv/headgate", BPFFS: "/sys/fs/bpf/edge",
		FlowTable: FlowTable{131072, 65536}, StickyTable: 100000, ThrottleTable: 1024,
		API:     API{"/run/edge.sock", "[2001:db8:1::1]:8443", "/etc/headgate/token", "/etc/headgate/cert.pem", "/etc/headgate/key.pem"},
		VIPPool: []netip.Prefix{netip.MustParsePrefix("203.0.113.0/24"), netip.MustParsePrefix("198.51.100.7/32"), netip.MustParsePrefix("2001:db8:2::/64")},
		Region:  "eu-west", Domain: "lb.example.com",
		Metrics: Metrics{"[::1]:9100"},
		Balancers: []lb.Balancer{
			{Label: "web", Tags: []string{"production", "no"}, IPv4: addr("203.0.113.10"), IPv6: addr("2001:db8::10"), ConnThrottle: 20, SessionThrottle: 1, Announce: true, Configs: []lb.Config{web}},
			{Label: "dns", IPv4: addr("203.0.113.53"), Configs: []lb.Config{udp, dns}},
		},
	}
	if diff := cmp.Diff(want, f, compareAddresses); diff != "" {
		t.Error(diff)
	}
}
