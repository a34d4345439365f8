package maps

import (
	"encoding/binary"
	"fmt"
	"iter"
	"net/netip"
	"time"

	"github.com/headgate/headgate/loader"
)

// Bytes that an entry takes, its share of the hash map's own bookkeeping included, as kernels measure it
// that tell.
const (
	stickBytes    = 104
	throttleBytes = 88
)

// Stick is a stick entry that is not dead.
type Stick struct {
	Service uint32
	Client  netip.Addr
	NodeID  uint32
	Age     time.Duration
	Left    time.Duration // until its time is over
	Holds   bool          // a new flow of the client would go to the node
}

// StickFilter selects stick entries; zero fields select all.
type StickFilter struct {
	Client netip.Addr
	Nodes  map[uint32]bool // by id
}

func (q *StickFilter) matches(s *Stick) bool {
	return (!q.Client.IsValid() || s.Client == q.Client) && (q.Nodes == nil || q.Nodes[s.NodeID])
}

// Sticks yields the stick entries that match, in no order. Dead ones are left out: those whose time is over,
// whose node was DOWN since, or that the backups made in an earlier turn. New flows go on meanwhile: an entry
// that comes or goes may be missed or come twice. It takes some milliseconds for 100,000 entries.
func (r *Reader) Sticks(q StickFilter) iter.Seq2[Stick, error] {
	return func(yield func(Stick, error) bool) {
		stopped := false
		err := r.eachLiving(func(_ loader.StickKey, s Stick) bool {
			stopped = q.matches(&s) && !yield(s, nil)
			return !stopped
		})
		if err != nil && !stopped {
			yield(Stick{}, err)
		}
	}
}

// CountSticks counts the stick entries that hold, by node id.
func (r *Reader) CountSticks() (map[uint32]uint64, error) {
	counts := map[uint32]uint64{}
	err := r.eachLiving(func(_ loader.StickKey, s Stick) bool {
		if s.Holds {
			counts[s.NodeID]++
		}
		return true
	})
	return counts, err
}

// RemoveSticks takes the entries away that match, and says how many there were. It may be called while
// packets and a daemon are at work: the next flow of a client makes an entry anew.
func (r *Reader) RemoveSticks(q StickFilter) (removed int, err error) {
	var keys []loader.StickKey
	err = r.eachLiving(func(key loader.StickKey, s Stick) bool {
		if q.matches(&s) {
			keys = append(keys, key)
		}
		return true
	})
	if err != nil {
		return 0, err
	}
	for _, key := range keys {
		if err := r.deleteStick(key); err != nil {
			return removed, err
		}
		removed++
	}
	return removed, nil
}

// eachLiving hands over what is not dead. Where no clients stick, it looks at nothing.
func (r *Reader) eachLiving(do func(loader.StickKey, Stick) bool) error {
	if !r.any(func(w ServiceWord) bool { return w.Stick }) {
		return nil
	}
	now := jiffies64At(&r.meta, r.clock())
	services := map[uint32]*stickRules{}
	return r.eachStick(func(key loader.StickKey, e loader.StickEntry) bool {
		rules, ok := services[key.Service]
		if !ok {
			rules = r.stickRules(key.Service)
			services[key.Service] = rules
		}
		s, living := r.stick(key, e, rules, now)
		return !living || do(key, s)
	})
}

// stickRules is what a service says of its entries.
type stickRules struct {
	StickPolicy
	v4 bool
}

// stickRules are nil for a service that is not there, or whose clients do not stick.
func (r *Reader) stickRules(id uint32) *stickRules {
	word, err := r.ReadService(id)
	if err != nil || !word.Stick {
		return nil
	}
	policy, err := r.ReadStickPolicy(id)
	if err != nil {
		return nil
	}
	info, err := r.ReadServiceInfo(id)
	if err != nil {
		return nil
	}
	return &stickRules{policy, info.VIP.Addr.Is4()}
}

// stick says of an entry what the program would.
func (r *Reader) stick(key loader.StickKey, e loader.StickEntry, rules *stickRules, now uint64) (s Stick, living bool) {
	if rules == nil {
		return s, false
	}
	node, err := r.ReadNode(e.Node)
	if err != nil || node.Service != key.Service || node.Status.Generation != e.Generation || e.Tier != 0 && e.Tier != rules.Tier {
		return s, false
	}
	s = Stick{Service: key.Service, Client: stickClient(key, rules.v4), NodeID: e.Node}
	if passed := int64(now - e.Born); passed > 0 { // else another CPU's clock is a tick ahead
		s.Age = r.duration64(uint64(passed))
	}
	s.Left = rules.TTL - s.Age
	s.Holds = node.Status.Actions&Sticks != 0
	return s, s.Left >= 0
}

func stickClient(key loader.StickKey, v4 bool) netip.Addr {
	var b [16]byte
	for i, word := range key.Client {
		binary.NativeEndian.PutUint32(b[4*i:], word)
	}
	if v4 {
		return decodeAddr(b, 4)
	}
	return decodeAddr(b, 6)
}

// dumpSticks shows all entries as they lie, dead ones too.
func (r *Reader) dumpSticks(yield emit) {
	now := jiffies64At(&r.meta, r.clock())
	stopped := false
	err := r.eachStick(func(key loader.StickKey, e loader.StickEntry) bool {
		info, _ := r.ReadServiceInfo(key.Service) // of a service that is gone: shown as IPv6
		entry := Entry{
			Key: fmt.Sprintf("%d/%s", key.Service, stickClient(key, info.VIP.Addr.Is4())),
			Value: fmt.Sprintf("node %d generation %d tier %d made %s ago", e.Node, e.Generation, e.Tier,
				r.duration64(now-min(now, e.Born)).Round(time.Millisecond)),
		}
		stopped = !yield(entry, nil)
		return !stopped
	})
	if err != nil && !stopped {
		yield(Entry{}, err)
	}
}

// throttleTimeShift is THROTTLE_TIME_SHIFT of bpf/abi.h.
const throttleTimeShift = 16

func (r *Reader) dumpThrottles(yield emit) {
	now := jiffies64At(&r.meta, r.clock()) << throttleTimeShift
	stopped := false
	err := r.eachThrottle(func(key loader.ThrottleKey, e loader.ThrottleEntry) bool {
		var b [16]byte
		binary.NativeEndian.PutUint64(b[:], key.Client)
		ahead := time.Duration(0)
		if left := int64(e.Until - now); left > 0 {
			ahead = r.duration64(uint64(left) >> throttleTimeShift)
		}
		stopped = !yield(Entry{
			Key:   fmt.Sprintf("%d/%s", key.Group, decodeAddr(b, uint8(key.Family))),
			Value: fmt.Sprintf("ahead of its rate by %s", ahead.Round(time.Millisecond)),
		}, nil)
		return !stopped
	})
	if err != nil && !stopped {
		yield(Entry{}, err)
	}
}
