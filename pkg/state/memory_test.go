package state

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/headgate/headgate/pkg/lb"
	"github.com/headgate/headgate/pkg/schedule"
)

// started is a fixture whose nodes a and b are UP, with a slow start of 9 s.
func started(t *testing.T) *fixture {
	f := newFixture(t)
	f.balancer.Configs[0].SlowStart = 9 * time.Second
	f.desire()
	f.checked(nodeA, lb.Up)
	f.checked(nodeB, lb.Up)
	f.View()
	return f
}

// after lets time pass, and what comes with it happen.
func (f *fixture) after(d time.Duration) {
	f.now = f.now.Add(d)
	f.Advance()
}

// due is how long the View holds, 0 for ever.
func (f *fixture) due() time.Duration {
	f.View()
	if wake := f.Wake(); !wake.IsZero() {
		return wake.Sub(f.now)
	}
	return 0
}

func TestE22RecoveredNodeGetsItsWeightBackStepByStep(t *testing.T) {
	f := started(t)
	f.checked(nodeB, lb.Down)
	if n := f.node(nodeB); n.Percent != 0 || n.Takes {
		t.Errorf("DOWN: %d %%", n.Percent)
	}
	f.checked(nodeB, lb.Up)
	var got []int
	for range 10 {
		got = append(got, f.node(nodeB).Percent)
		f.after(f.due())
	}
	if diff := cmp.Diff([]int{10, 20, 30, 40, 50, 60, 70, 80, 90, 100}, got); diff != "" {
		t.Error(diff)
	}
	if f.due() != 0 || f.node(nodeB).Why != "takes new flows: UP" || f.node(nodeA).Percent != 100 {
		t.Errorf("after it: changes in %s, %+v", f.due(), f.node(nodeB))
	}
}

// TestE22OnlyTimeMakesTheNextStep looks between steps: neither a check that says the same, nor another look changes
// the View, and so no generation lies about what it holds.
func TestE22OnlyTimeMakesTheNextStep(t *testing.T) {
	f := started(t)
	f.checked(nodeB, lb.Down)
	f.View()
	f.checked(nodeB, lb.Up)
	before := f.View()
	for range 3 {
		f.checked(nodeB, lb.Up) // a second later
		now := f.View()
		if now.Generation != before.Generation || now.Services[0].Nodes[1].Percent != 10 {
			t.Fatalf("generation %d → %d, %d %%", before.Generation, now.Generation, now.Services[0].Nodes[1].Percent)
		}
	}
	f.signalled()
	f.after(0)
	if n := f.node(nodeB); n.Percent != 40 || !f.signalled() || f.Generation() == before.Generation {
		t.Errorf("three seconds later: %d %%", n.Percent)
	}
}

func TestE22NotAtTheStart(t *testing.T) {
	for name, before := range map[string]lb.Health{"known UP": lb.Up, "not known": lb.Unknown} {
		f := newFixture(t)
		f.balancer.Configs[0].SlowStart = 9 * time.Second
		f.Remember(map[lb.NodeKey]Known{f.key(nodeA): {Health: before, At: f.now}, f.key(nodeB): {Health: before, At: f.now}})
		f.desire()
		f.View()
		f.checked(nodeA, lb.Up)
		f.checked(nodeB, lb.Up)
		if a, b := f.node(nodeA), f.node(nodeB); a.Percent != 100 || b.Percent != 100 || f.due() != 0 {
			t.Errorf("%s: %d %% and %d %%", name, a.Percent, b.Percent)
		}
	}
}

func TestE22WhatWasDownBeforeTheStartRecovers(t *testing.T) {
	f := newFixture(t)
	f.balancer.Configs[0].SlowStart = 9 * time.Second
	f.Remember(map[lb.NodeKey]Known{f.key(nodeA): {Health: lb.Up, At: f.now}, f.key(nodeB): {Health: lb.Down, At: f.now}})
	f.desire()
	f.View()
	f.checked(nodeB, lb.Up)
	if n := f.node(nodeB); n.Percent != 10 {
		t.Errorf("%d %%", n.Percent)
	}
}

func TestE22NotForTheOnlyEligibleNode(t *testing.T) {
	f := started(t)
	f.checked(nodeA, lb.Down)
	f.checked(nodeB, lb.Down)
	f.View()
	f.checked(nodeB, lb.Up)
	if n := f.node(nodeB); n.Percent != 100 {
		t.Errorf("alone: %d %%", n.Percent)
	}
	f.after(time.Second)
	f.checked(nodeA, lb.Up) // two seconds after b
	if a, b := f.node(nodeA), f.node(nodeB); a.Percent != 10 || b.Percent != 30 {
		t.Errorf("together: %d %% and %d %%", a.Percent, b.Percent)
	}
}

// TestE22LeavingRejectIsARecovery and being new is none.
func TestE22LeavingRejectIsARecovery(t *testing.T) {
	f := started(t)
	f.mode(1, lb.Reject)
	f.View()
	f.mode(1, lb.Accept)
	if n := f.node(nodeB); n.Health != lb.Unknown || n.Takes {
		t.Fatalf("%+v, want Unknown", n)
	}
	f.checked(nodeB, lb.Up)
	if n := f.node(nodeB); n.Percent != 10 {
		t.Errorf("out of reject: %d %%", n.Percent)
	}
	f.balancer.Configs[0].Nodes = append(f.balancer.Configs[0].Nodes, lb.Node{Label: "d", Address: nodeD, Weight: 50, Mode: lb.Accept})
	f.desire()
	f.View()
	f.checked(nodeD, lb.Up)
	if n := f.node(nodeD); n.Percent != 100 {
		t.Errorf("new: %d %%", n.Percent)
	}
}

func TestE4BackupsKeepTheirTurnForFailbackDelay(t *testing.T) {
	f := started(t)
	f.balancer.Configs[0].FailbackDelay = time.Minute
	f.mode(1, lb.Backup)
	tier := func() schedule.Tier { return f.View().Services[0].Tier }
	f.checked(nodeA, lb.Down)
	if tier() != schedule.Backup || f.due() != 0 {
		t.Fatalf("tier %s, until %s", tier(), f.due())
	}
	f.checked(nodeA, lb.Up)
	if tier() != schedule.Backup || f.due() > time.Minute || f.node(nodeA).Takes {
		t.Fatalf("tier %s, until %s", tier(), f.due())
	}
	for range 12 { // steps of the slow start, and at last the end of the turn
		f.after(f.due())
	}
	if tier() != schedule.Primary || f.due() != 0 {
		t.Errorf("tier %s, until %s", tier(), f.due())
	}
}

// TestE4TheTurnOutlivesARestart begins with what the data path still did.
func TestE4TheTurnOutlivesARestart(t *testing.T) {
	for serving, want := range map[bool]schedule.Tier{true: schedule.Backup, false: schedule.Primary} {
		f := newFixture(t)
		f.balancer.Configs[0].FailbackDelay = time.Minute
		f.balancer.Configs[0].Nodes[1].Mode = lb.Backup
		f.Remember(map[lb.NodeKey]Known{f.key(nodeA): {Health: lb.Up, At: f.now}, f.key(nodeB): {Health: lb.Up, At: f.now}})
		f.RememberServing(map[lb.NodeKey]bool{f.key(nodeB): serving})
		f.View() // before there is anything
		f.desire()
		if got := f.View().Services[0].Tier; got != want {
			t.Errorf("backup served %v: tier %s, want %s", serving, got, want)
		}
		f.checked(nodeA, lb.Up)
		f.checked(nodeB, lb.Up)
		f.after(time.Minute)
		if got := f.View().Services[0].Tier; got != schedule.Primary {
			t.Errorf("backup served %v: after failback_delay tier %s", serving, got)
		}
	}
}
