package e2e

import (
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/headgate/headgate/pkg/api"
	"github.com/headgate/headgate/scripts/lab"
	"github.com/headgate/headgate/scripts/lab/peer"
)

// sticky is a site with a TCP and a UDP config whose clients stick, over both families. The nodes' modes come with
// the file, and their health is what the test wants it to be.
type sticky struct {
	*site
	clients   map[int][]netip.Addr // addresses of the client, by family
	extra     string               // further keys of both configs
	modes     []string             // by node
	listeners []*lab.Process       // on checkPort, by node; nil: closed
}

func newSticky(t *testing.T, extra string, modes ...string) *sticky {
	t.Helper()
	n := len(modes)
	s := &sticky{site: newSite(t, n, smallTable), extra: extra, modes: modes, listeners: make([]*lab.Process, n)}
	v4, v6, err := s.star.AddClients(5)
	s.must(err)
	s.clients = map[int][]netip.Addr{4: v4, 6: v6}
	s.servers()
	for i := range n {
		s.health(i, true)
	}
	s.site.run(s.file())
	return s
}

func (s *sticky) file() string {
	nodes := func(port int) []member {
		all := members(len(s.modes), port, both)
		for i := range all {
			all[i].mode = s.modes[all[i].i]
		}
		return all
	}
	extra := quickCheck + fmt.Sprintf("check_port: %d\n", checkPort) + s.extra
	return s.yaml(
		conf{port: 80, extra: "stickiness: table\n" + extra, nodes: nodes(8080)},
		conf{port: 53, proto: "udp", extra: "stickiness: source_ip\nudp_idle: 1s\n" + extra, nodes: nodes(5353)},
	)
}

// set gives the nodes their modes and waits until the data path runs them.
func (s *sticky) set(modes ...string) {
	s.t.Helper()
	if slices.Equal(s.modes, modes) {
		return
	}
	s.modes = modes
	s.cli("apply", "-f", s.writeFile("modes.yaml", s.file()), "--wait")
}

// health has node i pass its checks, or fail them; its traffic ports stay as they are.
func (s *sticky) health(i int, up bool) {
	s.t.Helper()
	var err error
	switch {
	case up && s.listeners[i] == nil:
		s.listeners[i], err = peer.StartListener(s.star.Nodes[i], fmt.Sprintf("[::]:%d", checkPort))
	case !up && s.listeners[i] != nil:
		err, s.listeners[i] = s.listeners[i].Kill(), nil
	}
	s.must(err)
}

// await waits until the nodes have their health in all configs, applied.
func (s *sticky) await(health ...string) {
	s.t.Helper()
	s.eventually(fmt.Sprintf("the nodes are %s", health), func(st api.Status) bool {
		return st.Applied == st.Desired && !slices.ContainsFunc(st.Nodes(), func(n api.Node) bool {
			return n.Health != health[n.Label[len(n.Label)-1]-'a']
		})
	})
}

// baseline has both nodes take new flows.
func (s *sticky) baseline() {
	s.t.Helper()
	s.health(0, true)
	s.health(1, true)
	s.set("accept", "accept")
	s.await("UP", "UP")
}

// flows makes n new flows from an address and returns the nodes that took them, or "refused".
func (s *sticky) flows(c combo, from netip.Addr, n int) string {
	s.t.Helper()
	r := s.load(peer.Load{Network: c.network, Address: s.vip(c.family, c.port), Source: from, Workers: 1, Count: n, Timeout: time.Second})
	names := slices.Sorted(maps.Keys(r.Nodes))
	for kind := range r.Failures {
		names = append(names, kind)
	}
	return strings.Join(names, " ")
}

// pair finds two clients, where no entries are, of which the first sticks to node a, the second to b.
func (s *sticky) pair(c combo) (onA, onB netip.Addr) {
	s.t.Helper()
	got := map[string]netip.Addr{}
	for _, from := range s.clients[c.family][:3] {
		got[s.flows(c, from, 1)] = from
	}
	if !got["a"].IsValid() || !got["b"].IsValid() {
		s.t.Fatalf("%v: three new clients came to %v, want both nodes", c, got)
	}
	return got["a"], got["b"]
}

// stickyRow is a row of the table of modes and health, for new flows of a client that sticks to node a.
type stickyRow struct {
	name  string
	set   func(s *sticky)
	stuck string // where they go
	fresh string // where those of other clients go, as in TestModeMatrix
	then  string // where they go when all is well again
}

var stickyRows = []stickyRow{
	{"accept-up", func(*sticky) {}, "a", "a b", "a"},
	{"accept-down", func(s *sticky) { s.health(0, false); s.await("DOWN", "UP") }, "b", "b", "b"},
	{"drain-up", func(s *sticky) { s.set("drain", "accept") }, "a", "b", "a"},
	{"drain-up-and-nothing-eligible", func(s *sticky) { s.set("drain", "drain") }, "a", "refused", "a"},
	{"drain-down", func(s *sticky) { s.set("drain", "accept"); s.health(0, false); s.await("DOWN", "UP") }, "b", "b", "b"},
	{"reject", func(s *sticky) { s.set("reject", "accept") }, "b", "b", "b"},
	{"backup-up-and-a-primary-eligible", func(s *sticky) { s.set("backup", "accept") }, "b", "b", "b"},
	{"backup-up-and-active", func(s *sticky) { s.set("backup", "accept"); s.health(1, false); s.await("UP", "DOWN") }, "a", "a", "a"},
	{"backup-down", func(s *sticky) { s.set("backup", "accept"); s.health(0, false); s.await("DOWN", "UP") }, "b", "b", "b"},
}

// The normative table for a new flow of a client with a stick entry, for TCP and UDP over IPv4 and IPv6.
func TestModeMatrixOfClientsThatStick(t *testing.T) {
	t.Parallel()
	s := newSticky(t, "", "accept", "accept")
	for _, r := range stickyRows {
		t.Run(r.name, func(t *testing.T) {
			s.baseline()
			s.cli("sticky", "remove", "--yes")
			var onA [4]netip.Addr
			for i, c := range combos {
				onA[i], _ = s.pair(c)
			}
			r.set(s)
			t.Run("new-flow-stuck-here", func(t *testing.T) {
				for i, c := range combos {
					if got := s.flows(c, onA[i], 3); got != r.stuck {
						t.Errorf("%v: new flows of a client that sticks to a: %s, want %s", c, got, r.stuck)
					}
				}
			})
			t.Run("new-flow-not-stuck", func(t *testing.T) {
				for _, c := range combos {
					got := map[string]bool{}
					for _, from := range s.clients[c.family][3:] {
						got[s.flows(c, from, 1)] = true
					}
					if nodes := strings.Join(slices.Sorted(maps.Keys(got)), " "); nodes != r.fresh {
						t.Errorf("%v: new flows of others: %s, want %s", c, nodes, r.fresh)
					}
				}
			})
			s.baseline()
			t.Run("when-all-is-well-again", func(t *testing.T) {
				for i, c := range combos {
					if got := s.flows(c, onA[i], 3); got != r.then {
						t.Errorf("%v: new flows of the client that stuck to a: %s, want %s", c, got, r.then)
					}
				}
			})
		})
	}
	s.checkCounts()
}
