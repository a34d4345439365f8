package maps

import (
	"cmp"
	"fmt"
	"slices"
	"sync/atomic"
	"time"

	"github.com/headgate/headgate/loader"
	"github.com/headgate/headgate/pkg/lb"
)

// Reader looks at the maps for people, also while packets and a writer change them: each answer
// is true of some moment, entry by entry. Its methods may be called concurrently. It lives as long as
// the Kernel or Fake that it came from.
type Reader struct {
	*store
	clock func() uint64 // CLOCK_MONOTONIC in nanoseconds
}

// ServiceState is a service as the maps hold it.
type ServiceState struct {
	ID uint32
	ServiceInfo
	Word      ServiceWord
	Published bool   // packets to the VIP find it
	Tickets   uint64 // choices made so far
}

// NodeState is a node as the maps hold it.
type NodeState struct {
	ID uint32
	Node
	NodeInfo
	VIP      VIP    // of its service
	Balancer string // label
	Active   uint64 // flows that are half-open, established or UDP
	Trouble  Trouble
	Traffic  Traffic
	Since    time.Time // ModeSince by the wall clock of now; zero: not known
	Ends     time.Time // Deadline by the wall clock of now; zero: none
}

// ConfigKey names the config that the node belongs to.
func (n *NodeState) ConfigKey() lb.ConfigKey { return n.VIP.configOf(n.Balancer) }

// Services returns the services that have an id, by id: also those that are gone but whose nodes
// have flows left.
func (r *Reader) Services() ([]ServiceState, error) {
	vips, err := r.vips()
	if err != nil {
		return nil, fmt.Errorf("read vips: %w", err)
	}
	var out []ServiceState
	err = r.eachService(func(id uint32, info ServiceInfo) error {
		word, err := r.ReadService(id)
		if err != nil {
			return err
		}
		published, ok := vips[info.VIP]
		out = append(out, ServiceState{
			ID:          id,
			ServiceInfo: info,
			Word:        word,
			Published:   ok && published == id,
			Tickets:     atomic.LoadUint64(&r.servicesLive[id].Ticket),
		})
		return nil
	})
	return out, err
}

// eachService hands over the services that have an id, by id, until do fails.
func (r *Reader) eachService(do func(id uint32, info ServiceInfo) error) error {
	for id := range uint32(len(r.services)) {
		info, err := r.ReadServiceInfo(id)
		if err != nil {
			return err
		}
		if !info.VIP.Addr.IsValid() {
			continue
		}
		if err := do(id, info); err != nil {
			return err
		}
	}
	return nil
}

// Nodes returns all nodes that are present, or removed with flows left, by id.
func (r *Reader) Nodes() ([]NodeState, error) {
	return r.NodesWhere(func(*Node) bool { return true })
}

// NodesWhere returns those of them that are wanted by their records. All others cost a look at that.
func (r *Reader) NodesWhere(wanted func(*Node) bool) ([]NodeState, error) {
	count := 0
	if err := r.eachNode(wanted, func(uint32, *Node) error { count++; return nil }); err != nil {
		return nil, err
	}
	out := make([]NodeState, 0, count) // made at once it is half of what growing takes
	err := r.eachNode(wanted, func(id uint32, n *Node) error {
		s, err := r.nodeState(id, *n)
		out = append(out, s)
		return err
	})
	if err == nil {
		err = r.addTraffic(out)
	}
	return out, err
}

// eachNode hands over the nodes that are wanted, by id, in a place that is used again, until do fails.
func (r *Reader) eachNode(wanted func(*Node) bool, do func(id uint32, n *Node) error) (err error) {
	var n Node
	for id := range uint32(len(r.nodes)) {
		if r.isFree(id) {
			continue
		}
		if n, err = r.ReadNode(id); err != nil {
			return err
		}
		if n.Status.Lifecycle == Free || !wanted(&n) {
			continue
		}
		if err := do(id, &n); err != nil {
			return err
		}
	}
	return nil
}

// isFree says whether an id is nobody's, which most ids are.
func (r *Reader) isFree(id uint32) bool {
	return decodeStatus(atomic.LoadUint64(word64(&r.nodes[id].Status))).Lifecycle == Free
}

// fewNodes are asked about one by one; of more, everybody's traffic is read, a thousand at a time.
const fewNodes = 32

func (r *Reader) addTraffic(nodes []NodeState) (err error) {
	if len(nodes) > fewNodes {
		left := nodes // by id, as the map is read
		return r.eachTraffic(func(id uint32, t Traffic) bool {
			if len(left) > 0 && left[0].ID == id {
				left[0].Traffic, left = t, left[1:]
			}
			return len(left) > 0
		})
	}
	for i := range nodes {
		if nodes[i].Traffic, err = r.nodeTraffic(nodes[i].ID); err != nil {
			return fmt.Errorf("nodes_stats[%d]: %w", nodes[i].ID, err)
		}
	}
	return nil
}

// nodeState is a node without its traffic.
func (r *Reader) nodeState(id uint32, n Node) (NodeState, error) {
	s := NodeState{ID: id, Node: n, Ends: r.Time(n.Deadline)}
	var err error
	if s.NodeInfo, err = r.ReadNodeInfo(id); err != nil {
		return s, err
	}
	s.Since = r.Time(s.ModeSince)
	if s.Active, err = r.Active(id); err != nil {
		return s, err
	}
	if s.Trouble, err = r.Trouble(id); err != nil {
		return s, err
	}
	// A service that the map has no room for is shown as none; Check names it.
	if info, err := r.ReadServiceInfo(n.Service); err == nil {
		s.VIP, s.Balancer = info.VIP, info.Balancer
	}
	return s, nil
}

// ReasonCount is how many packets met a fate.
type ReasonCount struct {
	Name    string // as in loader.ReasonNames
	Fate    string // as in loader.ReasonFates
	Packets uint64 // of all CPUs
}

// Reasons returns the packets by reason, in the order of the program's enum, zeros included.
func (r *Reader) Reasons() ([]ReasonCount, error) {
	counts, err := r.reasons()
	if err != nil {
		return nil, fmt.Errorf("read reasons: %w", err)
	}
	names, fates := loader.ReasonNames(), loader.ReasonFates()
	out := make([]ReasonCount, 0, len(names))
	for i, name := range names {
		if i < len(counts) {
			out = append(out, ReasonCount{Name: name, Fate: fates[i], Packets: counts[i]})
		}
	}
	return out, nil
}

// Refusals are the packets of a service that were refused or dropped since it got its id.
type Refusals struct {
	ID uint32
	ServiceInfo
	Reasons []ReasonCount // in the order of the program's enum, zeros left out
}

// ConfigKey names the config that the service belongs to.
func (s *Refusals) ConfigKey() lb.ConfigKey { return s.VIP.configOf(s.Balancer) }

// Refusals returns those of the services that have an id, by id.
func (r *Reader) Refusals() ([]Refusals, error) {
	names, fates := loader.ReasonNames(), loader.ReasonFates()
	first := loader.FirstRefused()
	var out []Refusals
	err := r.eachService(func(id uint32, info ServiceInfo) error {
		stats, err := r.serviceStats(id)
		if err != nil {
			return fmt.Errorf("services_stats[%d]: %w", id, err)
		}
		of := Refusals{ID: id, ServiceInfo: info}
		for i := first; i < min(len(names), first+len(stats.Packets)); i++ {
			if n := stats.Packets[i-first]; n > 0 {
				of.Reasons = append(of.Reasons, ReasonCount{Name: names[i], Fate: fates[i], Packets: n})
			}
		}
		out = append(out, of)
		return nil
	})
	return out, err
}

// sortedVIPs returns the keys of vips in a stable order.
func sortedVIPs(vips map[VIP]uint32) []VIP {
	keys := make([]VIP, 0, len(vips))
	for v := range vips {
		keys = append(keys, v)
	}
	slices.SortFunc(keys, func(a, b VIP) int {
		return cmp.Or(a.Addr.Compare(b.Addr), cmp.Compare(a.Port, b.Port), cmp.Compare(a.Protocol, b.Protocol))
	})
	return keys
}
