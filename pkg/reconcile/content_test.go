package reconcile

import (
	"fmt"
	"hash/fnv"
	"slices"
	"strings"
	"time"

	"github.com/headgate/headgate/pkg/maps"
)

// tableNodes returns the node ids of a service's table, in order.
func tableNodes(t maps.Tables, w maps.ServiceWord) ([]uint32, error) {
	words, _, err := maps.ReadTable(t, w)
	if err != nil {
		return nil, err
	}
	return namedIn(w, words), nil
}

// namedIn returns the node ids in the words of a table, in order: of columns, the own and the alias.
func namedIn(w maps.ServiceWord, words []uint64) []uint32 {
	if w.Algorithm != maps.LeastConn && w.Algorithm != maps.Tickets {
		ids := maps.UnpackNodes(words)
		return ids[:min(len(ids), int(w.Length))] // the last word may have room to spare, and a write may have broken off
	}
	var ids []uint32
	for _, word := range words {
		c := maps.UnpackColumn(word)
		ids = append(ids, c.Own, c.Alias)
	}
	return ids
}

// content is what the maps say, without the numbers that depend on their past: ids, offsets and
// indices are replaced by what they stand for.
func content(t maps.Tables, r *maps.Reader) string {
	var lines []string
	line := func(format string, args ...any) { lines = append(lines, fmt.Sprintf(format, args...)) }
	nodes, _ := r.Nodes()
	names := map[uint32]string{}
	for _, n := range nodes {
		names[n.ID] = n.Address.String()
		hop := "unresolved"
		if n.Hop.Resolved() {
			l, _ := t.ReadLink(n.Hop.Link)
			hop = fmt.Sprintf("%d>%x", l.IfIndex, n.Hop.MAC)
		}
		var sources []string
		for i := range n.SNATs.Count {
			a, _ := t.ReadSNAT(n.SNATs.First + i)
			sources = append(sources, a.String())
		}
		n.Status.Generation = 0 // counts what has happened
		var deadline string
		if n.Deadline != 0 { // exact to a jiffy
			deadline = r.Time(n.Deadline).Round(time.Second).Format(time.TimeOnly)
		}
		line("node %s %s %s %s weight %d %+v hop %s from %v idle %v load %v deadline %s", n.VIP, n.Balancer, n.Address, n.Label, n.Weight, n.Status, hop, sources, n.Idle, n.Load, deadline)
		line("node %s %s mode since %s remove after %s", n.VIP, n.Address, r.Time(n.ModeSince).Round(time.Millisecond).Format(time.TimeOnly), n.RemoveAfter)
	}
	services, _ := r.Services()
	for _, s := range services {
		ids, _ := tableNodes(t, s.Word)
		table := fnv.New64()
		for _, id := range ids {
			fmt.Fprintln(table, names[id])
		}
		_, members, _ := maps.ReadTable(t, s.Word)
		var also []string
		for _, id := range maps.UnpackNodes(members[min(1, len(members)):]) {
			also = append(also, names[id])
		}
		s.Word.Offset = 0
		line("service %s %s published %v word %+v table %x members %v%s", s.VIP, s.Balancer, s.Published, s.Word, table.Sum64(), also, policies(t, s))
	}
	for i := range t.Limits().Links {
		if l, _ := t.ReadLink(i); l.IfIndex != 0 {
			line("link %+v", l)
		}
	}
	for i := range t.Limits().SNATs {
		if a, _ := t.ReadSNAT(i); a.IsValid() {
			line("snat %s", a)
		}
	}
	for i := range maps.OursWords {
		if w, _ := t.ReadOurs(i); w != 0 {
			line("ours %d %#x", i, w)
		}
	}
	vips, _ := t.VIPs()
	for v := range vips {
		line("vip %s", v)
	}
	addrs, _ := t.Addresses()
	for _, a := range addrs {
		line("address %s", a)
	}
	announced, _ := t.Announced()
	for a, mac := range announced {
		line("announced %s by %x", a, mac)
	}
	slices.Sort(lines)
	return strings.Join(lines, "\n")
}

// policies are those that count.
func policies(t maps.Tables, s maps.ServiceState) (text string) {
	if s.Word.Stick {
		p, _ := t.ReadStickPolicy(s.ID)
		text += fmt.Sprintf(" stick %s slides %v backups serve %v", p.TTL, p.Slides, p.Tier%2 == 1)
	}
	if s.Word.Throttle {
		p, _ := t.ReadThrottlePolicy(s.ID)
		text += fmt.Sprintf(" throttle %d", p.Rate)
	}
	return text
}
