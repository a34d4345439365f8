package loader_test

import (
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/headgate/headgate/loader/dptest"
	"github.com/headgate/headgate/pkg/packet"
)

// The paths whose instructions are counted, and the most that each may have while its service uses no feature: some
// tenth more than when this was written. What nearly all packets go through must not grow unnoticed.
var pathMost = map[string]uint64{
	"not ours": 72, "new TCP": 1950, "new UDP": 1900, "TCP in": 475, "TCP out": 475, "UDP in": 475, "TCP in, IPv6": 520,
}

// A feature is used by the node with an id, or its service.
type feature struct {
	name string
	use  func(bed *dptest.Bed, id uint32)
	// established: a packet of an established flow looks at something, where the feature is used.
	established bool
}

func changedService(change func(s *dptest.Service)) func(bed *dptest.Bed, id uint32) {
	return func(bed *dptest.Bed, id uint32) {
		s := plainService(id)
		change(&s)
		bed.SetService(s)
	}
}

func changedNode(change func(n *dptest.Node)) func(bed *dptest.Bed, id uint32) {
	return func(bed *dptest.Bed, id uint32) {
		n := plainNode(id)
		change(&n)
		bed.SetNode(n)
	}
}

var features = []feature{
	{"none", func(*dptest.Bed, uint32) {}, false},
	{"stickiness", func(bed *dptest.Bed, id uint32) {
		changedService(func(s *dptest.Service) { s.TTL = time.Hour })(bed, id)
		bed.SetActions(id, dptest.ActionNew|dptest.ActionStick)
	}, false},
	{"throttle", changedService(func(s *dptest.Service) { s.Throttle = dptest.Throttle{Rate: 20, Group: 1} }), false},
	{"max_conns", func(bed *dptest.Bed, id uint32) {
		changedService(func(s *dptest.Service) { s.Members = s.Slots })(bed, id)
		changedNode(func(n *dptest.Node) { n.MaxConns = 100 })(bed, id)
	}, false},
	{"algorithm by hash", changedService(func(s *dptest.Service) { s.Algorithm = dptest.Hash }), false},
	{"leastconn", changedService(func(s *dptest.Service) {
		s.Algorithm, s.Columns = dptest.LeastConn, []dptest.Column{{Own: s.Slots[0], Alias: s.Slots[0]}}
	}), false},
	{"two source addresses", changedNode(func(n *dptest.Node) { n.SNATCount = 2 }), false},
	{"announced VIP", func(bed *dptest.Bed, id uint32) {
		bed.Announce(netip.MustParseAddr(plain[id-1].vip), dptest.Front, packet.MAC{2, 0, 0, 0, 0, 2})
	}, false},
	{"check_passive", func(bed *dptest.Bed, id uint32) { bed.SetActions(id, dptest.ActionNew|dptest.ActionReport) }, false},
	{"a deadline", func(bed *dptest.Bed, id uint32) { bed.SetDeadline(id, time.Hour) }, true},
}

// TestUnusedFeaturesCostNothing counts the instructions that the program executes for a packet on each path, with each
// feature used by the packet's own service, and by another one. What another one uses costs nothing at all; and what
// the packet's own service uses costs its new flows alone, but for deadlines.
func TestUnusedFeaturesCostNothing(t *testing.T) {
	bed := dptest.Open(t, dptest.Options{Buckets4: 64, Buckets6: 64, Steps: true})
	walk(t, bed, features[0], nil) // now each service has been found once
	none := walk(t, bed, features[0], nil)
	for path, most := range pathMost {
		if n := none[path]; n == 0 || n > most {
			t.Errorf("%s: %d instructions, at most %d are right", path, n, most)
		}
	}
	names := slices.Sorted(maps.Keys(none))
	lines := []string{fmt.Sprintf("%-22s%s", "instructions", columns(names))}
	for _, f := range features {
		elsewhere := walk(t, bed, f, []uint32{otherService})
		if !maps.Equal(elsewhere, none) {
			t.Errorf("%s of another service costs: %v instead of %v", f.name, elsewhere, none)
		}
		here := walk(t, bed, f, []uint32{1, 2, 3})
		var row []string
		for _, path := range names {
			row = append(row, fmt.Sprint(here[path]))
			if strings.HasPrefix(path, "new") || f.established {
				continue
			}
			if here[path] != none[path] {
				t.Errorf("%s: %s has %d instructions instead of %d", f.name, path, here[path], none[path])
			}
		}
		lines = append(lines, fmt.Sprintf("%-22s%s", f.name, columns(row)))
	}
	t.Logf("executed for one packet whose service uses:\n%s", strings.Join(lines, "\n"))
}

func columns(words []string) (line string) {
	for _, w := range words {
		line += fmt.Sprintf("%14s", w)
	}
	return line
}

// otherService is one of the plain tables that no counted packet belongs to.
const otherService = 4

// walk counts what each path executes while services use a feature.
func walk(t *testing.T, bed *dptest.Bed, f feature, users []uint32) map[string]uint64 {
	t.Helper()
	fill(bed)
	for _, id := range users {
		f.use(bed, id)
	}
	steps := map[string]uint64{}
	send := func(path, want string, ifindex int, text string) {
		t.Helper()
		frame := packet.MustEncode(text)
		bed.Steps()
		before := bed.Reasons()
		bed.Run(ifindex, frame, true)
		steps[path] = bed.Steps()
		if reason := bed.Reasons().Moved(before); reason != want {
			t.Fatalf("%s, %s: %s, not %s", f.name, path, reason, want)
		}
		delete(steps, "") // what only leads to another
	}
	in4, out4 := router+"ipv4 198.51.100.7 > "+vip4+"\n", backend+"ipv4 "+node4+" > "+snat4+"\n"
	in6, out6 := router+"ipv6 2001:db8:c::7 > "+vip6+"\n", backend+"ipv6 "+node6+" > "+snat6+"\n"
	const synack, ack = "tcp 8080 > 1536 SA seq 5000 ack 1001", "tcp 40000 > 80 A seq 1001 ack 5001"
	send("not ours", "not_ours", dptest.Front, router+"ipv4 198.51.100.7 > 198.51.100.9\nudp 1 > 53")
	send("new TCP", "new_flow", dptest.Front, in4+"tcp 40000 > 80 S seq 1000")
	send("", "replied", dptest.Back, out4+synack)
	send("", "forwarded", dptest.Front, in4+ack)
	send("TCP in", "forwarded", dptest.Front, in4+ack)
	send("TCP out", "replied", dptest.Back, out4+"tcp 8080 > 1536 A seq 5001 ack 1001")
	send("new UDP", "new_flow", dptest.Front, in4+"udp 40000 > 53")
	send("UDP in", "forwarded", dptest.Front, in4+"udp 40000 > 53")
	send("", "new_flow", dptest.Front, in6+"tcp 40000 > 80 S seq 1000")
	send("", "replied", dptest.Back, out6+synack)
	send("", "forwarded", dptest.Front, in6+ack)
	send("TCP in, IPv6", "forwarded", dptest.Front, in6+ack)
	return steps
}

// TestWhatIsLoadedIsNoLargerThanItHasToBe says how large the program is, of which all but a few hundred instructions are
// off the way of most packets, and how much of it goes when a constant switches the search for source ports off.
func TestWhatIsLoadedIsNoLargerThanItHasToBe(t *testing.T) {
	whole, pruned := dptest.Open(t, dptest.Options{}).Size(), dptest.Open(t, dptest.Options{NoPortSearch: true}).Size()
	t.Logf("loaded: %d instructions, %d bytes of machine code; without the search for source ports %d and %d",
		whole.Instructions, whole.Bytes, pruned.Instructions, pruned.Bytes)
	if whole.Instructions == 0 || whole.Instructions > 40_000 {
		t.Errorf("%d instructions are loaded", whole.Instructions)
	}
	if pruned.Instructions >= whole.Instructions {
		t.Errorf("the verifier prunes nothing: %d instructions of %d", pruned.Instructions, whole.Instructions)
	}
}
