package e2e

import (
	"os"
	"strings"
	"testing"
	"time"

	"github.com/headgate/headgate/pkg/api"
	"github.com/headgate/headgate/scripts/lab/peer"
)

// alone is how long the data path works without a daemon. A minute with HEADGATE_E2E_LONG set.
func alone() time.Duration {
	if os.Getenv("HEADGATE_E2E_LONG") != "" {
		return time.Minute
	}
	return 6 * time.Second
}

func TestKilledDaemonIsNotMissed(t *testing.T) {
	t.Parallel()
	s := newSite(t, 3, smallTable)
	s.servers()
	s.run(s.yaml(
		conf{port: 80, extra: quickCheck, nodes: members(3, 8080, both, 5, 3, 2)},
		conf{port: 53, proto: "udp", extra: "udp_idle: 5m\n" + quickCheck + "check_port: 8080\n", nodes: members(3, 5353, both)},
	))
	held := []*peer.Client{s.hold("tcp", 4, 80, 50), s.hold("tcp", 6, 80, 50), s.hold("udp", 4, 53, 30)}
	s.must(s.gate.Kill())

	anew := s.startLoad(peer.Load{Network: "tcp", Address: s.vip(4, 80), Workers: 50, Interval: 100 * time.Millisecond})
	end := time.Now().Add(alone())
	poll(t, alone()+soon, "the time alone is over", func() bool { return time.Now().After(end) })
	for _, c := range held {
		s.pulse(c)
	}
	readsWithoutDaemon(s)
	s.start()
	s.settled()
	if r := s.finish(anew); r.Failed != 0 || r.Done < 50 {
		t.Errorf("new connections: %+v", r)
	}
	wantShares(t, "after the new start", s.exchanges("tcp", 4, 80, 100), map[string]int{"a": 50, "b": 30, "c": 20})
	for i, c := range held {
		if r := s.pulse(c); r.Failed != 0 || r.Done != 3*r.Open {
			t.Errorf("held %d: %+v", i, r)
		}
	}
	s.eventually("only the held flows count as active", func(st api.Status) bool { return st.ActiveFlows == 130 })
	s.checkCounts()
	if got := total(s.countFlows("established")); got != 100 {
		t.Errorf("%d established flows, 100 are held", got)
	}
}

// readsWithoutDaemon checks what works with the daemon dead.
func readsWithoutDaemon(s *site) {
	s.t.Helper()
	st := s.status()
	if st.Source != api.FromMaps || st.ActiveFlows < 130 {
		s.t.Errorf("status without a daemon: from %s, %d active flows", st.Source, st.ActiveFlows)
	}
	if got := total(s.countFlows("udp")); got != 30 {
		s.t.Errorf("flows --count without a daemon: %d of UDP", got)
	}
	if out := s.cli("node", "list"); !strings.Contains(out, "node-a") {
		s.t.Errorf("node list without a daemon:\n%s", out)
	}
	for _, name := range []string{"flows4", "nodes"} {
		if out := s.cli("maps", "list"); !strings.Contains(out, name) {
			s.t.Errorf("maps list without a daemon lacks %s:\n%s", name, out)
		}
		s.cli("maps", "dump", name)
	}
	if _, err := s.gate.CLI(s.t.Context(), "node", "set", "web/80/node-a", "--mode", "drain"); err == nil {
		s.t.Error("node set without a daemon claims to have done something")
	}
}

func TestChangesByHandSurviveOnlyWhatTheFileDoesNotSay(t *testing.T) {
	t.Parallel()
	s := newSite(t, 2, smallTable)
	s.servers()
	s.run(s.yaml(conf{port: 80, nodes: members(2, 8080, both)}))
	s.set("web/80/node-a", "--mode", "drain")
	wantShares(t, "drained by hand", s.exchanges("tcp", 4, 80, 10), map[string]int{"b": 10})
	s.must(s.gate.Kill())
	wantShares(t, "with the daemon dead", s.exchanges("tcp", 4, 80, 10), map[string]int{"b": 10})
	s.start()
	s.settled()
	wantShares(t, "after the start: the file wins", s.exchanges("tcp", 4, 80, 10), map[string]int{"a": 5, "b": 5})
}

func TestDaemonTakesAChangedFileOverWhenItStartsAgain(t *testing.T) {
	t.Parallel()
	s := newSite(t, 3, smallTable)
	s.servers()
	s.run(s.yaml(conf{port: 80, nodes: members(2, 8080, both)}))
	held := s.hold("tcp", 4, 80, 4)
	s.must(s.gate.Stop())
	s.configure(s.yaml(conf{port: 80, nodes: members(3, 8080, both)[1:]})) // without a over IPv4
	s.start()
	s.settled()
	wantShares(t, "new connections", s.exchanges("tcp", 4, 80, 10), map[string]int{"b": 5, "c": 5})
	if r := s.pulse(held); r.Failed != 0 || r.Nodes["a"] != 4 || r.Nodes["b"] != 4 {
		t.Errorf("connections from before, one of them to a node that is gone: %+v", r)
	}
}
