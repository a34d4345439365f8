package daemon

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/headgate/headgate/pkg/announce"
	"github.com/headgate/headgate/pkg/lb"
	"github.com/headgate/headgate/pkg/maps"
	"github.com/headgate/headgate/pkg/netdev"
	"github.com/headgate/headgate/pkg/state"
)

// fakeAnnouncer holds what a test has it hold.
type fakeAnnouncer struct {
	mu       sync.Mutex
	wanted   []announce.Address
	held     map[announce.Key]bool
	warnings []string
	changed  chan struct{}
}

func newFakeAnnouncer() *fakeAnnouncer {
	return &fakeAnnouncer{held: map[announce.Key]bool{}, changed: make(chan struct{}, 1)}
}

func (f *fakeAnnouncer) Set(wanted []announce.Address, _ [][6]byte) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.wanted = wanted
}

func (f *fakeAnnouncer) Held() map[announce.Key]bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	held := map[announce.Key]bool{}
	for key, is := range f.held {
		held[key] = is
	}
	return held
}

func (f *fakeAnnouncer) Changes() <-chan struct{} { return f.changed }
func (f *fakeAnnouncer) Warnings() []string       { return f.warnings }

// hold says that addresses are held, and no others.
func (f *fakeAnnouncer) hold(keys ...announce.Key) {
	f.mu.Lock()
	f.held = map[announce.Key]bool{}
	for _, key := range keys {
		f.held[key] = true
	}
	f.mu.Unlock()
	f.changed <- struct{}{}
}

var (
	vip4 = netip.MustParseAddr("203.0.113.10")
	vip6 = netip.MustParseAddr("2001:db8::10")
)

// hostWith are links that a VIP may have its network on.
func hostWith() []netdev.Link {
	prefixes := func(all ...string) (out []netip.Prefix) {
		for _, p := range all {
			out = append(out, netip.MustParsePrefix(p))
		}
		return out
	}
	return []netdev.Link{
		{Index: 1, Name: "lo", Prefixes: prefixes("127.0.0.0/8", "203.0.113.10/32", "2001:db8::10/128")},
		{Index: 2, Name: "eth0", MAC: [6]byte{2}, Up: true, Prefixes: prefixes("203.0.113.0/24", "2001:db8::/64")},
		{Index: 3, Name: "eth1", MAC: [6]byte{3}, Up: true, Prefixes: prefixes("192.0.2.0/24")},
		{Index: 4, Name: "bond0", MAC: [6]byte{4}, Up: true, Prefixes: prefixes("198.51.100.0/24")},
		{Index: 5, Name: "eth5", MAC: [6]byte{5}, Master: 4},
		{Index: 6, Name: "eth6", MAC: [6]byte{6}, Master: 4},
	}
}

func TestVIPsAreAnnouncedWhereTheirNetworkIs(t *testing.T) {
	bondVIP := netip.MustParseAddr("198.51.100.10")
	at := func(vip netip.Addr, index int, mac byte) state.Announcement {
		return state.Announcement{Addr: vip, IfIndex: index, MAC: [6]byte{mac}}
	}
	for _, tt := range []struct {
		name     string
		balancer lb.Balancer
		ports    string
		held     []announce.Key
		want     []state.Announcement
		homeless string
	}{
		{"both families", lb.Balancer{IPv4: vip4, IPv6: vip6, Announce: true}, "eth0 eth1",
			[]announce.Key{{Addr: vip4, Link: 2}, {Addr: vip6, Link: 2}}, []state.Announcement{at(vip4, 2, 2), at(vip6, 2, 2)}, ""},
		{"not asked for", lb.Balancer{IPv4: vip4}, "eth0", nil, nil, ""},
		{"an interface that is not ours", lb.Balancer{Label: "web", IPv4: vip4, Announce: true}, "eth1", nil, nil,
			"web: 203.0.113.10 is not announced: no interface of `interfaces` has an address in a network that holds it"},
		{"one host is no network", lb.Balancer{Label: "web", IPv4: vip4, Announce: true}, "lo", nil, nil, "web: 203.0.113.10 is not announced"},
		{"a bond: packets come in by its parts", lb.Balancer{IPv4: bondVIP, Announce: true}, "bond0",
			[]announce.Key{{Addr: bondVIP, Link: 4}}, []state.Announcement{at(bondVIP, 4, 4), at(bondVIP, 5, 4), at(bondVIP, 6, 4)}, ""},
		{"the parts of a bond", lb.Balancer{IPv4: bondVIP, Announce: true}, "eth5 eth6",
			[]announce.Key{{Addr: bondVIP, Link: 4}}, []state.Announcement{at(bondVIP, 5, 4), at(bondVIP, 6, 4)}, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			f := newFakeAnnouncer()
			n := newAnnouncing(f, nil, quiet())
			var ports []*port
			for name := range strings.FieldsSeq(tt.ports) {
				ports = append(ports, &port{name: name})
			}
			n.update([]lb.Balancer{tt.balancer}, hostWith(), ports)
			var wanted []announce.Key
			for _, a := range f.wanted {
				wanted = append(wanted, announce.Key{Addr: a.Addr, Link: a.Link})
			}
			if !slices.Equal(wanted, tt.held) || len(n.answers()) > 0 {
				t.Errorf("wanted %v, want %v; answered before they are held: %v", wanted, tt.held, n.answers())
			}
			for _, key := range wanted {
				f.held[key] = true
			}
			if diff := cmp.Diff(tt.want, n.answers(), cmpopts.EquateComparable(netip.Addr{}), cmpopts.EquateEmpty()); diff != "" {
				t.Error(diff)
			}
			if w := strings.Join(n.warnings(), "\n"); !strings.HasPrefix(w, tt.homeless) || (w == "") != (tt.homeless == "") {
				t.Errorf("warnings %q, want %q", w, tt.homeless)
			}
		})
	}
}

// TestWhatWasAnsweredForIsHeldOrEnded goes on with what a daemon before had announced.
func TestWhatWasAnsweredForIsHeldOrEnded(t *testing.T) {
	f := newFakeAnnouncer()
	n := newAnnouncing(f, []maps.Announced{{Addr: vip4, IfIndex: 2}, {Addr: vip6, IfIndex: 2}, {Addr: vip6, IfIndex: 9}}, quiet())
	var left []string
	n.leave = func(at maps.Announced) error { left = append(left, at.String()); return fmt.Errorf("no matter") }
	ports := []*port{{name: "eth0"}}
	n.update([]lb.Balancer{{IPv4: vip4, IPv6: vip6, Announce: true}}, hostWith(), ports)
	if len(f.wanted) != 2 || !f.wanted[0].Answer || !f.wanted[1].Answer || !slices.Equal(left, []string{"2001:db8::10 at interface 9"}) {
		t.Errorf("wanted %+v, left %q", f.wanted, left)
	}
	n.update([]lb.Balancer{{IPv4: vip4, IPv6: vip6}}, hostWith(), ports)
	if len(f.wanted) > 0 || len(left) != 3 {
		t.Errorf("no longer announced: wanted %+v, left %q", f.wanted, left)
	}
	n.update([]lb.Balancer{{IPv4: vip4, IPv6: vip6, Announce: true}}, hostWith(), ports)
	if f.wanted[0].Answer || f.wanted[1].Answer || len(left) != 3 {
		t.Errorf("announced again, others may have it now: wanted %+v, left %q", f.wanted, left)
	}
}

func TestTheDataPathAnswersForWhatIsHeld(t *testing.T) {
	announced := strings.Replace(twoNodes, "    ipv4: 203.0.113.10\n", "    ipv4: 203.0.113.10\n    announce: true\n", 1)
	running(t, announced, func(t *testing.T, r *rig) {
		answers := func() string {
			synctest.Wait()
			all, err := r.tables.Announced()
			return fmt.Sprint(all, err)
		}
		if got := r.published.Load().warnings; !slices.ContainsFunc(got, func(w string) bool { return strings.HasPrefix(w, "web: 203.0.113.10 is not announced") }) {
			t.Errorf("nowhere to announce it, and no warning: %q", got)
		}
		r.network.setLinks(hostWith()...)
		if got := answers(); got != "map[] <nil>" {
			t.Errorf("answered for before it is held: %s", got)
		}
		r.claims.hold(announce.Key{Addr: vip4, Link: 2})
		if got := answers(); got != "map[203.0.113.10 at interface 2:[2 0 0 0 0 0]] <nil>" {
			t.Errorf("held: %s", got)
		}
		r.claims.hold()
		if got := answers(); got != "map[] <nil>" {
			t.Errorf("left to another host: %s", got)
		}
		r.claims.hold(announce.Key{Addr: vip4, Link: 2})
		r.write(t, twoNodes)
		r.reload <- nil
		if got := answers(); got != "map[] <nil>" {
			t.Errorf("not to be announced any more: %s", got)
		}
	})
}
