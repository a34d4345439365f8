// Package usage adds up what goes through each balancer: this month, and in steps of five minutes over a day.
// It works from counters that only grow, of nodes that come and go, and whose counters may begin anew.
package usage

import (
	"maps"
	"sync"
	"time"
)

// Step is what a Point is the average of, and Day how long points are kept.
const (
	Step = 5 * time.Minute
	Day  = 24 * time.Hour
)

// Count is what a node has carried: new flows, and bytes of layer 3 from clients and to them.
type Count struct {
	Flows uint64 `json:"flows"`
	In    uint64 `json:"in"`
	Out   uint64 `json:"out"`
}

// Reading is a node's counters at some moment. Owner tells a node from an earlier one with the same id.
type Reading struct {
	Node     uint32
	Owner    string
	Balancer int // id
	Count
}

// Point is an average over a Step.
type Point struct {
	End     time.Time
	Flows   float64 // new ones a second
	In, Out float64 // bytes a second
}

// Meter adds up. It is safe for concurrent use.
type Meter struct {
	mu       sync.Mutex
	at       time.Time // of the last readings; zero: there were none
	nodes    map[uint32]Last
	accounts map[int]*account
	fresh    []Closed // points that were not saved yet
}

// account is what a Meter knows of a balancer.
type account struct {
	Total
	points []Point
}

// New makes a Meter that goes on where another was when it was saved. Without a state the first readings are
// where it begins.
func New(s State) *Meter {
	m := &Meter{at: s.At, nodes: s.Nodes, accounts: map[int]*account{}}
	for id, t := range s.Totals {
		m.accounts[id] = &account{Total: t, points: s.Points[id]}
	}
	return m
}

// Anew says that at this moment all counters begin at zero, as those of fresh tables do.
func (m *Meter) Anew(now time.Time) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.nodes = map[uint32]Last{}
	if m.at.IsZero() {
		m.at = now
	}
}

// Take takes the readings of all nodes. balancers are the ids of all that there are: others are forgotten.
func (m *Meter) Take(now time.Time, readings []Reading, balancers []int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	grown := m.grown(readings)
	from := m.at
	if from.IsZero() || from.After(now) { // the clock was set back
		from = now
	}
	accounts := make(map[int]*account, len(balancers))
	for _, id := range balancers {
		a := m.accounts[id]
		if a == nil {
			a = &account{Total: Total{Since: from}}
		}
		accounts[id] = a
		a.month(now, grown[id])
		for _, p := range a.spread(from, now, grown[id]) {
			m.fresh = append(m.fresh, Closed{id, p})
		}
	}
	m.accounts, m.at = accounts, now
}

// grown is by how much the counters of each balancer have grown since the last readings.
func (m *Meter) grown(readings []Reading) map[int]Count {
	grown := map[int]Count{}
	nodes := make(map[uint32]Last, len(readings))
	for _, r := range readings {
		nodes[r.Node] = Last{r.Owner, r.Count}
		if m.at.IsZero() {
			continue // how old they are nobody knows
		}
		before := m.nodes[r.Node]
		if before.Owner != r.Owner || r.Flows < before.Flows || r.In < before.In || r.Out < before.Out {
			before.Count = Count{} // another node, or the counters began anew
		}
		sum := grown[r.Balancer]
		sum.Flows += r.Flows - before.Flows
		sum.In += r.In - before.In
		sum.Out += r.Out - before.Out
		grown[r.Balancer] = sum
	}
	m.nodes = nodes
	return grown
}

// Transfer is the bytes of this month, from clients and to them.
func (m *Meter) Transfer(balancer int) (in, out uint64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if a := m.accounts[balancer]; a != nil {
		return a.In, a.Out
	}
	return 0, 0
}

// Points are the averages of the last day, oldest first. Nobody changes them.
func (m *Meter) Points(balancer int) []Point {
	m.mu.Lock()
	defer m.mu.Unlock()
	if a := m.accounts[balancer]; a != nil {
		return a.points
	}
	return nil
}

// Unsaved is what has to be kept for New, with those points that it gave out for the first time.
func (m *Meter) Unsaved() Unsaved {
	m.mu.Lock()
	defer m.mu.Unlock()
	u := Unsaved{At: m.at, Nodes: maps.Clone(m.nodes), Totals: make(map[int]Total, len(m.accounts)), Closed: m.fresh}
	for id, a := range m.accounts {
		u.Totals[id] = a.Total
	}
	m.fresh = nil
	return u
}
