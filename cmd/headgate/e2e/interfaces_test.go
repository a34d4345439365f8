package e2e

import (
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/headgate/headgate/pkg/api"
	"github.com/headgate/headgate/scripts/lab"
)

// The program follows the interfaces that the file names, whatever becomes of them while it runs.
func TestInterfacesAreRenamedVanishAndAppear(t *testing.T) {
	t.Parallel()
	s := newSite(t, 2, smallTable)
	s.servers()
	// A node that takes new flows has passed its last check: back relies on it.
	strict := strings.Replace(quickCheck, "check_attempts: 2", "check_attempts: 1", 1)
	s.run(s.yaml(conf{port: 80, extra: strict, nodes: members(2, 8080, []int{4})}))
	balancer, node := s.star.Balancer, s.star.Nodes[1]
	whole := map[string]int{"a": 5, "b": 5}
	wantShares(t, "with both interfaces", s.exchanges("tcp", 4, 80, 10), whole)

	s.rename("node2", "elsewhere")
	s.warns("interface node2 is called elsewhere now")
	s.back("elsewhere")
	wantShares(t, "with another name", s.exchanges("tcp", 4, 80, 10), whole)
	s.rename("elsewhere", "node2")
	s.back("node2")
	wantShares(t, "with its old name", s.exchanges("tcp", 4, 80, 10), whole)

	s.must(balancer.DeleteLink("node2"))
	s.warns("interface node2 is gone: the program is attached again when it is back")
	s.nodeEventually("web/80/node-b", "is DOWN", func(n api.Node) bool { return !n.TakesNew })
	wantShares(t, "without an interface", s.exchanges("tcp", 4, 80, 10), map[string]int{"a": 10})
	s.must(s.star.Lab.Connect(
		lab.Port{Namespace: node, Name: "eth0", Addresses: []netip.Prefix{netip.MustParsePrefix("10.77.2.2/24")}},
		lab.Port{Namespace: balancer, Name: "node2", Addresses: []netip.Prefix{netip.MustParsePrefix("10.77.2.1/24")}}))
	s.must(node.PrepareForXDP("eth0"))
	s.must(node.AddRoute(netip.MustParsePrefix("0.0.0.0/0"), netip.MustParseAddr("10.77.2.1"), "eth0"))
	s.back("node2")
	wantShares(t, "with a new interface", s.exchanges("tcp", 4, 80, 10), whole)
	s.checkCounts()
}

// rename gives an interface of the balancer another name.
func (s *site) rename(from, to string) {
	s.t.Helper()
	s.must(s.star.Balancer.LinkDown(from))
	s.must(s.star.Balancer.Rename(from, to))
	s.must(s.star.Balancer.LinkUp(to))
}

// warns waits until status says something.
func (s *site) warns(text string) {
	s.t.Helper()
	s.eventually("status says: "+text, func(st api.Status) bool { return strings.Contains(strings.Join(st.Warnings, "\n"), text) })
}

// back waits until an interface serves again: attached, and with it the second node, which has been found well by
// a check that cannot have begun before.
func (s *site) back(name string) {
	s.t.Helper()
	since := time.Now().Add(quickTimeout)
	s.eventually(name+" serves again", func(st api.Status) bool {
		for _, i := range st.Interfaces {
			if i.Name == name && i.Mode != "native" {
				return false
			}
		}
		n, err := st.Node("web/80/node-b")
		s.must(err)
		return !strings.Contains(strings.Join(st.Warnings, "\n"), "interface "+name) && n.TakesNew && n.CheckedAt != nil && n.CheckedAt.After(since)
	})
	if on, _, err := s.star.Balancer.XDP(name); err != nil || !on {
		s.t.Errorf("no program is on %s: %v", name, err)
	}
}
