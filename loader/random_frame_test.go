package loader_test

import (
	"net/netip"

	"github.com/headgate/headgate/loader/dptest"
	"github.com/headgate/headgate/pkg/packet"
)

// frame makes a random frame: mostly of a client or of a node that answers, sometimes damaged.
func (w *world) frame() []byte {
	tuple, flow := w.tuple()
	switch w.rnd.IntN(16) {
	case 0, 1:
		return w.damage(w.report(tuple))
	case 2:
		return w.damage(w.question())
	}
	p := packet.Packet{&packet.Ethernet{Src: packet.MAC{2, 0, 0, 0, 2, byte(w.rnd.IntN(2))}, Dst: packet.MAC{2, 0, 0, 0, 0, 2}}}
	p = append(p, w.network(tuple)...)
	p = append(p, w.transport(tuple, flow)...)
	if n := w.rnd.IntN(20); n < 12 {
		p = append(p, &packet.Data{Bytes: make([]byte, n)})
	}
	if w.rnd.IntN(10) == 0 {
		p = append(p, &packet.Padding{Bytes: make([]byte, 1+w.rnd.IntN(30))})
	}
	frame, err := p.Encode()
	if err != nil {
		w.t.Fatalf("random packet: %v\n%s", err, p)
	}
	return w.damage(frame)
}

// tuple is that of a client to a service, of a node that answers, or of nobody; flow is that of the
// first two if there is one.
func (w *world) tuple() (dptest.Tuple, *dptest.Flow) {
	flows := w.model.Flows()
	if len(flows) > 0 && w.rnd.IntN(2) == 0 {
		flow := flows[w.rnd.IntN(len(flows))]
		if w.rnd.IntN(2) == 0 {
			return flow.In, &flow
		}
		return dptest.Tuple{Proto: flow.In.Proto, Src: flow.Out.Dst, Dst: flow.Out.Src}, &flow
	}
	service := pick(w.rnd, w.services)
	t := dptest.Tuple{
		Proto: service.Proto, Src: netip.AddrPortFrom(pick(w.rnd, clientsOf(service)), uint16(40000+w.rnd.IntN(4))), Dst: service.VIP,
	}
	switch w.rnd.IntN(20) {
	case 0:
		t.Dst = netip.AddrPortFrom(t.Dst.Addr(), 81)
	case 1:
		t.Dst = netip.AddrPortFrom(t.Dst.Addr().Next(), 80)
	case 2:
		for _, addr := range snats {
			if addr.Is4() == t.Dst.Addr().Is4() {
				t.Dst = netip.AddrPortFrom(addr, uint16(1536+w.rnd.IntN(4)))
			}
		}
	}
	return t, nil
}

func clientsOf(s dptest.Service) []netip.Addr {
	if s.VIP.Addr().Is6() {
		return clients6
	}
	return clients4
}

func (w *world) network(t dptest.Tuple) []packet.Layer {
	ttl := pick(w.rnd, []uint8{64, 64, 64, 64, 64, 64, 255, 2, 1, 0})
	if t.Src.Addr().Is4() {
		ip := &packet.IPv4{Src: t.Src.Addr(), Dst: t.Dst.Addr(), TTL: ttl, TOS: uint8(w.rnd.IntN(256)), ID: uint16(w.rnd.Uint32())}
		ip.DF = w.rnd.IntN(2) == 0
		switch w.rnd.IntN(20) {
		case 0, 1:
			ip.Options = make([]byte, 4*w.rnd.IntN(11))
		case 2:
			ip.MF = true
		}
		return []packet.Layer{ip}
	}
	layers := []packet.Layer{&packet.IPv6{Src: t.Src.Addr(), Dst: t.Dst.Addr(), HopLimit: ttl, Flow: w.rnd.Uint32() & 0xfffff}}
	for w.rnd.IntN(6) == 0 {
		kind := pick(w.rnd, []uint8{packet.HopByHop, packet.DestinationOptions, packet.DestinationOptions})
		pad := 4 + 8*w.rnd.IntN(10)
		layers = append(layers, &packet.Extension{Kind: kind, Data: append([]byte{1, byte(pad)}, make([]byte, pad)...)})
	}
	if w.rnd.IntN(30) == 0 {
		layers = append(layers, &packet.Fragment{ID: 7, More: true})
	}
	return layers
}

func (w *world) transport(t dptest.Tuple, flow *dptest.Flow) []packet.Layer {
	if w.rnd.IntN(40) == 0 {
		echo := &packet.ICMP{V6: t.Src.Addr().Is6(), Type: 8, Rest: w.rnd.Uint32()}
		if echo.V6 {
			echo.Type = 128
		}
		return []packet.Layer{echo}
	}
	if t.Proto == packet.ProtoUDP {
		udp := &packet.UDP{Src: t.Src.Port(), Dst: t.Dst.Port()}
		if t.Src.Addr().Is4() && w.rnd.IntN(5) == 0 {
			udp.Sum = packet.Give(0)
		}
		return []packet.Layer{udp}
	}
	const S, A, F, R, P = packet.SYN, packet.ACK, packet.FIN, packet.RST, packet.PSH
	tcp := &packet.TCP{Src: t.Src.Port(), Dst: t.Dst.Port(), Seq: w.rnd.Uint32(), Ack: w.rnd.Uint32(), Window: 502}
	tcp.Flags = pick(w.rnd, []packet.Flags{S, S, S, S, S | A, A, A, P | A, F | A, F, R, R | A, 0, S | F, S | R})
	if flow != nil {
		fromNode := t.Src == flow.Out.Dst
		if fromNode && w.rnd.IntN(2) == 0 {
			tcp.Flags = S | A
		}
		if !fromNode && flow.SynAck && w.rnd.IntN(2) == 0 {
			tcp.Flags, tcp.Ack = A, flow.ExpectAck+pick(w.rnd, []uint32{0, 0, 0, 1, 1<<20 - 1, 1 << 20, ^uint32(0)})
		}
	}
	if w.rnd.IntN(4) == 0 {
		tcp.Options = make([]byte, 4*w.rnd.IntN(11))
	}
	return []packet.Layer{tcp}
}

// report is an ICMP error about a packet of the other direction than tuple's, quoted as far as chance will have it.
func (w *world) report(tuple dptest.Tuple) []byte {
	v6 := tuple.Src.Addr().Is6()
	about := dptest.Tuple{Proto: tuple.Proto, Src: tuple.Dst, Dst: tuple.Src}
	quoted := append(w.network(about), w.transport(about, nil)...)
	quote, err := append(packet.Packet{&packet.Ethernet{}}, append(quoted, &packet.Data{Bytes: make([]byte, w.rnd.IntN(20))})...).Encode()
	if err != nil {
		w.t.Fatalf("random quote: %v\n%s", err, packet.Packet(quoted))
	}
	quote = quote[14:]
	if w.rnd.IntN(2) == 0 {
		quote = quote[:w.rnd.IntN(len(quote)+1)]
	}
	message := pick(w.rnd, icmpErrors[v6])
	if w.rnd.IntN(10) == 0 {
		message.Type = uint8(w.rnd.Uint32())
	}
	to := tuple
	if w.rnd.IntN(10) == 0 {
		to, _ = w.tuple()
	}
	if to.Src.Addr().Is6() != v6 {
		to = tuple
	}
	to.Src = netip.AddrPortFrom(routerOf(v6), 0)
	p := append(packet.Packet{&packet.Ethernet{Src: packet.MAC{2, 0, 0, 0, 2, 1}, Dst: packet.MAC{2, 0, 0, 0, 0, 2}}}, w.network(to)...)
	frame, err := append(p, &message, &packet.Data{Bytes: quote}).Encode()
	if err != nil {
		w.t.Fatalf("random error: %v\n%s", err, p)
	}
	return frame
}

// damage leaves most frames whole; it flips bits of some headers and cuts some short.
func (w *world) damage(frame []byte) []byte {
	switch w.rnd.IntN(12) {
	case 0:
		for range 1 + w.rnd.IntN(2) {
			frame[w.rnd.IntN(min(len(frame), 90))] ^= 1 << w.rnd.IntN(8)
		}
	case 1:
		frame = frame[:14+w.rnd.IntN(len(frame)-13)]
	}
	return frame
}

// question asks for the MAC of a VIP that is announced, or of one that is not.
func (w *world) question() []byte {
	asker := packet.MAC{2, 0, 0, 0, 2, byte(w.rnd.IntN(2))}
	p := packet.Packet{&packet.Ethernet{Src: asker, Dst: pick(w.rnd, []packet.MAC{{255, 255, 255, 255, 255, 255}, {2, 0, 0, 0, 0, 2}})}}
	vip := pick(w.rnd, w.services).VIP.Addr()
	if w.rnd.IntN(8) == 0 {
		vip = vip.Next()
	}
	from := pick(w.rnd, clientsOf(dptest.Service{VIP: netip.AddrPortFrom(vip, 80)}))
	switch w.rnd.IntN(6) {
	case 0:
		from = vip
	case 1:
		from = netip.IPv4Unspecified()
		if vip.Is6() {
			from = netip.IPv6Unspecified()
		}
	}
	if vip.Is4() {
		p = append(p, &packet.ARP{Operation: pick(w.rnd, []uint16{1, 1, 1, 2, 9}), Sender: from, SenderMAC: asker, Target: vip}, &packet.Padding{Bytes: make([]byte, w.rnd.IntN(20))})
	} else {
		to := pick(w.rnd, []netip.Addr{vip, packet.SolicitedNode(vip)})
		nd := &packet.Neighbour{Target: vip, Options: make([]byte, 8*w.rnd.IntN(6))}
		p = append(p, &packet.IPv6{Src: from, Dst: to, HopLimit: pick(w.rnd, []uint8{255, 255, 255, 64})},
			&packet.ICMP{V6: true, Type: packet.NeighbourSolicitation, Code: pick(w.rnd, []uint8{0, 0, 0, 1})}, nd)
	}
	frame, err := p.Encode()
	if err != nil {
		w.t.Fatalf("random question: %v\n%s", err, p)
	}
	return frame
}
