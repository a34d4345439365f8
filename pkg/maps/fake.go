package maps

import (
	"fmt"
	"maps"
	"time"

	"github.com/headgate/headgate/loader"
)

// FakeSizes are the sizes of a Fake's maps, in entries. Zero fields get a small default.
type FakeSizes struct {
	Nodes, Services, Slots, VIPs, Buckets4, Buckets6 int

	Now func() time.Time // nil: time.Now
}

// Fake is Tables in the memory of the process, laid out as in the kernel. What packets would do to
// it, tests do by AddFlow and the like. It is not safe for concurrent use, except by its Readers.
type Fake struct {
	*store
	ports *fakeOutside
}

// NewFake makes empty tables, as a loader would, at 250 Hz.
func NewFake(sizes FakeSizes) *Fake {
	or := func(n, otherwise int) int {
		if n == 0 {
			return otherwise
		}
		return n
	}
	if sizes.Now == nil {
		sizes.Now = time.Now
	}
	nodes, services := or(sizes.Nodes, 1024), or(sizes.Services, 256)
	out := &fakeOutside{
		table:     map[VIP]uint32{},
		most:      uint32(or(sizes.VIPs, 2*services)),
		answers:   map[Announced][6]byte{},
		ports:     map[uint16]int{},
		sticks:    map[loader.StickKey]loader.StickEntry{},
		throttles: map[loader.ThrottleKey]loader.ThrottleEntry{},
		traffic:   make([]Traffic, nodes),
		refused:   make([]loader.ServiceStats, services),
	}
	return &Fake{ports: out, store: &store{
		memory: memory{
			flows4:       make([]loader.Bucket4, or(sizes.Buckets4, 64)),
			flows6:       make([]loader.Bucket6, or(sizes.Buckets6, 64)),
			services:     make([]loader.Service, services),
			servicesLive: make([]loader.ServiceLive, services),
			servicesInfo: make([]loader.ServiceInfo, services),
			slots:        make([]uint64, or(sizes.Slots, 65536)),
			nodes:        make([]loader.Node, nodes),
			nodesLive:    make([]loader.NodeLive, nodes),
			nodesTrouble: make([]loader.NodeTrouble, nodes),
			nodesInfo:    make([]loader.NodeInfo, nodes),
			snats:        make([]loader.SNAT, snatsMax),
			ours:         make([]uint64, OursWords),
			links:        make([]loader.LinkEntry, linksMax),
			tags:         make([]uint64, TagsMax+1),
			meta:         fakeMeta(),
			timeline:     newTimeline(sizes.Now),
		},
		outside: out,
	}}
}

// fakeClients is the size of a Fake's tables of clients, for show: it holds as many as there are.
const fakeClients = 1024

// fakeMeta is what tables without a program are made with.
func fakeMeta() loader.Meta {
	return loader.Meta{
		Schema:      loader.Schema,
		Hz:          250,
		Secret:      [3]uint64{0x9e3779b97f4a7c15, 0xbf58476d1ce4e5b9, 0x94d049bb133111eb},
		Jiffies:     1<<32 - 1000, // wraps soon, as on a kernel that has just started
		MonotonicNs: monotonic(),
	}
}

// Reader returns a Reader of the tables.
func (f *Fake) Reader() *Reader { return &Reader{store: f.store, clock: monotonic} }

// LosePort takes an interface out of the redirect map, as the kernel does when it goes away.
func (f *Fake) LosePort(index uint16) { delete(f.ports.ports, index) }

// SetTraffic sets what a node has carried.
func (f *Fake) SetTraffic(id uint32, t Traffic) { f.ports.traffic[id] = t }

// SetTrouble sets what is counted of the connections that a node fails.
func (f *Fake) SetTrouble(id uint32, t Trouble) {
	f.nodesTrouble[id] = loader.NodeTrouble{Failed: t.InARow, Lost: t.Lost}
}

// BreakTraffic has reading what nodes have carried fail from now on.
func (f *Fake) BreakTraffic(err error) { f.ports.broken = err }

// CountReason adds to the packets of a reason, by its number in the program's enum.
func (f *Fake) CountReason(reason int, packets uint64) { f.ports.counts[reason] += packets }

// CountRefused adds to the packets of a service that were refused or dropped for a reason, by its number in the
// program's enum.
func (f *Fake) CountRefused(service uint32, reason int, packets uint64) {
	f.ports.refused[service].Packets[reason-loader.FirstRefused()] += packets
}

// CountEnds adds to how flows of a family have ended, by the numbers of the program's enums.
func (f *Fake) CountEnds(family int, counts loader.FlowStats) {
	addFlowStats(&f.ports.ends[map[int]int{4: 0, 6: 1}[family]], &counts)
}

// fakeOutside is the hash, redirect and per-CPU maps of a Fake.
type fakeOutside struct {
	table     map[VIP]uint32
	most      uint32
	answers   map[Announced][6]byte
	ports     map[uint16]int
	traffic   []Traffic
	refused   []loader.ServiceStats
	sticks    map[loader.StickKey]loader.StickEntry
	throttles map[loader.ThrottleKey]loader.ThrottleEntry
	counts    [64]uint64
	ends      [2]loader.FlowStats
	broken    error // of nodeTraffic
}

func (o *fakeOutside) vips() (map[VIP]uint32, error) { return maps.Clone(o.table), nil }
func (o *fakeOutside) vipsMax() uint32               { return o.most }
func (o *fakeOutside) guessesMax() uint32            { return 1 }

func (o *fakeOutside) vip(v VIP) (service uint32, found bool, err error) {
	service, found = o.table[v]
	return service, found, nil
}

func (o *fakeOutside) putVIP(v VIP, service uint32) error {
	if _, there := o.table[v]; !there && len(o.table) >= int(o.most) {
		return fmt.Errorf("vips: the map is full (%d entries)", o.most)
	}
	o.table[v] = service
	return nil
}

func (o *fakeOutside) deleteVIP(v VIP) error {
	delete(o.table, v)
	return nil
}

func (o *fakeOutside) txPort(index uint16) (int, error) { return o.ports[index], nil }

func (o *fakeOutside) putTxPort(index uint16, ifindex int) error {
	o.ports[index] = ifindex
	return nil
}

func (o *fakeOutside) deleteTxPort(index uint16) error {
	delete(o.ports, index)
	return nil
}

func (o *fakeOutside) nodeTraffic(id uint32) (Traffic, error) { return o.traffic[id], o.broken }

func (o *fakeOutside) eachTraffic(do func(uint32, Traffic) bool) error {
	for id, t := range o.traffic {
		if o.broken != nil || !do(uint32(id), t) {
			break
		}
	}
	return o.broken
}

func (o *fakeOutside) clearTraffic(id uint32) error {
	o.traffic[id] = Traffic{}
	return nil
}

func (o *fakeOutside) serviceStats(id uint32) (loader.ServiceStats, error) { return o.refused[id], nil }

func (o *fakeOutside) clearServiceStats(id uint32) error {
	o.refused[id] = loader.ServiceStats{}
	return nil
}

func (o *fakeOutside) eachStick(do func(loader.StickKey, loader.StickEntry) bool) error {
	for key, e := range maps.Clone(o.sticks) {
		if !do(key, e) {
			break
		}
	}
	return nil
}

func (o *fakeOutside) deleteStick(key loader.StickKey) error {
	delete(o.sticks, key)
	return nil
}

func (o *fakeOutside) sticksMax() uint32    { return fakeClients }
func (o *fakeOutside) throttlesMax() uint32 { return fakeClients }

func (o *fakeOutside) eachThrottle(do func(loader.ThrottleKey, loader.ThrottleEntry) bool) error {
	for key, e := range o.throttles {
		if !do(key, e) {
			break
		}
	}
	return nil
}

func (o *fakeOutside) reasons() ([]uint64, error)              { return o.counts[:], nil }
func (o *fakeOutside) flowStats() ([2]loader.FlowStats, error) { return o.ends, nil }
func (o *fakeOutside) sizes() (map[string]uint64, error)       { return nil, nil }
func (o *fakeOutside) refusalTokens() ([]uint64, error)        { return []uint64{0}, nil }

var _ Tables = (*Fake)(nil)

// NextPort returns how many source ports a node has handed out, counted from where it started.
func (f *Fake) NextPort(id uint32) uint64 { return f.nodesLive[id].NextPort }

func (o *fakeOutside) fragmentsMax() uint32       { return fakeClients }
func (o *fakeOutside) datagrams() (uint64, error) { return 0, nil }

func (o *fakeOutside) eachFragment(func(loader.FragmentKey, loader.Fragment) bool) error { return nil }
