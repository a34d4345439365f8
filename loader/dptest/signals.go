package dptest

import (
	"encoding/binary"
	"fmt"
	"time"

	"github.com/headgate/headgate/loader"
)

// Signal is a report that the program made of a node.
type Signal struct {
	Node   uint32
	Kind   SignalKind
	Failed uint32 // connections in a row
}

// SignalKind is enum signal_kind.
type SignalKind uint32

// Kinds of signals.
const (
	Refused SignalKind = iota
	Unanswered
	Unreachable
	signalKinds
)

// String returns the word for people.
func (k SignalKind) String() string {
	if k >= signalKinds {
		return fmt.Sprintf("signal %d", uint32(k))
	}
	return [...]string{"refused", "unanswered", "unreachable"}[k]
}

// String gives "node 1 refused, 2 in a row".
func (s Signal) String() string {
	return fmt.Sprintf("node %d %s, %d in a row", s.Node, s.Kind, s.Failed)
}

// reportPause is from one report about a node to the next, and unansweredSYNs and unansweredAfter what it takes
// to be one (bpf/config.h).
const (
	reportPause     = 100 * time.Millisecond
	unansweredSYNs  = 3
	unansweredAfter = 2500 * time.Millisecond
)

// Signals returns the reports that were made since the last look.
func (b *Bed) Signals() (all []Signal) {
	for b.signals.AvailableBytes() > 0 {
		record, err := b.signals.Read()
		must(err)
		var s loader.Signal
		_, err = binary.Decode(record.RawSample, binary.NativeEndian, &s)
		must(err)
		all = append(all, Signal{s.Node, SignalKind(s.Kind), s.Failed})
	}
	return all
}

// Trouble returns what is counted of the connections that a node fails.
func (b *Bed) Trouble(id uint32) (t loader.NodeTrouble) {
	b.lookup("nodes_trouble", id, &t)
	return t
}

// ageSignals makes the last report of each node older.
func (b *Bed) ageSignals(jiffies uint32) {
	all := readAll[loader.NodeTrouble](b, "nodes_trouble")
	for i := range all {
		if all[i].Reported != 0 {
			all[i].Reported -= jiffies
		}
	}
	writeAll(b, "nodes_trouble", all)
}

// modelSignals is what the Model knows of the connections that nodes have failed.
type modelSignals struct {
	row      map[uint32]uint32 // in a row, by node
	reported map[uint32]time.Duration
	made     []Signal
}

// Signals is Bed.Signals.
func (m *Model) Signals() []Signal {
	made := m.signals.made
	m.signals.made = nil
	return made
}

// failed notes that something speaks against the node of a flow.
func (m *Model) failed(f *modelFlow, kind SignalKind) {
	if m.nodes[f.Node].Actions&ActionReport == 0 || f.Class != HalfOpen || f.SynAck || f.failed {
		return
	}
	f.failed = true
	m.signals.row[f.Node]++
	last, before := m.signals.reported[f.Node]
	if before && m.now-last < reportPause {
		return
	}
	m.signals.reported[f.Node] = m.now
	m.signals.made = append(m.signals.made, Signal{f.Node, kind, m.signals.row[f.Node]})
}

// taken notes that a node has answered a SYN.
func (m *Model) taken(f *modelFlow) {
	if m.nodes[f.Node].Actions&ActionReport != 0 {
		delete(m.signals.row, f.Node)
	}
}

// saysUnreachable says whether an ICMP error tells that what it quotes did not arrive, whatever was in it.
func (p *modelPacket) saysUnreachable() bool {
	kind, code := p.frame[p.l4], p.frame[p.l4+1]
	if p.tuple.Src.Addr().Is4() {
		switch code {
		case 0, 1, 2, 3, 6, 7, 9, 10, 13:
			return kind == 3
		}
		return false
	}
	switch code {
	case 0, 1, 3, 4, 5, 6:
		return kind == 1
	}
	return false
}
