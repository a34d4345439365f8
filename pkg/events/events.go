// Package events is what happened, in order: the words for it, and a bounded log that others follow. It
// knows nobody; whoever notices something adds it, whoever wants to know reads or follows.
package events

import (
	"slices"
	"time"
)

// Kind groups events by what they are about.
type Kind string

// Kinds of events.
const (
	Daemon    Kind = "daemon"    // the daemon started or stopped
	File      Kind = "file"      // the configuration file was applied or refused
	Applied   Kind = "applied"   // the data path runs a newer generation, or fails to
	Added     Kind = "added"     // a node is there that was not
	Removed   Kind = "removed"   // a node was taken away; its flows may go on
	Changed   Kind = "changed"   // people set a node's mode, weight, override or label
	Health    Kind = "health"    // a node's health as it counts
	Tier      Kind = "tier"      // who takes a config's new flows: primaries, backups, nobody
	Drained   Kind = "drained"   // the last flow ended of a node that takes no new ones
	Deadline  Kind = "deadline"  // flows are ended because their time is over
	Passive   Kind = "passive"   // the data path saw a node refuse or ignore connections
	Limit     Kind = "limit"     // something is full, or nearly so
	Interface Kind = "interface" // a program was attached, or an interface is gone
)

// Kinds are all of them, in the order in which help lists them.
var Kinds = []Kind{Daemon, File, Applied, Added, Removed, Changed, Health, Tier, Drained, Deadline, Passive, Limit, Interface}

// Event is one thing that happened.
type Event struct {
	Seq    uint64    `json:"seq"` // counts from 1; never used again, also not after a restart
	Time   time.Time `json:"time"`
	Kind   Kind      `json:"kind"`
	Config string    `json:"config,omitempty"` // BALANCER/PORT[/udp]
	Node   string    `json:"node,omitempty"`   // BALANCER/PORT[/udp]/LABEL
	From   string    `json:"from,omitempty"`   // what was, in one word, where something changed
	To     string    `json:"to,omitempty"`     // what is, in one word
	Limit  string    `json:"limit,omitempty"`  // one of Limits, where the kind is Limit
	Text   string    `json:"text"`             // a sentence for people that says all of it
}

// What limits are of. From and To of an event of kind Limit are free, near or full.
const (
	FlowTable     = "flow_table"
	StickTable    = "sticky_table"
	ThrottleTable = "throttle_table"
	SourcePorts   = "source_ports"
	MaxConns      = "max_conns"
	Throttle      = "throttle"
	Maps          = "maps"
)

// Limits are all of them, in the order in which help lists them.
var Limits = []string{FlowTable, StickTable, ThrottleTable, SourcePorts, MaxConns, Throttle, Maps}

// Filter selects events; its zero fields select all.
type Filter struct {
	Kinds  []Kind
	Config string
	Node   string
	After  uint64 // only those with a higher Seq
}

// Match reports whether an event is selected.
func (f *Filter) Match(e *Event) bool {
	return e.Seq > f.After &&
		(len(f.Kinds) == 0 || slices.Contains(f.Kinds, e.Kind)) &&
		(f.Config == "" || f.Config == e.Config) &&
		(f.Node == "" || f.Node == e.Node)
}

// Select gives the latest events of a list that match, at most limit of them (0: all), oldest first.
func Select(list []Event, f Filter, limit int) []Event {
	out := []Event{}
	for i := len(list) - 1; i >= 0 && (limit == 0 || len(out) < limit); i-- {
		if f.Match(&list[i]) {
			out = append(out, list[i])
		}
	}
	slices.Reverse(out)
	return out
}
