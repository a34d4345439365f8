package e2e

import (
	"context"
	"fmt"
	"maps"
	"net"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/headgate/headgate/loader"
	"github.com/headgate/headgate/pkg/api"
	bpfmaps "github.com/headgate/headgate/pkg/maps"
	"github.com/headgate/headgate/scripts/lab"
	"github.com/headgate/headgate/scripts/lab/gate"
	"github.com/headgate/headgate/scripts/lab/peer"
)

// soon bounds the wait for anything that should take a moment: on a slow machine that does other things too.
const soon = time.Minute

// smallTable keeps the memory of many sites at a time small.
const smallTable = "flow_table: {v4: 65536, v6: 65536}\n"

// site is a star with a place for headgate in its middle.
type site struct {
	t    *testing.T
	star *lab.Star
	gate *gate.Gate
}

// newSite makes a star with nodes; head is what the file says first, beyond directories and interfaces.
func newSite(t *testing.T, nodes int, head string) *site {
	t.Helper()
	l, err := lab.New()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := l.Close(); err != nil {
			t.Error(err)
		}
	})
	star, err := lab.NewStar(l, nodes)
	if err != nil {
		t.Fatal(err)
	}
	g, err := gate.New(l, star.Balancer, headgateBinary, star.Interfaces(), head)
	if err != nil {
		t.Fatal(err)
	}
	s := &site{t: t, star: star, gate: g}
	t.Cleanup(s.tellOnFailure)
	return s
}

// tellOnFailure prints what a person would look at first.
func (s *site) tellOnFailure() {
	if !s.t.Failed() || s.gate.Daemon() == nil {
		return
	}
	status, err := s.gate.CLI(context.Background(), "status")
	s.t.Logf("status (%v):\n%s\ndaemon's log:\n%s", err, status, s.gate.Log())
}

// run starts headgate on a file with these balancers and waits until every checked node has its health.
func (s *site) run(balancers string) {
	s.t.Helper()
	s.configure(balancers)
	s.start()
	s.settled()
}

func (s *site) configure(balancers string) {
	s.t.Helper()
	s.must(s.gate.Configure(balancers))
}

func (s *site) start() {
	s.t.Helper()
	s.must(s.gate.Start(s.t.Context()))
}

// settled waits until the health of all nodes that are checked is known, and what follows from it applied.
func (s *site) settled() {
	s.t.Helper()
	file, err := os.ReadFile(s.gate.File)
	s.must(err)
	checked := strings.Contains(string(file), "check:")
	s.eventually("every node's health is known", func(st api.Status) bool {
		for _, n := range st.Nodes() {
			if checked && n.Health == "Unknown" {
				return false
			}
		}
		return st.Applied == st.Desired
	})
}

// servers starts the small server on every node: HTTP on 8080, UDP on 5353. The nodes answer as a, b, c …
func (s *site) servers() []*lab.Process {
	s.t.Helper()
	var all []*lab.Process
	for i := range s.star.Nodes {
		all = append(all, s.server(i))
	}
	return all
}

// server starts the small server on node i, from 0.
func (s *site) server(i int) *lab.Process {
	s.t.Helper()
	p, err := peer.StartNode(s.star.Nodes[i], peer.NodeOptions{Name: nodeName(i), HTTP: "[::]:8080", UDP: "[::]:5353"})
	s.must(err)
	return p
}

func nodeName(i int) string { return string(rune('a' + i)) }

// set changes a node and waits until the data path runs it.
func (s *site) set(node string, args ...string) {
	s.t.Helper()
	s.cli(append([]string{"node", "set", node, "--wait"}, args...)...)
}

// cli runs a command that must succeed.
func (s *site) cli(args ...string) string {
	s.t.Helper()
	out, err := s.gate.CLI(s.t.Context(), args...)
	s.must(err)
	return out
}

func (s *site) must(err error) {
	s.t.Helper()
	if err != nil {
		s.t.Fatal(err)
	}
}

func (s *site) status() api.Status {
	s.t.Helper()
	st, err := s.gate.Status(s.t.Context())
	s.must(err)
	return st
}

func (s *site) node(name string) api.Node {
	s.t.Helper()
	n, err := s.gate.Node(s.t.Context(), name)
	s.must(err)
	return n
}

// look is status for those who look again and again: a command takes far more of a CPU than the answer.
func (s *site) look() api.Status {
	s.t.Helper()
	st, err := s.gate.Look(s.t.Context())
	if err != nil { // no daemon: the command reads the maps
		return s.status()
	}
	return st
}

// eventually waits until the condition holds, also as the command tells it.
func (s *site) eventually(what string, holds func(api.Status) bool) {
	s.t.Helper()
	poll(s.t, soon, what, func() bool { return holds(s.look()) && holds(s.status()) })
}

// nodeEventually polls a node's status until the condition holds.
func (s *site) nodeEventually(name, what string, holds func(api.Node) bool) {
	s.t.Helper()
	s.eventually(name+" "+what, func(st api.Status) bool {
		n, err := st.Node(name)
		s.must(err)
		return holds(n)
	})
}

// poll waits until the condition holds. The longer it waits the less often it looks: what waits together with others
// takes as little as it can of the machine.
func poll(t *testing.T, limit time.Duration, what string, holds func() bool) {
	t.Helper()
	begin := time.Now()
	for !holds() {
		waited := time.Since(begin)
		if waited > limit {
			t.Fatalf("not within %v: %s", limit, what)
		}
		time.Sleep(min(max(10*time.Millisecond, waited/20), 200*time.Millisecond))
	}
}

// vip is the address that clients use.
func (s *site) vip(family, port int) string {
	return net.JoinHostPort(s.star.VIP(family).String(), strconv.Itoa(port))
}

// load runs a load from the client to its end.
func (s *site) load(l peer.Load) peer.Report {
	s.t.Helper()
	r, err := peer.RunLoad(s.t.Context(), s.star.Client, l)
	s.must(err)
	return r
}

// exchanges makes count exchanges, each with a connection or socket of its own, one after another.
func (s *site) exchanges(network string, family, port, count int) peer.Report {
	s.t.Helper()
	return s.load(peer.Load{Network: network, Address: s.vip(family, port), Workers: 1, Count: count, Timeout: time.Second})
}

// hold opens connections, or UDP sockets, that make one exchange on each pulse, and makes the first.
func (s *site) hold(network string, family, port, count int) *peer.Client {
	s.t.Helper()
	c := s.startLoad(peer.Load{Network: network, Address: s.vip(family, port), Workers: count, KeepOpen: true})
	if r := s.pulse(c); r.Failed != 0 || r.Open != count {
		s.t.Fatalf("%d connections to hold: %+v", count, r)
	}
	return c
}

func (s *site) startLoad(l peer.Load) *peer.Client {
	s.t.Helper()
	c, err := peer.StartLoad(s.star.Client, l)
	s.must(err)
	return c
}

func (s *site) pulse(c *peer.Client) peer.Report {
	s.t.Helper()
	r, err := c.Pulse()
	s.must(err)
	return r
}

func (s *site) finish(c *peer.Client) peer.Report {
	s.t.Helper()
	r, err := c.Finish()
	s.must(err)
	return r
}

// wantShares checks that nothing failed and that every node got exactly its share.
func wantShares(t *testing.T, what string, r peer.Report, want map[string]int) {
	t.Helper()
	if r.Failed != 0 || !maps.Equal(r.Nodes, want) {
		t.Errorf("%s: want %v and no failure, got %v, %d failed: %v", what, want, r.Nodes, r.Failed, r.Failures)
	}
}

// countFlows is `headgate flows --count`: flows by node name, of the given states.
func (s *site) countFlows(states ...string) map[string]int {
	s.t.Helper()
	var counts []api.FlowCount
	s.must(s.gate.JSON(s.t.Context(), &counts, "flows", "--count"))
	got := map[string]int{}
	for _, c := range counts {
		for _, state := range states {
			if c.State == state {
				got[c.Node] += int(c.Flows)
			}
		}
	}
	return got
}

func total(counts map[string]int) int {
	sum := 0
	for _, n := range counts {
		sum += n
	}
	return sum
}

// checkCounts compares the counters of every node with the flows that are in the table, and looks for
// anything else that must never be in it, at a quiet moment.
func (s *site) checkCounts() {
	s.t.Helper()
	// The listing and the counters are read one after the other: an expiry between them is no fault.
	var inTable map[string]int
	var st api.Status
	agree := func() bool {
		inTable, st = s.countFlows("half_open", "established", "udp"), s.status()
		for _, n := range st.Nodes() {
			if int(n.ActiveFlows) != inTable[n.Name] {
				return false
			}
		}
		return int(st.ActiveFlows) == total(inTable)
	}
	var faults []string
	for range 20 {
		if faults = s.tableFaults(); agree() && len(faults) == 0 {
			return
		}
		time.Sleep(50 * time.Millisecond)
	}
	for _, fault := range faults {
		s.t.Error(fault)
	}
	s.t.Errorf("flows in the table by node: %v", inTable)
	for _, n := range st.Nodes() {
		s.t.Errorf("counted for %s: %d", n.Name, n.ActiveFlows)
	}
}

// tableFaults names every invariant of the flow table that does not hold.
func (s *site) tableFaults() []string {
	s.t.Helper()
	pinned, err := loader.OpenMaps(s.gate.BPFFS)
	s.must(err)
	defer pinned.Close()
	tables, err := bpfmaps.NewKernel(pinned)
	s.must(err)
	defer func() { s.must(tables.Close()) }()
	return tables.Reader().Check()
}

// writeFile writes a file into the lab's directory and returns its path.
func (s *site) writeFile(name, content string) string {
	s.t.Helper()
	path := fmt.Sprintf("%s/%s", s.star.Lab.Dir(), name)
	s.must(os.WriteFile(path, []byte(content), 0o644))
	return path
}
