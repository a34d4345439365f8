package reconcile

import (
	"testing"
	"time"

	"github.com/headgate/headgate/pkg/lb"
	"github.com/headgate/headgate/pkg/maps"
)

// deadlineIn is how long from now the flows of a node may go on; false: for ever.
func (w *world) deadlineIn(name string) (time.Duration, bool) {
	w.t.Helper()
	n := w.node(name)
	if n.Status.Actions&maps.HasDeadline == 0 {
		return 0, false
	}
	return w.tables.Time(n.Deadline).Sub(w.clock.now).Round(100 * time.Millisecond), true
}

func (w *world) wantDeadline(name string, want time.Duration) {
	w.t.Helper()
	if got, ok := w.deadlineIn(name); !ok || got != want {
		w.t.Errorf("deadline of %s in %s (%v), want %s", name, got, ok, want)
	}
}

func TestE11DeadlinesAreCountedFromWhenTheModeWasSet(t *testing.T) {
	w := newWorld(t)
	b := w.balancer(lb.UDP, "a", "b", "c")
	b.Configs[0].DrainDeadline, b.Configs[0].RejectDeadline = 5*time.Minute, time.Minute
	w.desire(b)
	w.apply()
	for _, name := range []string{"a", "b", "c"} {
		if in, ok := w.deadlineIn(name); ok {
			t.Errorf("%s has a deadline, in %s, in mode accept", name, in)
		}
	}

	w.mode("a", lb.Drain)
	w.mode("b", lb.Reject)
	w.apply()
	w.clock.advance(30 * time.Second)
	w.desire(w.desired...) // again, and nothing changes
	w.apply()
	w.wantDeadline("a", 270*time.Second)
	w.wantDeadline("b", 30*time.Second)

	w.mode("a", lb.Accept)
	w.apply()
	if _, ok := w.deadlineIn("a"); ok {
		t.Error("a still has a deadline after it was set back")
	}
	w.clock.advance(time.Minute)
	w.mode("a", lb.Drain)
	w.mode("b", lb.Drain)
	w.apply()
	w.wantDeadline("a", 300*time.Second)
	w.wantDeadline("b", 300*time.Second)
}

func TestE11DeadlinesHoldThroughARestart(t *testing.T) {
	w := newWorld(t)
	b := w.balancer(lb.UDP, "a", "b")
	b.Configs[0].DrainDeadline = 5 * time.Minute
	w.desire(b)
	w.mode("a", lb.Drain)
	w.apply()
	w.clock.advance(2 * time.Minute)

	w.restart()
	w.desire(w.desired...)
	w.apply()
	w.wantDeadline("a", 3*time.Minute)

	// Another mode in the file: set when it was read.
	w.restart()
	w.mode("b", lb.Drain)
	w.apply()
	w.wantDeadline("a", 3*time.Minute)
	w.wantDeadline("b", 5*time.Minute)
}

// A deadline that fell stays fallen, although 32 bits of jiffies run round in some weeks.
func TestADeadlineThatFellDoesNotComeBack(t *testing.T) {
	w := newWorld(t)
	b := w.balancer(lb.UDP, "a", "b")
	b.Configs[0].DrainDeadline = time.Minute
	w.desire(b)
	w.mode("a", lb.Drain)
	w.apply()
	for range 24 * 50 {
		w.clock.advance(time.Hour)
		w.apply()
		if in, ok := w.deadlineIn("a"); !ok || in > 0 || in < -2*time.Hour {
			t.Fatalf("the deadline is in %s (%v)", in, ok)
		}
	}
}

func TestE18ARemovedNodeHasADeadline(t *testing.T) {
	w := newWorld(t)
	b := w.balancer(lb.TCP, "a", "b", "c")
	b.Configs[0].OnDown, b.Configs[0].RemoveDeadline = lb.DownReset, 90*time.Second
	w.desire(b)
	w.health("c", lb.Down)
	w.apply()
	for i, name := range []string{"a", "b", "c"} {
		w.flow(name, uint16(1000+i))
	}
	id := w.node("b").ID

	// One node of the config goes, then all of it; how long their flows may go on is not asked any more.
	b.Configs[0].Nodes, b.Configs[0].RemoveDeadline = b.Configs[0].Nodes[:1], time.Hour
	w.desire(b)
	w.apply()
	w.wantDeadline("b", 90*time.Second)
	if s := w.node("c").Status; s.Actions != maps.Dead|maps.ResetTCP|maps.HasDeadline {
		t.Errorf("c, which was DOWN: actions [%s]", s.Actions)
	}
	w.clock.advance(30 * time.Second)
	w.desire()
	w.apply()
	w.wantDeadline("a", time.Hour)
	w.wantDeadline("b", time.Minute)

	w.restart()
	w.desire()
	if done := w.apply(); done.Removed != 3 || done.Writes != 0 {
		t.Errorf("after a restart: %+v, want 3 removed nodes and nothing to write", done)
	}
	w.wantDeadline("b", time.Minute)

	// Wanted again before it: the same node with its flows, and no deadline.
	b = w.balancer(lb.TCP, "b")
	w.desire(b)
	w.apply()
	if _, ok := w.deadlineIn("b"); ok || w.node("b").ID != id {
		t.Errorf("b is %+v, want node %d without a deadline", w.node("b"), id)
	}
	w.desire()
	w.apply()
	w.wantDeadline("b", lb.DefaultRemoveDeadline)
}

// E19: a changed address is another node; the old one is removed, and keeps its id while it has flows.
func TestE19AChangedAddressIsANewIncarnation(t *testing.T) {
	w := newWorld(t)
	w.desire(w.balancer(lb.TCP, "a"))
	w.apply()
	w.flow("a", 1000)
	old := w.node("a").ID

	b := w.balancer(lb.TCP, "a")
	b.Configs[0].Nodes[0].Address = address("b")
	w.desire(b)
	w.settle()
	if n := w.node("a"); n.ID != old || n.Status.Lifecycle != maps.Removed || n.Status.Actions != maps.HasDeadline {
		t.Errorf("the old incarnation: %+v", n)
	}
	fresh := w.node("b")
	if fresh.ID == old || fresh.Label != "a" || fresh.Status.Actions != maps.TakesNew {
		t.Errorf("the new incarnation: %+v", fresh)
	}

	// A changed label, weight or mode is the same node.
	n := &b.Configs[0].Nodes[0]
	n.Label, n.Weight, n.Mode = "z", 7, lb.Drain
	w.desire(b)
	w.apply()
	if same := w.node("b"); same.ID != fresh.ID || same.Label != "z" || same.Weight != 7 {
		t.Errorf("after a change of label, weight and mode: %+v, want node %d", same, fresh.ID)
	}
}
