package schedule

import (
	"cmp"
	"slices"
	"time"

	"github.com/headgate/headgate/pkg/lb"
)

// Suspect is a node that may be taken out because it fails clients' connections.
type Suspect struct {
	Mode     lb.Mode
	Override lb.Override
	Since    time.Time // it is to be ejected; zero: it is not
}

// Ejected says who of the nodes of a config and family is taken out. What people set wins: a node with an
// override is as that says. Of the primaries never more than half are out, counted with those that people have
// taken out, because a signal that is wrong of all of them must not end the service; nor of the backups. Those
// that were first stay out. A node in drain may be ejected whatever the others do: it is to take no new flows.
func Ejected(nodes []Suspect) []bool {
	out := make([]bool, len(nodes))
	room := map[lb.Mode]int{lb.Drain: len(nodes)}
	for _, mode := range []lb.Mode{lb.Accept, lb.Backup} {
		all, down := 0, 0
		for i := range nodes {
			if nodes[i].Mode == mode {
				all++
				if nodes[i].Override == lb.OverrideDown {
					down++
				}
			}
		}
		room[mode] = all/2 - down
	}
	for _, i := range inOrder(nodes) {
		if mode := nodes[i].Mode; room[mode] > 0 {
			out[i] = true
			room[mode]--
		}
	}
	return out
}

// inOrder are those that are to be ejected, by since when.
func inOrder(nodes []Suspect) (order []int) {
	for i, n := range nodes {
		if !n.Since.IsZero() && n.Override != lb.OverrideUp && n.Override != lb.OverrideDown {
			order = append(order, i)
		}
	}
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(nodes[a].Since.UnixNano(), nodes[b].Since.UnixNano()) })
	return order
}
