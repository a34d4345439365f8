package state

import (
	"net/netip"
	"testing"
	"time"

	"github.com/headgate/headgate/pkg/health"
	"github.com/headgate/headgate/pkg/lb"
)

// unchecked is a fixture with a and b, and nobody checks them.
func unchecked(t *testing.T) *fixture {
	f := newFixture(t)
	c := &f.balancer.Configs[0]
	c.Check.Type, c.Check.Passive = lb.CheckNone, lb.On
	f.desire()
	return f
}

// ejects has nodes ejected from now on.
func (f *fixture) ejects(length time.Duration, nodes ...netip.AddrPort) {
	all := map[lb.NodeKey]health.Ejection{}
	for i, a := range nodes {
		since := f.now.Add(time.Duration(i))
		all[f.key(a)] = health.Ejection{Since: since, Until: since.Add(length), Times: 1, Failure: health.Failure{Key: f.key(a), How: "refused", InARow: 3, At: since}}
	}
	f.SetEjections(all)
}

func (f *fixture) expect(what string, a netip.AddrPort, h lb.Health, takes bool, why string) {
	f.t.Helper()
	if n := f.node(a); n.Shown != h || n.Takes != takes || n.Why != why {
		f.t.Errorf("%s: %s is %s (%s), takes new flows: %v: %q, want %s, %v: %q", what, a, n.Shown, n.Reason, n.Takes, n.Why, h, takes, why)
	}
}

const notChecked = "takes new flows: not checked"

func TestEjectedNodeIsDOWNForItsTimeAndComesBack(t *testing.T) {
	f := unchecked(t)
	f.expect("at first", nodeA, lb.Unknown, true, notChecked)
	f.signalled()
	f.ejects(10*time.Second, nodeA)
	f.expect("ejected", nodeA, lb.Down, false, "takes no new flows: DOWN")
	f.expect("the other one", nodeB, lb.Unknown, true, notChecked)
	if n := f.node(nodeA); !f.signalled() || n.Reason != "ejected for 10s: 3 connections in a row failed, the last was refused" {
		t.Errorf("the reason is %q", n.Reason)
	}
	if got := f.Health("web", &f.balancer.Configs[0], &f.balancer.Configs[0].Nodes[0]); got != lb.Down {
		t.Errorf("its health is %s", got)
	}
	if due := f.due(); due != 10*time.Second {
		t.Fatalf("the view holds for %s", due)
	}
	f.after(10 * time.Second)
	f.expect("afterwards", nodeA, lb.Unknown, true, notChecked)
	if f.due() != 0 {
		t.Error("something is still to come")
	}
}

// TestE26EjectionSparesHalf whatever happens to the others meanwhile.
func TestE26EjectionSparesHalf(t *testing.T) {
	const spared = "takes new flows: not checked; it fails connections, but no more than half may be out for that"
	f := unchecked(t)
	f.ejects(time.Minute, nodeA, nodeB, nodeC)
	f.expect("the first", nodeA, lb.Down, false, "takes no new flows: DOWN")
	f.expect("the second", nodeB, lb.Unknown, true, spared)
	f.expect("alone in its family", nodeC, lb.Unknown, true, spared)
	if got := f.Health("web", &f.balancer.Configs[0], &f.balancer.Configs[0].Nodes[1]); got != lb.Unknown {
		t.Errorf("who is spared is %s", got)
	}
	f.ejects(time.Minute, nodeA)
	f.mode(1, lb.Drain)
	f.expect("when the other one drains", nodeA, lb.Unknown, true, spared)
	f.mode(1, lb.Accept)
	f.expect("when it is back", nodeA, lb.Down, false, "takes no new flows: DOWN")
}

// TestE26Precedence: removed > reject > override > ejection > drain and backup.
func TestE26Precedence(t *testing.T) {
	f := unchecked(t)
	node := &f.balancer.Configs[0].Nodes[0]
	node.Override = lb.OverrideUp
	f.desire()
	f.ejects(time.Minute, nodeA)
	f.expect("override up", nodeA, lb.Up, true, "takes new flows: UP by override")
	node.Override = lb.OverrideNone
	f.desire()
	f.expect("without it", nodeA, lb.Down, false, "takes no new flows: DOWN")
	node.Mode = lb.Drain
	f.now = f.now.Add(time.Second)
	f.desire()
	f.ejects(time.Minute, nodeA)
	f.expect("drain", nodeA, lb.Down, false, "takes no new flows: mode drain")
	if n := f.node(nodeA); n.Sticks || n.Effective != lb.Down {
		t.Errorf("a node in drain that is ejected: %+v", n)
	}
	f.now = f.now.Add(time.Second)
	f.mode(0, lb.Reject)
	f.expect("reject", nodeA, lb.Down, false, "takes no new flows: mode reject")
	if n := f.node(nodeA); n.Reason != "admin" || n.Ejection != nil {
		t.Errorf("a node in reject: %+v", n)
	}
	f.now = f.now.Add(time.Second)
	f.mode(0, lb.Accept)
	f.expect("people have set it anew", nodeA, lb.Unknown, true, notChecked)
}

func TestOnlyNodesThatNobodyChecksAreEjected(t *testing.T) {
	f := unchecked(t)
	check := &f.balancer.Configs[0].Check
	for name, edit := range map[string]func(){
		"checked":     func() { check.Type = lb.CheckConnection },
		"not passive": func() { check.Type, check.Passive = lb.CheckNone, lb.Off },
	} {
		edit()
		f.desire()
		f.ejects(time.Minute, nodeA)
		if n := f.node(nodeA); n.Ejection != nil || n.Shown != lb.Unknown {
			t.Errorf("%s: %s (%s)", name, n.Shown, n.Reason)
		}
	}
}

func TestE22AnEjectionThatIsOverIsARecovery(t *testing.T) {
	f := unchecked(t)
	f.balancer.Configs[0].SlowStart = 10 * time.Second
	f.desire()
	f.ejects(10*time.Second, nodeA)
	f.View()
	f.after(10 * time.Second)
	if n := f.node(nodeA); n.Percent != 10 {
		t.Errorf("it has %d %% of its weight", n.Percent)
	}
}
