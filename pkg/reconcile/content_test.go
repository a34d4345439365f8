package reconcile

import (
	"fmt"
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
	return maps.UnpackNodes(words)[:w.Length], nil
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
		var table []string
		for _, id := range ids {
			table = append(table, names[id])
		}
		line("service %s %s published %v drop %v table %v", s.VIP, s.Balancer, s.Published, s.Word.Drop, table)
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
	slices.Sort(lines)
	return strings.Join(lines, "\n")
}
