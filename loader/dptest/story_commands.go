package dptest

import (
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"github.com/headgate/headgate/pkg/packet"
)

// args reads the words of a command; after the first fault it gives zeros.
type args struct {
	words []string
	err   error
}

func (a *args) next() string {
	if len(a.words) == 0 {
		a.fail("ends too early")
		return ""
	}
	word := a.words[0]
	a.words = a.words[1:]
	return word
}

func (a *args) fail(format string, v ...any) {
	if a.err == nil {
		a.err = fmt.Errorf(format, v...)
	}
	a.words = nil
}

func (a *args) number() uint64 {
	word := a.next()
	n, err := strconv.ParseUint(word, 0, 64)
	if err != nil {
		a.fail("want a number, not %q", word)
	}
	return n
}

func (a *args) addr() netip.Addr {
	addr, err := netip.ParseAddr(a.next())
	if err != nil {
		a.fail("%v", err)
	}
	return addr
}

func (a *args) addrPort() netip.AddrPort {
	addr, err := netip.ParseAddrPort(a.next())
	if err != nil {
		a.fail("%v", err)
	}
	return addr
}

func (a *args) mac() packet.MAC { return a.parseMAC(a.next()) }

func (a *args) parseMAC(word string) packet.MAC {
	mac, err := net.ParseMAC(word)
	if err != nil || len(mac) != 6 {
		a.fail("want a MAC, not %q", word)
		return packet.MAC{}
	}
	return packet.MAC(mac)
}

func (a *args) duration() time.Duration {
	d, err := time.ParseDuration(a.next())
	if err != nil {
		a.fail("%v", err)
	}
	return d
}

func (a *args) proto() uint8 {
	switch word := a.next(); word {
	case "tcp":
		return packet.ProtoTCP
	case "udp":
		return packet.ProtoUDP
	default:
		a.fail("want tcp or udp, not %q", word)
		return 0
	}
}

func (a *args) hop() Hop {
	word := a.next()
	if word == "unresolved" {
		return Hop{}
	}
	link, mac, _ := strings.Cut(word, "/")
	index, err := strconv.ParseUint(link, 10, 8)
	if err != nil {
		a.fail("want LINK/MAC or unresolved, not %q", word)
	}
	return Hop{Link: uint16(index), MAC: a.parseMAC(mac)}
}

func (a *args) tags() Tags {
	var outer, inner uint16
	word := a.next()
	if n, _ := fmt.Sscanf(word, "%d.%d", &outer, &inner); n == 2 {
		return TagsOf(outer, inner)
	}
	if _, err := fmt.Sscan(word, &outer); err != nil {
		a.fail("want a VLAN or two, as in 7 or 7.8, not %q", word)
	}
	return TagsOf(outer)
}

// actions reads all words that are left.
func (a *args) actions() (actions uint8) {
	for len(a.words) > 0 {
		switch word := a.next(); word {
		case "new":
			actions |= ActionNew
		case "dead":
			actions |= ActionDead
		case "reset":
			actions |= ActionResetTCP
		case "stick":
			actions |= ActionStick
		case "deadline":
			actions |= ActionDeadline
		case "report":
			actions |= ActionReport
		case "none":
		default:
			a.fail("unknown action %s", word)
		}
	}
	return actions
}

func (a *args) node() Node {
	n := Node{ID: uint32(a.number()), Proto: a.proto(), Address: a.addrPort(), Hop: a.hop()}
	if word := a.next(); word != "snat" {
		a.fail("want snat, not %q", word)
	}
	if _, err := fmt.Sscanf(a.next(), "%d+%d", &n.SNATFirst, &n.SNATCount); err != nil {
		a.fail("snat: %v", err)
	}
	for len(a.words) > 0 {
		switch a.words[0] {
		case "ports":
			a.next()
			n.NextPort = a.number()
		case "tcp-idle":
			a.next()
			n.TCPIdle = a.duration()
		case "udp-idle":
			a.next()
			n.UDPIdle = a.duration()
		case "max-conns":
			a.next()
			n.MaxConns = uint32(a.number())
		case "weight":
			a.next()
			n.Weight = uint16(a.number())
		case "of":
			a.next()
			n.Service = uint32(a.number())
		case "generation":
			a.next()
			n.Generation = uint16(a.number())
		case "backup":
			a.next()
			n.Backup = true
		default:
			n.Actions = a.actions()
		}
	}
	return n
}

// command runs one that is not a packet.
func (t *telling) command(word string, words []string, rest string) error {
	a := &args{words: words}
	switch word {
	case "buckets", "refuse-rate":
		a.next() // read before
	case "no-port-search": // read before
	case "include":
		return t.include(rest)
	case "let":
		name, text, _ := strings.Cut(rest, " ")
		t.names[name] = text
		return nil
	default:
		if !t.setTables(word, a) && !t.disturb(word, a) {
			return fmt.Errorf("unknown command")
		}
	}
	if a.err == nil && len(a.words) > 0 {
		a.fail("unknown word %s", a.words[0])
	}
	return a.err
}

// setTables runs a command that does what the daemon does. It says whether there is such a one.
func (t *telling) setTables(word string, a *args) bool {
	switch word {
	case "link":
		index, ifindex, mac := a.number(), a.number(), a.mac()
		a.then(func() { t.bed.SetLink(uint16(index), int(ifindex), mac) })
	case "vlan":
		index, parent, tags := a.number(), a.number(), a.tags()
		a.then(func() { t.bed.SetLinkTags(uint16(index), int(parent), tags) })
	case "mtu":
		index, mtu := a.number(), a.number()
		a.then(func() { t.bed.SetMTU(uint16(index), uint32(mtu)) })
	case "announce":
		addr, ifindex, mac := a.addr(), a.number(), a.mac()
		a.then(func() { t.bed.Announce(addr, int(ifindex), mac) })
	case "snat":
		index, addr := a.number(), a.addr()
		a.then(func() { t.bed.SetSNAT(uint32(index), addr) })
	case "service":
		s := a.service()
		a.then(func() { t.services[s.ID] = s; t.bed.SetService(s) })
	case "word":
		id, value := a.number(), a.number()
		a.then(func() { t.bed.SetServiceWord(uint32(id), value) })
	case "forget":
		id := uint32(a.number())
		a.then(func() { t.bed.RemoveService(t.services[id]) })
	case "node":
		n := a.node()
		a.then(func() { t.bed.SetNode(n) })
	case "actions":
		id, actions := uint32(a.number()), a.actions()
		a.then(func() { t.bed.SetActions(id, actions) })
	case "generation":
		id, generation := uint32(a.number()), uint16(a.number())
		a.then(func() { t.bed.SetGeneration(id, generation) })
	case "unstick":
		service, client := uint32(a.number()), a.addr()
		a.then(func() { t.bed.DropStick(service, client) })
	case "deadline":
		id, in := uint32(a.number()), a.duration()
		a.then(func() { t.bed.SetDeadline(id, in) })
	case "hop":
		id, hop := uint32(a.number()), a.hop()
		a.then(func() { t.bed.SetHop(id, hop) })
	default:
		return false
	}
	return true
}

// disturb runs a command for what happens without the daemon.
func (t *telling) disturb(word string, a *args) bool {
	switch word {
	case "age":
		d := a.duration()
		a.then(func() { t.bed.Age(d); t.noteBudgets() })
	case "sweep":
		t.sweep()
	case "crowd-tags":
		a.then(t.bed.CrowdTags)
	case "tokens":
		n := a.number()
		a.then(func() { t.bed.refill(n) })
	case "lock", "unlock":
		family, bucket := uint8(a.number()), uint32(a.number())
		a.then(func() { t.lock(family, bucket, word == "lock") })
	default:
		return false
	}
	return true
}

// then runs f unless a word was wrong.
func (a *args) then(f func()) {
	if a.err == nil && len(a.words) == 0 {
		f()
	}
}

func (t *telling) lock(family uint8, bucket uint32, taken bool) {
	t.bed.Lock(family, bucket, taken)
	name := fmt.Sprint(family, bucket)
	if taken {
		t.locks[name] = true
	} else {
		delete(t.locks, name)
	}
}

func (t *telling) sweep() {
	before := t.bed.Counters()
	t.say("closed %d", t.bed.SweepAll())
	for _, line := range t.bed.Counters().Moved(before) {
		t.say("%s", line)
	}
	t.tellTable()
	for _, fault := range t.bed.Check() {
		t.wrong = append(t.wrong, "after a sweep: "+fault)
	}
}
