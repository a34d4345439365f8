package dptest

import (
	"encoding/binary"
	"net/netip"

	"github.com/headgate/headgate/loader"
	"github.com/headgate/headgate/pkg/packet"
)

// announcedKey is an address and the interface on whose network it is announced.
type announcedKey struct {
	addr    netip.Addr
	ifindex int
}

// Announce has a VIP answered for at an interface, or no more where mac is zero.
func (b *Bed) Announce(addr netip.Addr, ifindex int, mac packet.MAC) {
	key := loader.AnnouncedKey{Addr: addr16(addr), Ifindex: uint32(ifindex), Family: uint32(familyOf(addr))}
	if mac == (packet.MAC{}) {
		b.coll.Maps["announced"].Delete(key) // an error says that there was none
		return
	}
	b.update("announced", key, loader.Announcement{Mac: mac})
	if addr.Is6() {
		b.setOurs(packet.SolicitedNode(addr))
	}
}

// Announce is Bed.Announce.
func (m *Model) Announce(addr netip.Addr, ifindex int, mac packet.MAC) {
	if mac == (packet.MAC{}) {
		delete(m.announced, announcedKey{addr, ifindex})
		return
	}
	m.announced[announcedKey{addr, ifindex}] = mac
}

// answerARP decides about a frame of ARP.
func (m *Model) answerARP(ifindex int, frame []byte) Outcome {
	pass := Outcome{Pass, "not_ip", frame}
	b := frame[14:]
	if len(b) < 28 || string(b[:8]) != "\x00\x01\x08\x00\x06\x04\x00\x01" || b[8]&1 != 0 {
		return pass
	}
	asker, sender, target := packet.MAC(b[8:]), netip.AddrFrom4([4]byte(b[14:])), netip.AddrFrom4([4]byte(b[24:]))
	mac, ok := m.announced[announcedKey{target, ifindex}]
	if !ok || sender == target {
		return pass
	}
	return Outcome{Tx, "neighbour_answered", encode(
		&packet.Ethernet{Src: mac, Dst: asker},
		&packet.ARP{Operation: packet.ARPReply, SenderMAC: mac, Sender: target, TargetMAC: asker, Target: sender},
		&packet.Padding{Bytes: b[28:]},
	)}
}

// answerSolicitation decides about a neighbour solicitation.
func (m *Model) answerSolicitation(p *modelPacket) Outcome {
	pass := Outcome{Pass, "not_tcp_udp", p.frame}
	message := p.frame[p.l4 : 14+int(p.bytes)]
	if p.l4 != p.fixedHeader() || p.ttl != 255 || message[1] != 0 || len(message) < 24 || len(message) > 56 || len(message)%8 != 0 {
		return pass
	}
	// What wrongness leaves out of the pseudo header: the length and the protocol.
	if (wrongness(p.frame, p.checksumFields()[0])+len(message)+packet.ProtoICMPv6)%0xffff != 0 {
		return pass
	}
	target, src := netip.AddrFrom16([16]byte(message[8:])), p.tuple.Src.Addr()
	mac, ok := m.announced[announcedKey{target, p.ifindex}]
	if !ok || src == target {
		return pass
	}
	dst, dstMAC, flags := src, packet.MAC(p.frame[6:]), uint32(packet.NeighbourOverride|packet.NeighbourSolicited)
	if src.IsUnspecified() {
		dst, dstMAC, flags = packet.AllNodes, packet.MulticastMAC(packet.AllNodes), packet.NeighbourOverride
	}
	return Outcome{Tx, "neighbour_answered", encode(
		&packet.Ethernet{Src: mac, Dst: dstMAC},
		&packet.IPv6{Src: target, Dst: dst, HopLimit: 255},
		&packet.ICMP{V6: true, Type: packet.NeighbourAdvertisement, Rest: flags},
		&packet.Neighbour{Target: target, TargetMAC: mac},
	)}
}

func encode(layers ...packet.Layer) []byte {
	frame, err := packet.Packet(layers).Encode()
	if err != nil {
		panic(err)
	}
	return frame
}

// isARP says whether a frame is one of ARP.
func isARP(frame []byte) bool { return binary.BigEndian.Uint16(frame[12:]) == packet.TypeARP }
