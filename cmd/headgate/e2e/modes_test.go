package e2e

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/headgate/headgate/pkg/api"
	"github.com/headgate/headgate/scripts/lab"
	"github.com/headgate/headgate/scripts/lab/peer"
)

// Ports of the nodes that only checks talk to, so that health and traffic can be told apart.
const (
	checkPort     = 9090
	slowCheckPort = 9091
)

// matrix is a site with nodes a and b in a TCP and a UDP config, over both families, whose health
// is what the test wants it to be.
type matrix struct {
	*site
	listeners [2]*lab.Process // on checkPort, by node; nil: closed
	modes     [2]string       // that were set, by node
}

// combo is one of the four ways to node a.
type combo struct {
	network string
	family  int
	port    int
}

var combos = []combo{{"tcp", 4, 80}, {"tcp", 6, 80}, {"udp", 4, 53}, {"udp", 6, 53}}

func (c combo) String() string { return fmt.Sprintf("%s over IPv%d", c.network, c.family) }

// node is the name of node i, from 0, in the config of the combo.
func (c combo) node(i int) string {
	config := "web/80/"
	if c.network == "udp" {
		config = "web/53/udp/"
	}
	return config + nodeLabel(i, c.family)
}

func newMatrix(t *testing.T) *matrix {
	t.Helper()
	m := &matrix{site: newSite(t, 2, smallTable), modes: [2]string{"accept", "accept"}}
	m.servers()
	check := quickCheck + fmt.Sprintf("check_port: %d\n", checkPort)
	m.up(0)
	m.up(1)
	m.run(m.yaml(
		conf{port: 80, extra: check, nodes: members(2, 8080, both)},
		conf{port: 53, proto: "udp", extra: check + "udp_idle: 5m\n", nodes: members(2, 5353, both)},
	))
	return m
}

// up makes node i healthy, down makes it fail its checks; its traffic ports stay as they are.
func (m *matrix) up(i int) {
	m.t.Helper()
	if m.listeners[i] != nil {
		return
	}
	var err error
	m.listeners[i], err = peer.StartListener(m.star.Nodes[i], fmt.Sprintf("[::]:%d", checkPort))
	m.must(err)
}

func (m *matrix) down(i int) {
	m.t.Helper()
	m.must(m.listeners[i].Kill())
	m.listeners[i] = nil
}

// mode sets the mode of node i in all combos, unless it is that already.
func (m *matrix) mode(i int, mode string) {
	m.t.Helper()
	if m.modes[i] == mode {
		return
	}
	m.modes[i] = mode
	for _, c := range combos {
		m.set(c.node(i), "--mode", mode)
	}
}

// awaitHealth waits until node i has this health in all combos, applied.
func (m *matrix) awaitHealth(i int, health string) {
	m.t.Helper()
	m.eventually(fmt.Sprintf("node %s is %s", nodeName(i), health), func(st api.Status) bool {
		return st.Applied == st.Desired && !slices.ContainsFunc(combos, func(c combo) bool {
			n, err := st.Node(c.node(i))
			m.must(err)
			return n.Health != health
		})
	})
}

// baseline brings both nodes back to accept and UP.
func (m *matrix) baseline() {
	m.t.Helper()
	for i := range 2 {
		m.up(i)
		m.mode(i, "accept")
	}
	for i := range 2 {
		m.awaitHealth(i, "UP")
	}
}

// Which of both nodes gets what.
const (
	onBoth  = "a and b"
	onA     = "a"
	onB     = "b"
	refused = "nobody"
)

// row is a row of the table of modes and health.
type row struct {
	name   string
	set    func(m *matrix) // brings node a, and b, into their state
	fresh  string          // where new flows go
	udp    string          // where existing UDP flows of both nodes go; empty: they stay
	health string          // of a, as shown
	checks bool            // a is checked
	config string          // status of the config
}

var rows = []row{
	{name: "1 accept UP", set: func(*matrix) {}, fresh: onBoth, health: "UP", checks: true, config: "UP"},
	{name: "3 accept DOWN", set: func(m *matrix) { m.down(0); m.awaitHealth(0, "DOWN") },
		fresh: onB, udp: onB, health: "DOWN", checks: true, config: "UP"},
	{name: "4 drain UP", set: func(m *matrix) { m.mode(0, "drain") }, fresh: onB, health: "UP", checks: true, config: "UP"},
	{name: "5 drain DOWN", set: func(m *matrix) { m.mode(0, "drain"); m.down(0); m.awaitHealth(0, "DOWN") },
		fresh: onB, udp: onB, health: "DOWN", checks: true, config: "UP"},
	{name: "6 reject", set: func(m *matrix) { m.mode(0, "reject") }, fresh: onB, health: "DOWN", checks: false, config: "UP"},
	{name: "7 backup UP, primary eligible", set: func(m *matrix) { m.mode(0, "backup") }, fresh: onB, health: "UP", checks: true, config: "UP"},
	{name: "8 backup UP, primary DOWN", set: func(m *matrix) { m.mode(0, "backup"); m.down(1); m.awaitHealth(1, "DOWN") },
		fresh: onA, udp: onA, health: "UP", checks: true, config: "BACKUP"},
	{name: "8 backup UP, primary in drain", set: func(m *matrix) { m.mode(0, "backup"); m.mode(1, "drain") },
		fresh: onA, health: "UP", checks: true, config: "BACKUP"},
	{name: "9 backup DOWN", set: func(m *matrix) { m.mode(0, "backup"); m.down(0); m.awaitHealth(0, "DOWN") },
		fresh: onB, udp: onB, health: "DOWN", checks: true, config: "UP"},
	{name: "11 nothing eligible, both in drain", set: func(m *matrix) { m.mode(0, "drain"); m.mode(1, "drain") },
		fresh: refused, health: "UP", checks: true, config: "DOWN"},
	{name: "11 nothing eligible, both in reject", set: func(m *matrix) { m.mode(0, "reject"); m.mode(1, "reject") },
		fresh: refused, health: "DOWN", checks: false, config: "DOWN"},
}

// The normative table of what mode and health do to traffic, for TCP and UDP over IPv4 and IPv6.
func TestModeMatrix(t *testing.T) {
	t.Parallel()
	queue := make(chan row, len(rows))
	for _, r := range rows {
		queue <- r
	}
	close(queue)
	// Most of a row is waiting for checks: two sites take the rows in turn.
	sites := [2]*matrix{newMatrix(t), newMatrix(t)}
	var all sync.WaitGroup
	for _, m := range sites {
		all.Go(func() {
			for r := range queue {
				t.Run(r.name, func(t *testing.T) {
					m.t = t
					r.try(m)
				})
			}
		})
	}
	all.Wait()
	for _, m := range sites {
		m.t = t
		m.baseline()
		m.checkCounts()
	}
}

// try brings a site into the state of the row, and out of it.
func (r row) try(m *matrix) {
	m.t.Helper()
	m.baseline()
	held := map[combo]*peer.Client{}
	for _, c := range combos {
		held[c] = m.hold(c.network, c.family, c.port, 2)
	}
	r.set(m)
	forAll(func(c combo) { r.checkFresh(m.t, m, c) })
	st := m.status()
	for _, c := range combos {
		r.checkExisting(m.t, m, c, held[c])
		r.checkStatus(m.t, st, c)
	}
	r.checkChecks(m.t, m)
	m.baseline()
	for _, c := range combos {
		m.finish(held[c])
	}
}

// forAll runs something for all combos at the same time.
func forAll(do func(combo)) {
	var all sync.WaitGroup
	for _, c := range combos {
		all.Go(func() { do(c) })
	}
	all.Wait()
}

func (r row) checkFresh(t *testing.T, m *matrix, c combo) {
	want := map[string]map[string]int{onBoth: {"a": 5, "b": 5}, onA: {"a": 10}, onB: {"b": 10}, refused: {}}[r.fresh]
	got, err := peer.RunLoad(t.Context(), m.star.Client, peer.Load{
		Network: c.network, Address: m.vip(c.family, c.port), Workers: 1, Count: 10, Timeout: 500 * time.Millisecond,
	})
	if err != nil {
		t.Error(err)
		return
	}
	if !maps.Equal(got.Nodes, want) || r.fresh != refused && got.Failed > 0 || r.fresh == refused && got.Failures["refused"] != 10 {
		t.Errorf("%v: new flows: want them on %s, got %v, %d failed: %v", c, r.fresh, got.Nodes, got.Failed, got.Failures)
	}
}

// checkExisting uses the two flows that were there before, one on each node.
func (r row) checkExisting(t *testing.T, m *matrix, c combo, held *peer.Client) {
	t.Helper()
	want := map[string]int{"a": 2, "b": 2} // one before, one now
	if c.network == "udp" && r.udp != "" {
		want = map[string]int{"a": 1, "b": 1}
		want[r.udp] += 2
	}
	got, err := held.Pulse()
	if err != nil {
		t.Error(err)
		return
	}
	if got.Failed > 0 || !maps.Equal(got.Nodes, want) {
		t.Errorf("%v: existing flows: want %v, got %v, %d failed: %v", c, want, got.Nodes, got.Failed, got.Failures)
	}
}

func (r row) checkStatus(t *testing.T, st api.Status, c combo) {
	t.Helper()
	n, err := st.Node(c.node(0))
	if err != nil {
		t.Error(err)
		return
	}
	takes := r.fresh == onA || r.fresh == onBoth
	if n.Health != r.health || n.TakesNew != takes || n.Why == "" {
		t.Errorf("%v: status shows %s, takes new flows %v (%s); want %s, %v", c, n.Health, n.TakesNew, n.Why, r.health, takes)
	}
	if n.Mode == "reject" && !strings.Contains(n.Reason, "admin") {
		t.Errorf("%v: reason in reject is %q", c, n.Reason)
	}
	for _, config := range st.Configs {
		if strings.HasPrefix(c.node(0), config.Name+"/") && config.Status != r.config {
			t.Errorf("%v: config is %s, want %s", c, config.Status, r.config)
		}
	}
}

// checkChecks watches whether a is checked: the time of its last check moves, or stands still.
func (r row) checkChecks(t *testing.T, m *matrix) {
	t.Helper()
	// Longer than three intervals with their jitter.
	const watch = 700 * time.Millisecond
	checkedAt := func(st api.Status, c combo) *time.Time {
		n, err := st.Node(c.node(0))
		m.must(err)
		return n.CheckedAt
	}
	before := m.status()
	moved := func(st api.Status) func(combo) bool {
		return func(c combo) bool {
			was, now := checkedAt(before, c), checkedAt(st, c)
			return now != nil && (was == nil || now.After(*was))
		}
	}
	if r.checks {
		m.eventually("node a is checked", func(st api.Status) bool {
			return !slices.ContainsFunc(combos, func(c combo) bool { return !moved(st)(c) })
		})
		return
	}
	for end := time.Now().Add(watch); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		if i := slices.IndexFunc(combos, moved(m.look())); i >= 0 {
			t.Fatalf("%v: node a is checked in mode %s", combos[i], m.node(combos[i].node(0)).Mode)
		}
	}
}

// Row 2: a node whose first check has not answered takes nothing while another primary is known to be
// well, and keeps what it has. A check that neither succeeds nor fails keeps it that way.
func TestModeMatrixRow2AcceptUnknown(t *testing.T) {
	t.Parallel()
	m := &matrix{site: newSite(t, 2, smallTable)}
	m.servers()
	const slow = "check: connection\ncheck_interval: 60s\ncheck_timeout: 30s\n"
	check := slow + fmt.Sprintf("check_port: %d\n", slowCheckPort)
	for _, ns := range m.star.Nodes {
		_, err := peer.StartListener(ns, fmt.Sprintf("[::]:%d", slowCheckPort))
		m.must(err)
	}
	m.run(m.yaml(
		conf{port: 80, extra: check, nodes: members(2, 8080, both)},
		conf{port: 53, proto: "udp", extra: check + "udp_idle: 5m\n", nodes: members(2, 5353, both)},
	))
	held := map[combo]*peer.Client{}
	for _, c := range combos {
		held[c] = m.hold(c.network, c.family, c.port, 2)
	}
	// From now on checks of a neither succeed nor fail. Leaving reject makes it Unknown.
	m.dropChecks(0)
	t.Run("E15 leaving reject makes a node Unknown", func(t *testing.T) {
		m.mode(0, "reject")
		m.mode(0, "accept")
		m.awaitHealth(0, "Unknown")
	})
	r := row{fresh: onB, health: "Unknown", config: "UP"}
	forAll(func(c combo) { r.checkFresh(t, m, c) })
	st := m.status()
	for _, c := range combos {
		r.checkExisting(t, m, c, held[c])
		r.checkStatus(t, st, c)
	}
	// Let checks through: the one that waits succeeds with the kernel's next attempt, and one is enough.
	t.Run("E15 and it is checked at once, long before the interval has passed", func(t *testing.T) {
		_, err := m.star.Nodes[0].Run(t.Context(), "nft", "flush ruleset")
		m.must(err)
		m.awaitHealth(0, "UP")
	})
	r = row{fresh: onBoth}
	forAll(func(c combo) { r.checkFresh(t, m, c) })
}

// dropChecks has node i, from 0, drop what comes to slowCheckPort without an answer.
func (s *site) dropChecks(i int) {
	s.t.Helper()
	ruleset := fmt.Sprintf("table inet hg { chain checks { type filter hook input priority 0; tcp dport %d drop; }; }", slowCheckPort)
	_, err := s.star.Nodes[i].Run(s.t.Context(), "nft", ruleset)
	s.must(err)
}

// E14: while every primary is Unknown, all of them are eligible.
func TestE14AllUnknownAreEligible(t *testing.T) {
	t.Parallel()
	s := newSite(t, 2, smallTable)
	s.servers()
	for i := range s.star.Nodes {
		s.dropChecks(i)
	}
	check := fmt.Sprintf("check: connection\ncheck_interval: 60s\ncheck_timeout: 30s\ncheck_port: %d\n", slowCheckPort)
	s.configure(s.yaml(conf{port: 80, extra: check, nodes: members(2, 8080, []int{4})}))
	s.start()
	wantShares(t, "all Unknown", s.exchanges("tcp", 4, 80, 10), map[string]int{"a": 5, "b": 5})
}
