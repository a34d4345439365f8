package maps

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"

	"github.com/cilium/ebpf/ringbuf"

	"github.com/headgate/headgate/loader"
	"github.com/headgate/headgate/pkg/lb"
)

// SignalKind is how a node fails a connection (enum signal_kind).
type SignalKind uint8

// Kinds of signals: the node answers a SYN with an RST, its client sends it three times, or it does not get there.
const (
	Refused SignalKind = iota
	Unanswered
	Unreachable
)

// String gives the word for people and metrics.
func (k SignalKind) String() string {
	return word(k, "refused", "unanswered", "unreachable")
}

// SignalKinds are all of them, in their order.
var SignalKinds = []SignalKind{Refused, Unanswered, Unreachable}

// Failures counts the connections that a node has failed, by their kind.
type Failures [len(loader.NodeStats{}.Failed)]uint64

// String lists those that there were, each after a comma; nothing when there were none.
func (f Failures) String() string {
	text := ""
	for _, kind := range SignalKinds {
		if f[kind] != 0 {
			text += fmt.Sprintf(", %d %s", f[kind], kind)
		}
	}
	return text
}

// Add sums up, over CPUs or nodes.
func (f *Failures) Add(o Failures) {
	for kind, n := range o {
		f[kind] += n
	}
}

// Signal is a report of the data path that a node has failed a connection.
type Signal struct {
	Node     uint32 // its id
	Address  netip.AddrPort
	VIP      VIP    // of its service
	Balancer string // label
	Kind     SignalKind
	InARow   uint32 // connections that it has failed since it took one, with this one
}

// ConfigKey names the config of the node that the report is about.
func (s *Signal) ConfigKey() lb.ConfigKey { return s.VIP.configOf(s.Balancer) }

// Signals are the reports as they come. One goroutine reads them, and no other process may.
type Signals struct {
	ring   *ringbuf.Reader
	reader *Reader
}

// NewSignals begins to read the reports of a loader's maps, from now on: what lies there from before is old.
// The maps and the Reader must stay open until Close.
func NewSignals(m *loader.Maps, r *Reader) (*Signals, error) {
	ring, err := ringbuf.NewReader(m.Signals)
	if err != nil {
		return nil, fmt.Errorf("map signals: %w", err)
	}
	s := &Signals{ring, r}
	for ring.AvailableBytes() > 0 {
		if _, err := ring.Read(); err != nil {
			return nil, errors.Join(fmt.Errorf("map signals: %w", err), ring.Close())
		}
	}
	return s, nil
}

// Next waits for reports and returns all that there are, the oldest first; those of nodes that are gone are left
// out. After Close it returns an error that matches ErrSignalsClosed.
func (s *Signals) Next() (all []Signal, err error) {
	for wait := true; wait || s.ring.AvailableBytes() > 0; wait = false {
		record, err := s.ring.Read()
		if err != nil {
			return nil, fmt.Errorf("read map signals: %w", err)
		}
		var raw loader.Signal
		if _, err := binary.Decode(record.RawSample, binary.NativeEndian, &raw); err != nil {
			return nil, fmt.Errorf("read map signals, %d bytes: %w", len(record.RawSample), err)
		}
		if signal, known := s.reader.signal(raw); known {
			all = append(all, signal)
		}
	}
	return all, nil
}

// ErrSignalsClosed is what Next returns after Close.
var ErrSignalsClosed = ringbuf.ErrClosed

// Close ends Next, too.
func (s *Signals) Close() error { return s.ring.Close() }

// signal says which node a report is about.
func (r *Reader) signal(raw loader.Signal) (Signal, bool) {
	n, err := r.ReadNode(raw.Node)
	if err != nil || n.Status.Lifecycle != Present {
		return Signal{}, false
	}
	info, err := r.ReadServiceInfo(n.Service)
	if err != nil {
		return Signal{}, false
	}
	return Signal{
		Node: raw.Node, Address: n.Address, VIP: info.VIP, Balancer: info.Balancer, Kind: SignalKind(raw.Kind), InARow: raw.Failed,
	}, true
}
