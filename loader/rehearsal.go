package loader

import (
	"errors"
	"fmt"
	"slices"
	"structs"

	"github.com/cilium/ebpf"
)

// Rehearsal is the program loaded once more, so that packets can be tried out: it makes of them what it would
// make of real ones, with the tables as they are, and changes nothing that real ones meet. One goroutine uses
// it at a time. Its packets come in by interfaces of the calling thread's network namespace.
//
// It shares the maps that the program only reads, and has all others for itself, with the content that counts
// for a packet. So not a single store of the program needs to know that it is a rehearsal. The flow tables are
// too large to be copied: in a rehearsal each is a hash of the buckets that a packet can come to look at.
type Rehearsal struct {
	coll *ebpf.Collection
	real Maps // that packets meet
	own  Maps // of the rehearsal, those that it shares among them
	meta Meta
}

// What a rehearsal has of each map.
const (
	shared   = iota
	copied   // as it is when a rehearsal begins
	ofPacket // what it holds for the packet's client, or in the buckets of its flows
	empty    // nothing depends on what it holds
)

var rehearsalMaps = map[string]int{
	"vips": shared, "services": shared, "services_info": shared, "slots": shared, "nodes": shared, "nodes_info": shared,
	"snats": shared, "ours": shared, "links": shared, "tx_ports": shared, "meta": shared, "announced": shared,
	"nodes_live": copied, "services_live": copied, "refusals": copied, "datagrams": copied, "tags": copied,
	"flows4": ofPacket, "flows6": ofPacket, "sticks": ofPacket, "throttles": ofPacket, "fragments": ofPacket,
	"guesses": empty, "nodes_stats": empty, "services_stats": empty, "flows_stats": empty, "reasons": empty, "creations": empty, "signals": empty, "nodes_trouble": empty,
}

// Room of a rehearsal's own maps.
const (
	rehearsedBuckets = 2048  // two for each of 82 source ports, and those of the other halves of all that lies there
	rehearsedClients = 16384 // stick entries and throttles: those of one client with every service
)

// NewRehearsal loads the program for a rehearsal with these maps. They must stay open until Close.
func NewRehearsal(m *Maps) (*Rehearsal, error) {
	meta, err := readMeta(m.Meta)
	if err != nil {
		return nil, err
	}
	spec, err := Spec()
	if err != nil {
		return nil, err
	}
	spec.Maps["flows4"].MaxEntries, spec.Maps["flows6"].MaxEntries = m.Flows4.MaxEntries(), m.Flows6.MaxEntries()
	if err := setConstants(spec, meta); err != nil {
		return nil, err
	}
	return Rehearse(spec, m, meta)
}

// Rehearse is NewRehearsal for a spec whose constants are set, and that it changes.
func Rehearse(spec *ebpf.CollectionSpec, m *Maps, meta Meta) (*Rehearsal, error) {
	delete(spec.Programs, "sweep")
	if err := spec.Variables["port_search_most"].Set(uint32(0)); err != nil {
		return nil, fmt.Errorf("constant port_search_most: %w", err)
	}
	replace := map[string]*ebpf.Map{}
	eachMap(m, func(name string, field **ebpf.Map) error {
		own := spec.Maps[name]
		own.MaxEntries = (*field).MaxEntries()
		switch rehearsalMaps[name] {
		case shared:
			replace[name] = *field
		case ofPacket:
			own.MaxEntries = rehearsedClients
			if own.Type == ebpf.Array {
				own.Type, own.Flags, own.MaxEntries = ebpf.Hash, 0, rehearsedBuckets
			}
		}
		return nil
	})
	coll, err := loadOnto(spec, replace)
	if err != nil {
		return nil, err
	}
	return &Rehearsal{coll: coll, real: *m, own: *MapsOf(coll), meta: meta}, nil
}

// Close ends it; what it shares stays.
func (r *Rehearsal) Close() { r.coll.Close() }

// Outcome is what became of a packet in a rehearsal.
type Outcome struct {
	Verdict uint32 // the XDP action
	Reason  string // of ReasonNames
	Frame   []byte // as it would leave
	// The buckets of the flow tables that it could look at, by their number: as they were, and as it left them.
	Found4, Left4 map[uint32]Bucket4
	Found6, Left6 map[uint32]Bucket6
}

// rehearsals bounds how often a packet is tried out until all is there that it looks at: each try for a source
// port leads to buckets of its own.
const rehearsals = 128

// Run tries out a frame that comes in by an interface.
func (r *Rehearsal) Run(frame []byte, ifindex int) (Outcome, error) {
	var hashes []uint64
	v6 := false
	keys, err := r.keys(withoutTags(frame))
	if err != nil {
		return Outcome{}, err
	}
	for _, k := range keys {
		v6 = k.src.Addr().Is6()
		hashes = append(hashes, r.meta.Hash(k.src, k.dst, k.proto))
	}
	var port *searched
	for range rehearsals {
		out, err := r.try(frame, ifindex, hashes, v6, port)
		if err != nil {
			return out, err
		}
		known := len(hashes)
		if hashes, err = r.looked(hashes); err != nil {
			return out, err
		}
		if len(hashes) > known {
			continue
		}
		if out.Reason != "no_port" || port != nil {
			return out, nil
		}
		if port, err = r.searchPort(); err != nil || port == nil {
			return out, err
		}
	}
	return Outcome{}, errors.New("rehearse a packet: it does not come to an end")
}

// try tries it out with the buckets of these hashes, and the source port that a search found, if there was one.
func (r *Rehearsal) try(frame []byte, ifindex int, hashes []uint64, v6 bool, port *searched) (out Outcome, err error) {
	if err := errors.Join(r.prepare(withoutTags(frame)), r.goOnAt(port)); err != nil {
		return out, fmt.Errorf("prepare a rehearsal: %w", err)
	}
	if v6 {
		out.Found6, err = putBuckets[Bucket6](r.own.Flows6, r.real.Flows6, hashes)
	} else {
		out.Found4, err = putBuckets[Bucket4](r.own.Flows4, r.real.Flows4, hashes)
	}
	if err != nil {
		return out, fmt.Errorf("prepare a rehearsal: %w", err)
	}
	options := &ebpf.RunOptions{
		Data: frame, DataOut: make([]byte, len(frame)+frameGrows), Repeat: 1,
		Context: &xdpContext{DataEnd: uint32(len(frame)), IngressIfindex: uint32(ifindex)},
	}
	if out.Verdict, err = r.coll.Programs["headgate"].Run(options); err != nil {
		return out, fmt.Errorf("run a rehearsal: %w", err)
	}
	out.Frame = options.DataOut
	if out.Reason, err = r.reason(); err != nil {
		return out, err
	}
	return out, errors.Join(readBuckets(r.own.Flows4, &out.Left4), readBuckets(r.own.Flows6, &out.Left6))
}

// frameGrows is more than any answer is longer than what it answers.
const frameGrows = 512

// xdpContext is struct xdp_md.
type xdpContext struct {
	_                               structs.HostLayout
	Data, DataEnd, DataMeta         uint32
	IngressIfindex, RxQueue, Egress uint32
}

// reason is what the packet was counted for, the only one since prepare.
func (r *Rehearsal) reason() (string, error) {
	var cpus []Reasons
	if err := r.own.Reasons.Lookup(uint32(0), &cpus); err != nil {
		return "", fmt.Errorf("read a rehearsal's reason: %w", err)
	}
	for _, c := range cpus {
		for i, n := range c.Packets {
			if n > 0 && i < len(ReasonNames()) {
				return ReasonNames()[i], nil
			}
		}
	}
	return "", errors.New("a rehearsal's packet was counted for no reason")
}

// looked adds to hashes those of the halves that the packet's new flow has, or was to have.
func (r *Rehearsal) looked(hashes []uint64) ([]uint64, error) {
	var cpus []headgateCreation
	if err := r.own.Creations.Lookup(uint32(0), &cpus); err != nil {
		return hashes, fmt.Errorf("read a rehearsal's flow: %w", err)
	}
	for _, c := range cpus {
		for _, h := range []uint64{c.Hash, c.Reply.Hash} {
			if h != 0 && !slices.Contains(hashes, h) {
				hashes = append(hashes, h)
			}
		}
	}
	return hashes, nil
}
