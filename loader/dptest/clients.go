package dptest

import (
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"time"

	"github.com/cilium/ebpf"

	"github.com/headgate/headgate/loader"
)

// maxClients is the size of a Bed's tables of clients: far more than a story has, so that none has to leave.
const maxClients = 1024

// Sticking is how the clients of a service stick to its nodes; the zero Sticking is that they do not.
type Sticking struct {
	TTL    time.Duration
	Slides bool   // a new flow makes its entry as good as new
	Tier   uint16 // odd while the backups serve
}

// Throttle is how fast a client may open flows; the zero Throttle is as fast as it likes.
type Throttle struct {
	Rate  uint32 // a second
	Group uint32 // services with the same share what a client may open
}

// Stick is a stick entry.
type Stick struct {
	Service    uint32
	Client     netip.Addr
	Node       uint32
	Generation uint16
	Tier       uint16
}

// String returns an entry as stories show it.
func (s Stick) String() string {
	text := fmt.Sprintf("service %d %s to node %d generation %d", s.Service, s.Client, s.Node, s.Generation)
	if s.Tier != 0 {
		text += fmt.Sprintf(" tier %d", s.Tier)
	}
	return text
}

// Sticks returns the stick entries, those that do not hold among them, sorted.
func (b *Bed) Sticks() (sticks []Stick) {
	eachEntry(b, "sticks", func(key loader.StickKey, e loader.StickEntry) {
		sticks = append(sticks, Stick{
			Service: key.Service, Client: b.clientOf(key), Node: e.Node, Generation: e.Generation, Tier: e.Tier,
		})
	})
	sortSticks(sticks)
	return sticks
}

func sortSticks(sticks []Stick) {
	slices.SortFunc(sticks, func(a, b Stick) int {
		return cmp.Or(cmp.Compare(a.Service, b.Service), a.Client.Compare(b.Client))
	})
}

// clientOf reads a client's address, whose family is that of the service's VIP.
func (b *Bed) clientOf(key loader.StickKey) netip.Addr {
	raw := bytes16(key.Client)
	if b.families[key.Service] == 4 {
		return netip.AddrFrom4([4]byte(raw))
	}
	return netip.AddrFrom16([16]byte(raw))
}

// DropStick takes an entry away, as people do.
func (b *Bed) DropStick(service uint32, client netip.Addr) {
	must(b.coll.Maps["sticks"].Delete(stickKey(service, client)))
}

func stickKey(service uint32, client netip.Addr) loader.StickKey {
	key, raw := loader.StickKey{Service: service}, addr16(client)
	for i := range key.Client {
		key.Client[i] = binary.NativeEndian.Uint32(raw[4*i:])
	}
	return key
}

// ageClients makes stick entries and what clients used of their rates older.
func (b *Bed) ageClients(jiffies uint64) {
	eachEntry(b, "sticks", func(key loader.StickKey, e loader.StickEntry) {
		e.Born -= jiffies
		b.update("sticks", key, e)
	})
	eachEntry(b, "throttles", func(key loader.ThrottleKey, e loader.ThrottleEntry) {
		e.Until -= jiffies << throttleTimeShift
		b.update("throttles", key, e)
	})
}

// throttleTimeShift is THROTTLE_TIME_SHIFT of bpf/abi.h.
const throttleTimeShift = 16

// Budget is what a client has used of its rate.
type Budget struct {
	Group  uint32
	Client netip.Addr    // of an IPv6 client the network, as all of it has one budget
	Ahead  time.Duration // so long the flows so far would last at the rate
	until  uint64        // as it lies
}

// String returns a budget as stories show it, to 10 ms.
func (t Budget) String() string {
	return fmt.Sprintf("group %d %s ahead %s", t.Group, t.Client, t.Ahead.Round(10*time.Millisecond))
}

// Budgets returns what clients have used of their rates, sorted.
func (b *Bed) Budgets() (budgets []Budget) {
	now := b.jiffies() << throttleTimeShift
	eachEntry(b, "throttles", func(key loader.ThrottleKey, e loader.ThrottleEntry) {
		var raw [16]byte
		binary.NativeEndian.PutUint64(raw[:], key.Client)
		client := netip.AddrFrom16(raw)
		if key.Family == 4 {
			client = netip.AddrFrom4([4]byte(raw[:]))
		}
		ahead := time.Duration(int64(e.Until-now)>>throttleTimeShift) * time.Second / time.Duration(b.options.HZ)
		budgets = append(budgets, Budget{Group: key.Group, Client: client, Ahead: max(0, ahead), until: e.Until})
	})
	slices.SortFunc(budgets, func(a, b Budget) int { return cmp.Or(cmp.Compare(a.Group, b.Group), a.Client.Compare(b.Client)) })
	return budgets
}

// eachEntry hands over a copy of a hash map's entries.
func eachEntry[K, V any](b *Bed, name string, do func(K, V)) {
	m := b.coll.Maps[name]
	var cursor ebpf.MapBatchCursor
	keys, values := make([]K, m.MaxEntries()), make([]V, m.MaxEntries())
	n, err := m.BatchLookup(&cursor, keys, values, nil)
	if err != nil && !errors.Is(err, ebpf.ErrKeyNotExist) {
		panic(fmt.Sprintf("read %s: %v", name, err))
	}
	for i := range n {
		do(keys[i], values[i])
	}
}

// clearHash empties a hash map.
func clearHash[K, V any](b *Bed, name string) {
	eachEntry(b, name, func(key K, _ V) { must(b.coll.Maps[name].Delete(key)) })
}
