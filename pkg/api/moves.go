package api

import (
	"math"
	"net/netip"
	"slices"
	"time"

	"github.com/headgate/headgate/pkg/lb"
	"github.com/headgate/headgate/pkg/schedule"
)

// moved is the share of new connections that change their node, the larger of both families, since
// a client has one of them, and what becomes of those that have no node left. gone are the VIPs at which they come
// to no config any more; down are the nodes that are found DOWN, before and after.
func moved(from, to *lb.Config, gone []netip.Addr, down func(*lb.Node) bool) ConfigMove {
	m := ConfigMove{ByClient: from.Algorithm.ByClient() && to.Algorithm.ByClient()}
	if len(gone) == 0 && from.Algorithm == to.Algorithm && slices.Equal(from.Nodes, to.Nodes) {
		return m
	}
	for _, is4 := range []bool{true, false} {
		old, now := serving(from, is4, down), serving(to, is4, down)
		lost := slices.IndexFunc(gone, func(vip netip.Addr) bool { return vip.Is4() == is4 })
		switch {
		case len(old.takes) == 0: // nobody was served, and nobody moves
		case lost >= 0:
			m.Share, m.Unserved = 1, append(m.Unserved, gone[lost].String())
		case len(now.takes) == 0:
			m.Share, m.Refused = 1, true
		case m.ByClient:
			m.Share = max(m.Share, old.movedClients(now))
		default:
			m.Share = max(m.Share, old.movedShares(now))
		}
	}
	m.Share = math.Round(m.Share*1e6) / 1e6
	return m
}

// servers are the nodes of one family of a config, and who of them takes new flows, as pkg/schedule has it.
type servers struct {
	all   []schedule.Member
	takes map[netip.AddrPort]int // by weight
}

// serving takes nodes that are not found DOWN for UP, as they will be if all is well, and none for starting slowly.
func serving(c *lb.Config, is4 bool, down func(*lb.Node) bool) servers {
	s := servers{takes: map[netip.AddrPort]int{}}
	var cands []schedule.Candidate
	for i := range c.Nodes {
		n := &c.Nodes[i]
		if n.Address.Addr().Is4() != is4 {
			continue
		}
		health := lb.Up
		if down(n) {
			health = lb.Down
		}
		s.all = append(s.all, schedule.Member{Address: n.Address, Weight: n.Weight})
		cands = append(cands, schedule.Candidate{Weight: n.Weight, Mode: n.Mode, Health: health, Override: n.Override})
	}
	rules := schedule.Rules{OnNoBackend: c.OnNoBackend, MinEligible: c.MinEligible}
	for _, i := range schedule.Decide(cands, rules, schedule.Turn{}, time.Time{}).Takes {
		s.takes[s.all[i].Address] = s.all[i].Weight
	}
	return s
}

// movedShares is the least that must move for everybody to have the other share.
func (s servers) movedShares(to servers) float64 {
	total := func(weights map[netip.AddrPort]int) (sum float64) {
		for _, w := range weights {
			sum += float64(w)
		}
		return sum
	}
	before, after, sum := total(s.takes), total(to.takes), 0.0
	for a, w := range s.takes {
		sum += math.Abs(float64(w)/before - float64(to.takes[a])/after)
	}
	for a, w := range to.takes {
		if _, both := s.takes[a]; !both {
			sum += float64(w) / after
		}
	}
	return sum / 2
}

// movedClients counts the clients whose address leads to another node.
func (s servers) movedClients(to servers) float64 {
	numbers := map[netip.AddrPort]int32{}
	return schedule.Moved(s.owners(numbers), to.owners(numbers))
}

// owners are the nodes that the slots of the config's table lead to, by numbers that are given to new ones.
func (s servers) owners(numbers map[netip.AddrPort]int32) []int32 {
	number := make([]int32, len(s.all))
	for i := range s.all {
		n, known := numbers[s.all[i].Address]
		if !known {
			n = int32(len(numbers))
			numbers[s.all[i].Address] = n
		}
		number[i] = n
	}
	percent := make([]int, len(s.all))
	for i, m := range s.all {
		if _, takes := s.takes[m.Address]; takes {
			percent[i] = 100
		}
	}
	slots := schedule.NewMaglev(s.all).Assign(percent)
	out := make([]int32, len(slots))
	for slot, owner := range slots {
		out[slot] = number[owner]
	}
	return out
}
