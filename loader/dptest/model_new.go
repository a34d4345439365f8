package dptest

import (
	"net/netip"
	"time"

	"github.com/headgate/headgate/pkg/packet"
)

const (
	natPortMin   = 1536
	natPortCount = 64000
	portTries    = 16

	handshakeTime = 2 * time.Second
)

// newFlow decides about a packet that no flow takes; admitted: one gave way that its client had opened.
func (m *Model) newFlow(p *modelPacket, admitted bool) Outcome {
	service := m.serviceOf(p.tuple)
	switch {
	case service == nil:
		return Outcome{Pass, "no_config", p.frame}
	case p.tcp() && !p.opens():
		return m.refuse(p, "flow_unknown")
	case p.ttl <= 1:
		return Outcome{Pass, "ttl_expired", p.frame}
	case service.Rate != 0 && !admitted && !m.mayOpen(service, p.tuple.Src.Addr()):
		return Outcome{Drop, "throttled", p.frame}
	}
	node, reason := m.nodeFor(service, p.tuple.Src.Addr())
	switch {
	case node == nil && (reason == "no_backend_dropped" || reason == "bad_service"):
		return Outcome{Drop, reason, p.frame}
	case node == nil:
		return m.refuse(p, reason)
	}
	source, found := m.choosePort(p, node)
	if !found {
		if service.TTL != 0 {
			m.DropStick(service.ID, p.tuple.Src.Addr())
		}
		return m.refuse(p, "no_port")
	}
	f := m.create(p, node, source)
	if f == nil {
		return m.refuse(p, "table_full")
	}
	return m.deliver(p, f, "new_flow")
}

// serviceOf is the service that is found at a tuple's destination, to which the packet then belongs.
func (m *Model) serviceOf(t Tuple) *modelService {
	service := m.services[Tuple{Proto: t.Proto, Dst: t.Dst}]
	m.Owner = Nobody
	if service != nil {
		m.Owner = int(service.ID)
	}
	return service
}

// choosePort goes round a node's source ports in growing steps: the first that is free, or whose flow has expired or
// was half-open for a while, or is half-open and the first that is tried; else the first whose flow is closing. A
// model has too few flows for all tries to fail.
func (m *Model) choosePort(p *modelPacket, node *Node) (source netip.AddrPort, found bool) {
	for i := range portTries {
		n := node.NextPort
		node.NextPort += 1 << i
		address := m.snats[uint32(node.SNATFirst)+uint32(n/natPortCount)%uint32(node.SNATCount)]
		candidate := netip.AddrPortFrom(address, uint16(natPortMin+n%natPortCount))
		holder := m.replies[Tuple{p.tuple.Proto, node.Address, candidate}]
		switch {
		case holder == nil || m.expired(holder) || holder.Class == HalfOpen && (i == 0 || m.now-holder.born >= handshakeTime):
			return candidate, true
		case holder.Class == Closing && !found:
			source, found = candidate, true
		}
	}
	return source, found
}

// create makes a flow in the place of those that have its keys; nil when there is no room.
func (m *Model) create(p *modelPacket, node *Node, source netip.AddrPort) *modelFlow {
	if was := m.flows[p.tuple]; was != nil {
		m.remove(was, "superseded")
	}
	out := Tuple{p.tuple.Proto, source, node.Address}
	if was := m.replies[out.reverse()]; was != nil {
		m.remove(was, map[bool]string{true: "port", false: "expired"}[was.Class == HalfOpen || was.Class == Closing])
	}
	if !m.makeRoom(p.tuple.Src.Addr().Is4()) {
		return nil
	}
	f := &modelFlow{
		Flow: Flow{In: p.tuple, Out: out, Node: node.ID, Class: HalfOpen},
		born: m.now, seenForward: m.now, seenReply: m.now,
	}
	if !p.tcp() {
		f.Class = UDP
	}
	if index, known := m.linkOf(p.ifindex); known {
		f.ReplyHop = Hop{Link: index, MAC: packet.MAC(p.frame[6:12]), Tags: p.tags.withoutDEI()}
	}
	m.flows[f.In], m.replies[f.Out.reverse()] = f, f
	return f
}

func (m *Model) linkOf(ifindex int) (uint16, bool) {
	for index, link := range m.links {
		if link.ifindex == ifindex {
			return index, true
		}
	}
	return 0, false
}

// refuse builds the answer to a packet that is refused.
func (m *Model) refuse(p *modelPacket, reason string) Outcome {
	quoted := map[bool]uint64{true: 68, false: 128}[p.tuple.Src.Addr().Is4()] // where the MTU is named
	switch tooBig := reason == "too_big"; {
	case p.tcp() && p.flags&packet.RST != 0, !p.fromAHost(),
		!p.tcp() && p.l4 != p.fixedHeader() && !tooBig, tooBig && p.bytes < quoted:
		return Outcome{Drop, "refuse_silent", p.frame}
	}
	answer := packet.Packet{&packet.Ethernet{Src: packet.MAC(p.frame), Dst: packet.MAC(p.frame[6:12])}}
	src, dst := p.tuple.Dst.Addr(), p.tuple.Src.Addr()
	if src.Is4() {
		answer = append(answer, &packet.IPv4{Src: src, Dst: dst, TTL: 64, DF: true})
	} else {
		answer = append(answer, &packet.IPv6{Src: src, Dst: dst, HopLimit: 64})
	}
	switch {
	case reason == "too_big":
		answer = append(answer, p.nameMTU()...)
	case p.tcp():
		answer = append(answer, p.reset())
	default:
		answer = append(answer, p.unreachable()...)
	}
	frame, err := answer.Encode()
	must(err)
	return Outcome{Tx, reason, frame}
}

// fromAHost says whether a packet came from one host, to this one.
func (p *modelPacket) fromAHost() bool {
	src := p.tuple.Src.Addr()
	if src.Is4() && (src.As4()[0] == 0 || src.As4()[0] == 127 || src.As4()[0] >= 224) {
		return false
	}
	return p.frame[0]&1 == 0 && !src.IsMulticast() && !src.IsUnspecified()
}

// reset is the RST that answers a segment (RFC 9293, 3.10.7.1).
func (p *modelPacket) reset() *packet.TCP {
	rst := &packet.TCP{Src: p.tuple.Dst.Port(), Dst: p.tuple.Src.Port(), Flags: packet.RST}
	if p.flags&packet.ACK != 0 {
		rst.Seq = p.ack
		return rst
	}
	rst.Flags |= packet.ACK
	rst.Ack = p.seq + uint32(p.payload)
	if p.flags&packet.SYN != 0 {
		rst.Ack++
	}
	if p.flags&packet.FIN != 0 {
		rst.Ack++
	}
	return rst
}

// unreachable is the ICMP error that answers a datagram; it quotes its IP and UDP headers.
func (p *modelPacket) unreachable() []packet.Layer {
	quoted := &packet.Data{Bytes: p.frame[14 : p.l4+8]}
	if p.tuple.Src.Addr().Is4() {
		return []packet.Layer{&packet.ICMP{Type: 3, Code: 3}, quoted}
	}
	return []packet.Layer{&packet.ICMP{V6: true, Type: 1, Code: 4}, quoted}
}
