package main

// row is one line of the table: packets of one kind through one subject.
type row struct {
	name string
	subject
	syn     bool   // TCP SYNs instead of UDP datagrams
	flows   uint32 // that packets belong to; 0: each packet opens one
	cores   int
	batches int
	packets uint32 // of a batch; before each, all flows are forgotten
	// What is to be reached: so many times the row named against, or, without one, so many packets a second.
	target  float64
	against string
}

// Names of rows that others are compared with.
const (
	plainName    = "plain stateless NAT, XDP"
	headgateName = "Headgate, 60,000 flows"
)

// rows are those of the table. The kernel's own ways are slower, and get a quarter of the packets; what it tracks
// is bounded, and so are its new flows. A batch of new ones leaves a flow table of so many entries half full.
func rows(packets, entries uint32) []row {
	newFlows := entries / 4
	established := func(r row, flows uint32) row {
		r.flows, r.batches, r.packets = flows, 1, packets
		if r.state == tracked || r.state == routed {
			r.packets = packets / 4
		}
		r.cores = max(r.cores, 1)
		return r
	}
	opened := func(r row) row {
		r.cores, r.batches, r.packets = 1, int(max(packets/2/newFlows, 1)), newFlows
		if r.state == tracked {
			r.batches, r.packets = 1, trackedFlows
		}
		return r
	}
	return []row{
		established(row{name: "bare redirect, XDP", subject: bare}, 60_000),
		established(row{name: plainName, subject: plain}, 60_000),
		established(row{name: "Headgate, 1,000 flows", subject: headgate, target: 0.85, against: plainName}, 1_000),
		established(row{name: headgateName, subject: headgate, target: 0.85, against: plainName}, 60_000),
		opened(row{name: "Headgate, all new flows", subject: headgate, target: 1e6}),
		opened(row{name: "Headgate, all new flows, TCP SYN", subject: headgate, syn: true, target: 1e6}),
		established(row{name: "plain stateless NAT, two cores", subject: plain, cores: 2, against: plainName}, 60_000),
		established(row{name: "Headgate, 60,000 flows, two cores", subject: headgate, cores: 2, target: 1.7, against: headgateName}, 60_000),
		established(row{name: "kernel forwarding", subject: forwarding, against: plainName}, 60_000),
		established(row{name: "nftables DNAT, 1,000 flows", subject: nftables, against: plainName}, 1_000),
		established(row{name: "nftables DNAT, 60,000 flows", subject: nftables, against: plainName}, 60_000),
		opened(row{name: "nftables DNAT, all new flows", subject: nftables}),
	}
}
