package daemon

import (
	"fmt"
	"log/slog"
	"net/netip"
	"slices"

	"github.com/headgate/headgate/pkg/announce"
	"github.com/headgate/headgate/pkg/events"
	"github.com/headgate/headgate/pkg/lb"
	"github.com/headgate/headgate/pkg/maps"
	"github.com/headgate/headgate/pkg/netdev"
	"github.com/headgate/headgate/pkg/packet"
	"github.com/headgate/headgate/pkg/state"
)

// announcer claims addresses on networks; announce.Announcer is one.
type announcer interface {
	Set(wanted []announce.Address, own [][6]byte)
	Held() map[announce.Key]bool
	Changes() <-chan struct{}
	Warnings() []string
}

// announcing says which VIPs are announced on which networks, and where the program answers for them. It
// belongs to one goroutine.
type announcing struct {
	announcer
	answered map[maps.Announced]bool // by the data path before the start: nobody else has them
	leave    func(maps.Announced) error
	log      *slog.Logger

	doors    map[announce.Key][]state.Announcement // by which who asks for an address comes in
	order    []announce.Key
	homeless []string // warnings
}

// newAnnouncing goes on with what the data path answers for.
func newAnnouncing(a announcer, answered []maps.Announced, log *slog.Logger) *announcing {
	n := &announcing{announcer: a, answered: map[maps.Announced]bool{}, leave: leave, log: log}
	for _, at := range answered {
		n.answered[at] = true
	}
	return n
}

// update follows what is desired, and where: on the networks of the wanted interfaces that the VIPs are in.
func (n *announcing) update(balancers []lb.Balancer, links []netdev.Link, ports []*port) {
	var addresses []announce.Address
	var own [][6]byte
	for _, l := range links {
		own = append(own, l.MAC)
	}
	n.doors, n.order, n.homeless = map[announce.Key][]state.Announcement{}, nil, nil
	for i := range balancers {
		b := &balancers[i]
		if !b.Announce {
			continue
		}
		for _, vip := range b.VIPs() {
			before := len(addresses)
			for _, p := range ports {
				addresses = n.place(addresses, vip, p.name, links)
			}
			if len(addresses) == before {
				n.homeless = append(n.homeless, fmt.Sprintf(
					"%s: %s is not announced: no interface of `interfaces` has an address in a network that holds it", b.Label, vip))
			}
		}
	}
	n.Set(addresses, own)
	n.forget()
}

// forget ends what the daemon before this one began, where it is not wanted any more.
func (n *announcing) forget() {
	wanted := map[maps.Announced]bool{}
	for _, doors := range n.doors {
		for _, d := range doors {
			wanted[maps.Announced{Addr: d.Addr, IfIndex: d.IfIndex}] = true
		}
	}
	for at := range n.answered {
		if wanted[at] {
			continue
		}
		if err := n.leave(at); err != nil {
			n.log.Warn("an address is no longer announced", "err", err)
		}
		delete(n.answered, at)
	}
}

// place adds a VIP where the interface with that name leads to its network. A part of a bond or a bridge does so
// for that, and a bond by its parts, where packets come in.
func (n *announcing) place(addresses []announce.Address, vip netip.Addr, name string, links []netdev.Link) []announce.Address {
	i := slices.IndexFunc(links, func(l netdev.Link) bool { return l.Name == name })
	if i < 0 {
		return addresses
	}
	door := links[i]
	for _, home := range links {
		if home.Index != door.Index && home.Index != door.Master || home.MAC == [6]byte{} || !inNetworkOf(&home, vip) {
			continue
		}
		a := announce.Address{Addr: vip, Link: home.Index, Name: home.Name, MAC: home.MAC, Up: home.Up}
		key := announce.Key{Addr: vip, Link: home.Index}
		known := n.doors[key] != nil
		for _, l := range links {
			if l.Index == door.Index || l.Master == door.Index {
				n.doors[key] = append(n.doors[key], state.Announcement{Addr: vip, IfIndex: l.Index, MAC: home.MAC})
				a.Answer = a.Answer || n.answered[maps.Announced{Addr: vip, IfIndex: l.Index}]
			}
		}
		if !known {
			n.order = append(n.order, key)
			addresses = append(addresses, a)
		}
	}
	return addresses
}

// inNetworkOf says whether an address is on-link by an address of the link: of its network, not of one host.
func inNetworkOf(l *netdev.Link, a netip.Addr) bool {
	return slices.ContainsFunc(l.Prefixes, func(p netip.Prefix) bool { return p.Bits() < a.BitLen() && p.Contains(a) })
}

// answers are what the program answers for.
func (n *announcing) answers() (out []state.Announcement) {
	held := n.Held()
	for _, key := range n.order {
		if held[key] {
			out = append(out, n.doors[key]...)
		}
	}
	return out
}

// warnings are what people should know.
func (n *announcing) warnings() []string { return slices.Concat(n.homeless, n.Warnings()) }

// reported writes down what an announcer found.
func reported(says *chronicle) func(announce.Happening) {
	return func(h announce.Happening) {
		level, to := slog.LevelWarn, "conflict"
		switch h.What {
		case announce.Held:
			level, to = slog.LevelInfo, "announced"
		case announce.Left:
			to = "left"
		}
		says.alert(level, events.Event{Kind: events.Interface, To: to, Text: h.String()})
	}
}

// leave ends what a VIP that was answered for has the kernel do for it.
func leave(at maps.Announced) error {
	if at.Addr.Is4() {
		return nil
	}
	return netdev.LeaveGroup(at.IfIndex, packet.SolicitedNode(at.Addr))
}
