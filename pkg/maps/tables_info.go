package maps

import (
	"unsafe"

	"github.com/headgate/headgate/loader"
)

// emit is how a dump hands out its entries.
type emit = func(Entry, error) bool

// tables lists what there is, in the order of bpf/maps.h.
func (r *Reader) tables() []table {
	return []table{
		sized("flows4", "IPv4 flow table, two halves a flow; the program writes",
			uint64(len(r.flows4))*bucketSlots, uint64(unsafe.Sizeof(loader.Bucket4{}))/bucketSlots, r.dumpFlows(4)),
		sized("flows6", "IPv6 flow table, two halves a flow; the program writes",
			uint64(len(r.flows6))*bucketSlots, uint64(unsafe.Sizeof(loader.Bucket6{}))/bucketSlots, r.dumpFlows(6)),
		sized("vips", "VIP, port and protocol → service, and each VIP alone; the daemon writes", uint64(r.vipsMax()), 24, r.dumpVIPs),
		sized("guesses", "hash of VIP, port and protocol → service that was found there last; the program writes", uint64(r.guessesMax()), 4, func(emit) {}),
		of("services", "service → its table of slots; the daemon writes, one word commits", r.services, r.dumpServices),
		of("services_live", "service → choices made; the program writes", r.servicesLive, r.dumpTickets),
		sized("services_stats", "service → its packets that were refused or dropped, per CPU; the program writes", uint64(len(r.services)), uint64(unsafe.Sizeof(loader.ServiceStats{})), r.dumpRefusedOf),
		of("services_info", "service → names for people; the daemon writes", r.servicesInfo, r.dumpServicesInfo),
		of("slots", "scheduling tables, in words of four nodes or a column; the daemon writes", r.slots, r.dumpSlots),
		of("nodes", "node → address, next hop, status; the daemon writes", r.nodes, r.dumpNodes),
		of("nodes_live", "node → active flows and next source port; the program writes", r.nodesLive, r.dumpLive),
		sized("nodes_stats", "node → traffic, per CPU; the program writes", uint64(len(r.nodes)), uint64(unsafe.Sizeof(loader.NodeStats{})), r.dumpTraffic),
		of("nodes_info", "node → label, weight, last check; the daemon writes", r.nodesInfo, r.dumpNodesInfo),
		sized("sticks", "client of a service → node that it sticks to; the program writes", uint64(r.sticksMax()), stickBytes, r.dumpSticks),
		sized("throttles", "client of a balancer → what it has used of its rate; the program writes", uint64(r.throttlesMax()), throttleBytes, r.dumpThrottles),
		of("nodes_trouble", "node → connections that it fails; the program writes", r.nodesTrouble, r.dumpTrouble),
		sized("signals", "reports of connections that nodes have failed; the program writes, the daemon takes them", signalsRoom, signalBytes, func(emit) {}),
		of("snats", "addresses that NAT sends from; the daemon writes", r.snats, r.dumpSNATs),
		of("ours", "words of a bitmap of hashed VIPs and source addresses; the daemon writes", r.ours, r.dumpOurs),
		of("links", "interfaces that packets may leave by; the daemon writes", r.links, r.dumpLinks),
		of("tags", "VLAN tags of clients' frames, for their replies; the program claims, the daemon frees", r.tags, r.dumpTags),
		sized("tx_ports", "the same interfaces for redirection; the daemon writes", uint64(len(r.links)), 8, r.dumpTxPorts),
		sized("announced", "VIP and interface → the MAC by which it is announced there; the daemon writes", uint64(r.announcedMax()), 32, r.dumpAnnounced),
		sized("fragments", "datagram → what becomes of its later fragments; the program writes", uint64(r.fragmentsMax()), fragmentBytes, r.dumpFragments),
		sized("datagrams", "how many datagrams were sent on in fragments; the program writes", 1, 8, r.dumpDatagrams),
		sized("flows_stats", "how flows of IPv4 and IPv6 have ended, per CPU; the program writes", 2, uint64(unsafe.Sizeof(loader.FlowStats{})), r.dumpEnds),
		sized("reasons", "packets by reason, per CPU; the program writes", 1, uint64(unsafe.Sizeof(loader.Reasons{})), r.dumpReasons),
		sized("refusals", "tokens for refusals, per CPU; the program writes", 1, 16, r.dumpRefusals),
		sized("creations", "the program's own scratch, per CPU; nothing to show", 1, 128, func(emit) {}),
		sized("meta", "what the tables were made with; the loader writes, once", 1, uint64(unsafe.Sizeof(r.meta)), r.dumpMeta),
	}
}

// The ring of reports: what one takes with its header, and how many there is room for (bpf/maps.h).
const (
	signalBytes = 8 + uint64(unsafe.Sizeof(loader.Signal{}))
	signalsRoom = 65536 / signalBytes
)

func sized(name, what string, entries, stride uint64, dump func(emit)) table {
	return table{name: name, what: what, entries: entries, stride: stride, dump: dump}
}

func of[T any](name, what string, entries []T, dump func(emit)) table {
	var one T
	return sized(name, what, uint64(len(entries)), uint64(unsafe.Sizeof(one)), dump)
}

// used counts what a dump would show; of the flow tables it counts slots without reading flows.
func (r *Reader) used(t table) (uint64, error) {
	switch t.name {
	case "flows4":
		return usedSlots(family4(r.flows4)), nil
	case "flows6":
		return usedSlots(family6(r.flows6)), nil
	}
	var n uint64
	var err error
	t.dump(func(_ Entry, e error) bool {
		err = e
		n++
		return e == nil
	})
	return n, err
}

func usedSlots(t buckets) uint64 {
	var n uint64
	for b := range t.len() {
		head := t.head(b)
		for slot := range uint32(bucketSlots) {
			if loadTag(head, slot) != 0 {
				n++
			}
		}
	}
	return n
}
