package maps

import (
	"fmt"
	"slices"

	"github.com/headgate/headgate/loader"
)

// FlowEnds is how flows of one family have ended since the tables were made. What closed a TCP flow is one thing, and
// why its rest left the table another: both are counted.
type FlowEnds struct {
	Family  int // 4 or 6
	Removed []RemovalCount
	Closed  []ClosingCount
}

// RemovalCount is how many flows left the table for a reason.
type RemovalCount struct {
	Why   string // as in loader.RemovalNames
	Class FlowClass
	Flows uint64
}

// ClosingCount is how many TCP flows were closed in a way.
type ClosingCount struct {
	Why   string // as in loader.ClosingNames
	Flows uint64
}

// never are removals that the program does not make: of an established flow nothing is taken before it has expired,
// nor a port of a UDP session.
var never = map[string][]FlowClass{"room": {Established}, "port": {Established, UDPSession}}

// FlowEnds returns them for IPv4 and IPv6, in the order of the program's enums, zeros included.
func (r *Reader) FlowEnds() ([]FlowEnds, error) {
	stats, err := r.flowStats()
	if err != nil {
		return nil, fmt.Errorf("read flows_stats: %w", err)
	}
	ends := make([]FlowEnds, len(stats))
	for i := range stats {
		e := &ends[i]
		e.Family = []int{4, 6}[i]
		for number, why := range loader.RemovalNames() {
			for _, class := range FlowClasses {
				n := stats[i].Removed[number][class]
				if n > 0 || !slices.Contains(never[why], class) {
					e.Removed = append(e.Removed, RemovalCount{why, class, n})
				}
			}
		}
		for number, why := range loader.ClosingNames() {
			e.Closed = append(e.Closed, ClosingCount{why, stats[i].Closed[number]})
		}
	}
	return ends, nil
}

// addFlowStats adds what one CPU has counted.
func addFlowStats(sum *loader.FlowStats, cpu *loader.FlowStats) {
	for why := range sum.Removed {
		for class := range sum.Removed[why] {
			sum.Removed[why][class] += cpu.Removed[why][class]
		}
	}
	for why := range sum.Closed {
		sum.Closed[why] += cpu.Closed[why]
	}
}

func (r *Reader) dumpEnds(yield emit) {
	ends, err := r.FlowEnds()
	if err != nil {
		yield(Entry{}, err)
		return
	}
	for _, e := range ends {
		family := fmt.Sprintf("ipv%d", e.Family)
		for _, c := range e.Closed {
			if c.Flows != 0 && !yield(Entry{Key: family + " closed " + c.Why, Value: fmt.Sprintf("%d flows", c.Flows)}, nil) {
				return
			}
		}
		for _, c := range e.Removed {
			if c.Flows != 0 && !yield(Entry{Key: family + " removed " + c.Why, Value: fmt.Sprintf("%d flows that were %s", c.Flows, c.Class)}, nil) {
				return
			}
		}
	}
}
