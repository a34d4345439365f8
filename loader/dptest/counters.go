package dptest

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/headgate/headgate/loader"
)

// Counters are all that the program counts, summed over the CPUs.
type Counters struct {
	Reasons  Reasons
	Stats    [MaxNodes]loader.NodeStats
	Active   [MaxNodes]uint64
	NextPort [MaxNodes]uint64
	Tickets  [MaxServices]uint64
	Cursors  [MaxServices]uint64
	Refused  [MaxServices]Reasons
	Ends     Reasons
}

// Counters reads every counter.
func (b *Bed) Counters() Counters {
	c := Counters{Reasons: b.Reasons(), Ends: b.Ends()}
	for id := range uint32(MaxNodes) {
		var stats []loader.NodeStats
		b.lookup("nodes_stats", id, &stats)
		for _, cpu := range stats {
			sum := &c.Stats[id]
			sum.PacketsIn += cpu.PacketsIn
			sum.BytesIn += cpu.BytesIn
			sum.PacketsOut += cpu.PacketsOut
			sum.BytesOut += cpu.BytesOut
			sum.Flows += cpu.Flows
			for kind, n := range cpu.Failed {
				sum.Failed[kind] += n
			}
		}
		live := b.Live(id)
		c.Active[id], c.NextPort[id] = live.Active, live.NextPort
	}
	for id := range uint32(MaxServices) {
		var live loader.ServiceLive
		b.lookup("services_live", id, &live)
		c.Tickets[id], c.Cursors[id] = live.Ticket, live.Cursor
		c.Refused[id] = b.Refused(id)
	}
	return c
}

// Reasons reads the packets by reason.
func (b *Bed) Reasons() Reasons {
	reasons := Reasons{}
	names := loader.ReasonNames()
	var perCPU []loader.Reasons
	b.lookup("reasons", uint32(0), &perCPU)
	for _, cpu := range perCPU {
		for i, n := range cpu.Packets {
			name := fmt.Sprintf("reason %d", i)
			if i < len(names) {
				name = names[i]
			}
			reasons[name] += n
		}
	}
	return reasons
}

// Refused reads what was refused or dropped of a service's packets, by reason.
func (b *Bed) Refused(service uint32) Reasons {
	reasons := Reasons{}
	names := loader.ReasonNames()[loader.FirstRefused():]
	var perCPU []loader.ServiceStats
	b.lookup("services_stats", service, &perCPU)
	for _, cpu := range perCPU {
		for i, n := range cpu.Packets {
			if i < len(names) {
				reasons[names[i]] += n
			} else if n > 0 {
				reasons[fmt.Sprintf("reason %d", loader.FirstRefused()+i)] += n
			}
		}
	}
	return reasons
}

// Ends reads how flows have ended, of IPv4 and of IPv6: "removed room half_open ipv4", "closed fin ipv6".
func (b *Bed) Ends() Reasons {
	ends := Reasons{}
	name := func(names []string, i int) string {
		if i < len(names) {
			return names[i]
		}
		return fmt.Sprint(i)
	}
	for family := range uint32(2) {
		var perCPU []loader.FlowStats
		b.lookup("flows_stats", family, &perCPU)
		for _, cpu := range perCPU {
			for why, classes := range cpu.Removed {
				for class, n := range classes {
					ends[removed(name(loader.RemovalNames(), why), Class(class), family == 0)] += n
				}
			}
			for why, n := range cpu.Closed {
				ends[closed(name(loader.ClosingNames(), why), family == 0)] += n
			}
		}
	}
	return ends
}

func familyName(v4 bool) string {
	if v4 {
		return "ipv4"
	}
	return "ipv6"
}

func removed(why string, class Class, v4 bool) string {
	return fmt.Sprintf("removed %s %s %s", why, class, familyName(v4))
}

func closed(why string, v4 bool) string { return fmt.Sprintf("closed %s %s", why, familyName(v4)) }

// Reasons are packets by reason.
type Reasons map[string]uint64

// Moved returns the one reason that was counted since an earlier look; with none or several, all of
// them with their counts.
func (r Reasons) Moved(before Reasons) string {
	var moved []string
	for name, n := range r {
		switch d := n - before[name]; {
		case d == 1:
			moved = append(moved, name)
		case d != 0:
			moved = append(moved, fmt.Sprintf("%d times %s", d, name))
		}
	}
	if len(moved) == 0 {
		return "no reason"
	}
	return strings.Join(moved, " and ")
}

// Moved says what moved since an earlier look, a line for each node and service; reasons are not in it.
func (c Counters) Moved(before Counters) []string {
	var lines []string
	for id := range c.Stats {
		now, was := c.Stats[id], before.Stats[id]
		var w moves
		w.add("active", c.Active[id]-before.Active[id])
		w.add("ports", c.NextPort[id]-before.NextPort[id])
		w.add("flows", now.Flows-was.Flows)
		w.add("packets-in", now.PacketsIn-was.PacketsIn)
		w.add("bytes-in", now.BytesIn-was.BytesIn)
		w.add("packets-out", now.PacketsOut-was.PacketsOut)
		w.add("bytes-out", now.BytesOut-was.BytesOut)
		for kind := range now.Failed {
			w.add(SignalKind(kind).String(), now.Failed[kind]-was.Failed[kind])
		}
		if w != "" {
			lines = append(lines, fmt.Sprintf("node %d%s", id, w))
		}
	}
	for id := range c.Tickets {
		var w moves
		w.add("ticket", c.Tickets[id]-before.Tickets[id])
		w.add("cursor", c.Cursors[id]-before.Cursors[id])
		for _, reason := range slices.Sorted(maps.Keys(c.Refused[id])) {
			w.add(reason, c.Refused[id][reason]-before.Refused[id][reason])
		}
		if w != "" {
			lines = append(lines, fmt.Sprintf("service %d%s", id, w))
		}
	}
	for _, end := range slices.Sorted(maps.Keys(c.Ends)) {
		var w moves
		if w.add(end, c.Ends[end]-before.Ends[end]); w != "" {
			lines = append(lines, "flows"+string(w))
		}
	}
	return lines
}

type moves string

func (m *moves) add(name string, d uint64) {
	if d != 0 {
		*m += moves(fmt.Sprintf(" %s %+d", name, int64(d)))
	}
}
