package daemon_test

import (
	"context"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/headgate/headgate/scripts/lab"
	"github.com/headgate/headgate/scripts/lab/gate"
)

func TestMain(m *testing.M) {
	lab.Main()
	os.Exit(run(m))
}

// binary is headgate, compiled for the first test that needs it: that takes longer than the tests.
var binary func() (string, error)

func run(m *testing.M) int {
	dir, err := os.MkdirTemp("", "headgate-daemon-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	binary = sync.OnceValues(func() (string, error) { return gate.Build(context.Background(), dir) })
	return m.Run()
}

// place makes a network with one node, and a place for a daemon in it.
func place(t *testing.T) *gate.Gate {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("network namespaces need root")
	}
	l, err := lab.New()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := l.Close(); err != nil {
			t.Error(err)
		}
	})
	star, err := lab.NewStar(l, 1)
	if err != nil {
		t.Fatal(err)
	}
	compiled, err := binary()
	if err != nil {
		t.Fatal(err)
	}
	g, err := gate.New(l, star.Balancer, compiled, star.Interfaces(), "flow_table: {v4: 1024, v6: 1024}\n")
	if err != nil {
		t.Fatal(err)
	}
	if err := g.Configure("balancers: []\n"); err != nil {
		t.Fatal(err)
	}
	return g
}

func attached(t *testing.T, g *gate.Gate) bool {
	t.Helper()
	yes, _, err := g.Namespace.XDP("client")
	if err != nil {
		t.Fatal(err)
	}
	return yes
}

// spoil makes the store unreadable.
func spoil(t *testing.T, g *gate.Gate) {
	t.Helper()
	if err := os.MkdirAll(g.StateDir, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(g.StateDir, "headgate.db"), []byte("no database"), 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestAFirstStartThatFailsLeavesNoTrace(t *testing.T) {
	g := place(t)
	spoil(t, g)
	if err := g.Start(t.Context()); err == nil || !strings.Contains(err.Error(), "headgate.db") {
		t.Fatalf("%v", err)
	}
	if _, err := os.Stat(g.BPFFS); !os.IsNotExist(err) {
		t.Errorf("pins: %v", err)
	}
	if _, err := os.Stat(g.Socket); !os.IsNotExist(err) {
		t.Errorf("socket: %v", err)
	}
	if attached(t, g) {
		t.Error("the program is attached")
	}
}

// oneNode is a config whose node is the neighbour of the balancer's interface node1.
const oneNode = `balancers:
  - label: web
    ipv4: 203.0.113.10
    configs:
      - {port: 80, nodes: [{label: web-1, address: "10.77.1.2:8080"}]}
`

func exempt(t *testing.T, g *gate.Gate) []netip.Addr {
	t.Helper()
	addrs, err := g.Namespace.ExemptNeighbours("node1")
	if err != nil {
		t.Fatal(err)
	}
	return addrs
}

func TestDetachGivesTheNeighboursBackToTheKernel(t *testing.T) {
	g := place(t)
	if err := g.Configure(oneNode); err != nil {
		t.Fatal(err)
	}
	if err := g.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := g.Stop(); err != nil {
		t.Fatal(err)
	}
	if got := exempt(t, g); len(got) != 1 {
		t.Fatalf("while the data path forwards, the kernel may forget its node: kept are %v", got)
	}
	if out, err := g.CLI(t.Context(), "detach", "--yes"); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	if got := exempt(t, g); len(got) != 0 {
		t.Errorf("the kernel must still keep %v", got)
	}
}

func TestAFirstStartThatFailsLateGivesTheNeighboursBack(t *testing.T) {
	g := place(t)
	if err := g.Configure("xdp_mode: native\n" + oneNode); err != nil {
		t.Fatal(err)
	}
	file, err := os.ReadFile(g.File)
	if err != nil {
		t.Fatal(err)
	}
	spoilt := strings.Replace(string(file), "[client, ", "[lo, client, ", 1) // which has no native mode
	if err := os.WriteFile(g.File, []byte(spoilt), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := g.Start(t.Context()); err == nil || !strings.Contains(err.Error(), "attach to lo") {
		t.Fatalf("%v", err)
	}
	if got := exempt(t, g); len(got) != 0 || attached(t, g) {
		t.Errorf("the kernel must still keep %v; attached: %v", got, attached(t, g))
	}
}

func TestAStartThatFailsLeavesTheDataPathOfBefore(t *testing.T) {
	g := place(t)
	if err := g.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := g.Stop(); err != nil {
		t.Fatal(err)
	}
	spoil(t, g)
	if err := g.Start(t.Context()); err == nil {
		t.Fatal("it started with a spoilt store")
	}
	if !attached(t, g) {
		t.Error("the data path is gone")
	}
	if out, err := g.CLI(t.Context(), "status"); err != nil || !strings.Contains(out, "NO DAEMON") || !strings.Contains(out, "client native") {
		t.Errorf("%v\n%s", err, out)
	}
}
