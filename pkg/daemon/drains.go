package daemon

import (
	"fmt"
	"net/netip"
	"time"

	"github.com/headgate/headgate/pkg/events"
	"github.com/headgate/headgate/pkg/lb"
	"github.com/headgate/headgate/pkg/maps"
	"github.com/headgate/headgate/pkg/state"
)

// drains watches the nodes whose flows are to end, in drain, in reject or removed, and has it written down
// when the last one has, or when their deadline falls first. Clients that stick to a node in drain may open others
// as long as they do; that their last entry has ended is written down, too. It belongs to the engine's goroutine.
type drains struct {
	chronicle *chronicle
	nodes     map[lb.NodeKey]*ending
}

// ending is a node that is watched.
type ending struct {
	name     string
	mode     string // drain, reject, or removed
	since    time.Time
	deadline time.Time // zero: none
	ready    bool      // it was watched when the look began that is taken next
	old      bool      // from before the start: no news unless it has flows
	started  bool      // it had flows when it was looked at
	fell     bool      // the deadline, and that is written down
	done     bool      // no flow was left, and that is written down
	sticky   bool      // clients may stick to it
	released bool      // none did any more, and that is written down
}

const modeRemoved = "removed"

// follow takes a node of a view; first is the start's.
func (d *drains) follow(svc *state.Service, n *state.Node, first bool) {
	if n.Mode != lb.Drain && n.Mode != lb.Reject {
		delete(d.nodes, n.Key)
		return
	}
	was := d.nodes[n.Key]
	if was == nil || was.mode != string(n.Mode) || !was.since.Equal(n.ModeSince) {
		was = &ending{mode: string(n.Mode), since: n.ModeSince, old: first}
		d.watch(n.Key, was)
	}
	was.name, was.deadline = lb.NodeName(svc.Config, n.Label), n.Deadline
	was.sticky = svc.Sticky && n.Mode == lb.Drain
}

// remove takes a node that is gone from the view.
func (d *drains) remove(key lb.NodeKey, label string) {
	d.watch(key, &ending{name: lb.NodeName(key.Config, label), mode: modeRemoved})
}

func (d *drains) watch(key lb.NodeKey, e *ending) {
	if d.nodes == nil {
		d.nodes = map[lb.NodeKey]*ending{}
	}
	d.nodes[key] = e
}

// watching says whether there is anything to look at.
func (d *drains) watching() bool { return len(d.nodes) > 0 }

// begin begins a look, and says which nodes it has to be at. What is watched from now on, the look may have come
// too early for.
func (d *drains) begin() (wanted func(*maps.Node) bool) {
	watched := make(map[netip.AddrPort]bool, len(d.nodes))
	for key, e := range d.nodes {
		e.ready, watched[key.Address] = true, true
	}
	return func(n *maps.Node) bool { return n.Status.Lifecycle == maps.Removed || watched[n.Address] }
}

// asksForSticks says whether it matters how many clients stick to nodes, which takes a walk through all of them.
func (d *drains) asksForSticks() bool {
	for _, e := range d.nodes {
		if e.sticky && !e.released {
			return true
		}
	}
	return false
}

// look compares with what the maps said after begin; sticks are the clients that stick to each node, by its number.
func (d *drains) look(now time.Time, states []maps.NodeState, sticks map[uint32]uint64) {
	active, stuck := map[lb.NodeKey]uint64{}, map[lb.NodeKey]uint64{}
	for i := range states {
		s := &states[i]
		key := lb.NodeKey{Config: s.ConfigKey(), Address: s.Address}
		if d.nodes[key] != nil {
			active[key] += s.Active
			stuck[key] += sticks[s.ID]
		}
		if s.Status.Lifecycle != maps.Removed {
			continue
		}
		if d.nodes[key] == nil && s.Active > 0 { // from before the start
			d.watch(key, &ending{name: lb.NodeName(key.Config, s.Label), mode: modeRemoved})
		}
		if e := d.nodes[key]; e != nil && e.mode == modeRemoved {
			e.deadline = s.Ends
		}
	}
	for key, e := range d.nodes {
		if !e.ready {
			continue
		}
		d.judge(now, key, e, active[key], stuck[key])
		if e.done && e.mode == modeRemoved {
			delete(d.nodes, key)
		}
	}
}

func (d *drains) judge(now time.Time, key lb.NodeKey, e *ending, active, stuck uint64) {
	event := func(kind events.Kind, format string, args ...any) {
		d.chronicle.note(events.Event{Kind: kind, Config: key.Config.String(), Node: e.name, From: e.mode,
			Text: fmt.Sprintf("%s (%s): ", e.name, e.mode) + fmt.Sprintf(format, args...)})
	}
	switch {
	case active > 0:
		e.started = true
		if !e.fell && !e.deadline.IsZero() && !now.Before(e.deadline) {
			e.fell = true
			event(events.Deadline, "its deadline has come, %d flows are ended", active)
		}
	case e.old && !e.started:
		e.done, e.released = true, true
	case !e.done && stuck > 0:
		e.done = true
		event(events.Drained, "no flow is left; still stuck to it, and free to come again: %s", clients(stuck))
	case !e.done:
		e.done, e.released = true, true
		event(events.Drained, "drained, no flow is left")
	case !e.released && stuck == 0:
		e.released = true
		event(events.Drained, "drained, no client sticks to it any more")
	}
}

func clients(n uint64) string {
	if n == 1 {
		return "1 client"
	}
	return fmt.Sprintf("%d clients", n)
}
