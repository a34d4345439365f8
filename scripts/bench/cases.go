package main

import "fmt"

// benchCase is one row of the table: what is prepared, then what is measured.
type benchCase struct {
	name    string
	target  float64 // multiple of the floor to reach
	stretch float64
	flows   uint32 // a power of two
	measure packet
	reason  string                       // that every measured packet must meet
	prepare func(b *bed, n uint32) error // before each round; nil: nothing
	batch   uint32                       // packets between two preparations; 0: the whole round
	first   uint64                       // client of the first measured packet
	flags   uint64                       // of the service for TCP over IPv4
}

// fits says whether a table of so many entries is no more than half full of the case's flows, or is to be full.
func (c benchCase) fits(entries uint32) bool {
	return c.first != 0 || c.flows <= entries/4 || c.prepare == nil
}

func cases() []benchCase {
	ack4, ack6 := clientPacket(vip4, protoTCP, flagACK), clientPacket(vip6, protoTCP, flagACK)
	syn4, udp4 := clientPacket(vip4, protoTCP, flagSYN), clientPacket(vip4, protoUDP, 0)
	foreign := ack4
	foreign.dst = other4
	return []benchCase{
		{name: "IPv4 TCP established, 1 flow", target: 2.3, stretch: 1.8, flows: 1, measure: ack4, reason: "forwarded", prepare: establish4},
		{name: "IPv4 TCP established, 8,192 flows", target: 3.3, stretch: 2.5, flows: 8192, measure: ack4, reason: "forwarded", prepare: establish4},
		{name: "IPv4 TCP established, 524,288 flows", target: 8, stretch: 6, flows: 1 << 19, measure: ack4, reason: "forwarded", prepare: establish4},
		{name: "IPv4 SYN, new flow", target: 10, stretch: 7, flows: 1 << 18, measure: syn4, reason: "new_flow", prepare: (*bed).empty, batch: 1 << 18},
		{name: "IPv4 SYN, new flow by tickets", target: 10, stretch: 7, flows: 1 << 18, measure: syn4, reason: "new_flow", prepare: emptyFor(tickets, false), batch: 1 << 18},
		{name: "IPv4 SYN, new flow by least connections", target: 10, stretch: 7, flows: 1 << 18, measure: syn4, reason: "new_flow", prepare: emptyFor(leastconn, false), batch: 1 << 18},
		{name: "IPv4 SYN, new flow by hash", target: 10, stretch: 7, flows: 1 << 18, measure: syn4, reason: "new_flow", prepare: emptyFor(hash, false), batch: 1 << 18},
		{name: "IPv4 SYN, new flow with max_conns", target: 10, stretch: 7, flows: 1 << 18, measure: syn4, reason: "new_flow", prepare: emptyFor(sequence, true), batch: 1 << 18},
		{name: "IPv4 SYN, table full of half-open flows", target: 12, stretch: 8, flows: 1 << 24, measure: syn4, reason: "new_flow", prepare: fillUp, first: 8 << 20 /* clients that the flood has not used */},
		{name: "IPv4 SYN, new flow with a stick entry", target: 14, stretch: 10, flows: 1 << 18, measure: syn4, reason: "new_flow", prepare: known, batch: 1 << 18, flags: flagStick},
		{name: "IPv4 SYN, new flow and stick entry", target: 20, stretch: 15, flows: 1 << 18, measure: syn4, reason: "new_flow", prepare: unknown, batch: 1 << 18, flags: flagStick},
		{name: "IPv4 SYN, new flow of a throttled client", target: 14, stretch: 10, flows: 1 << 18, measure: syn4, reason: "new_flow", prepare: known, batch: 1 << 18, flags: flagThrottle},
		{name: "UDP established, 1 flow", target: 2.3, stretch: 1.8, flows: 1, measure: udp4, reason: "forwarded", prepare: openUDP},
		{name: "UDP established, 8,192 flows", target: 3.3, stretch: 2.5, flows: 8192, measure: udp4, reason: "forwarded", prepare: openUDP},
		{name: "UDP established, 524,288 flows", target: 8, stretch: 6, flows: 1 << 19, measure: udp4, reason: "forwarded", prepare: openUDP},
		{name: "IPv6 TCP established, 1 flow", target: 2.6, stretch: 2.0, flows: 1, measure: ack6, reason: "forwarded", prepare: establish6},
		{name: "IPv6 TCP established, 8,192 flows", target: 3.3, stretch: 2.5, flows: 8192, measure: ack6, reason: "forwarded", prepare: establish6},
		{name: "IPv6 TCP established, 524,288 flows", target: 8, stretch: 6, flows: 1 << 19, measure: ack6, reason: "forwarded", prepare: establish6},
		{name: "not ours, PASS", target: 2.0, stretch: 1.5, flows: 1 << 19, measure: foreign, reason: "not_ours"},
		{name: "IPv4 reply, established, 1 flow", target: 2.3, stretch: 1.8, flows: 1, measure: replyPacket(false, flagACK), reason: "replied", prepare: establishReply4},
		{name: "IPv4 reply, established, 8,192 flows", target: 3.3, stretch: 2.5, flows: 8192, measure: replyPacket(false, flagACK), reason: "replied", prepare: establishReply4},
		{name: "IPv6 reply, established, 1 flow", target: 2.6, stretch: 2.0, flows: 1, measure: replyPacket(true, flagACK), reason: "replied", prepare: establishReply6},
	}
}

func (b *bed) empty(uint32) error { return b.reset() }

// open makes n flows by packets in order.
func (b *bed) open(p packet, n uint32) error {
	if err := b.reset(); err != nil {
		return err
	}
	_, err := b.send(p.workload(n, true), n, "new_flow")
	return err
}

func openUDP(b *bed, n uint32) error { return b.open(clientPacket(vip4, protoUDP, 0), n) }

// known has the clients stick, or be throttled, since an earlier flow.
func known(b *bed, n uint32) error {
	if err := b.open(clientPacket(vip4, protoTCP, flagSYN), n); err != nil {
		return err
	}
	return b.reset()
}

// unknown has no client stick.
func unknown(b *bed, _ uint32) error {
	if err := b.forget(); err != nil {
		return err
	}
	return b.reset()
}

// establish makes n TCP flows with handshakes through the program itself. All go to the first node,
// so that the source ports follow the clients' order and the harness can tell them.
func (b *bed) establish(v6 bool, n uint32) error {
	vip, service, first := vip4, 0, uint32(1)
	if v6 {
		vip, service, first = vip6, 2, 7
	}
	if err := b.putTable(service, first, first, first); err != nil {
		return err
	}
	if err := b.open(clientPacket(vip, protoTCP, flagSYN), n); err != nil {
		return err
	}
	if _, err := b.send(replyPacket(v6, flagSYN|flagACK).workload(n, true), n, "replied"); err != nil {
		return err
	}
	_, err := b.send(clientPacket(vip, protoTCP, flagACK).workload(n, true), n, "forwarded")
	return err
}

func establish4(b *bed, n uint32) error      { return b.establish(false, n) }
func establish6(b *bed, n uint32) error      { return b.establish(true, n) }
func establishReply4(b *bed, n uint32) error { return b.establish(false, n) }
func establishReply6(b *bed, n uint32) error { return b.establish(true, n) }

// fillUp sends SYNs from new clients until the table holds as many flows as it takes: then every
// insert evicts.
func fillUp(b *bed, _ uint32) error {
	if err := b.reset(); err != nil {
		return err
	}
	w := clientPacket(vip4, protoTCP, flagSYN).workload(1<<24, false)
	const flood = 4 << 20
	if _, err := b.send(w, flood, "new_flow"); err != nil {
		return fmt.Errorf("fill the table: %w", err)
	}
	return nil
}
