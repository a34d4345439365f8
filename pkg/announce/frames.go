package announce

import (
	"net/netip"

	"github.com/headgate/headgate/pkg/packet"
)

var broadcast = packet.MAC{0xff, 0xff, 0xff, 0xff, 0xff, 0xff}

// probe asks whether anybody has the address, without saying that we want it (RFC 5227, 2.1.1; RFC 4862, 5.4.2).
func probe(a Address) packet.Packet {
	if a.Addr.Is4() {
		return packet.Packet{
			&packet.Ethernet{Src: a.MAC, Dst: broadcast},
			&packet.ARP{Operation: packet.ARPRequest, SenderMAC: a.MAC, Sender: netip.IPv4Unspecified(), Target: a.Addr},
		}
	}
	group := packet.SolicitedNode(a.Addr)
	return packet.Packet{
		&packet.Ethernet{Src: a.MAC, Dst: packet.MulticastMAC(group)},
		&packet.IPv6{Src: netip.IPv6Unspecified(), Dst: group, HopLimit: 255},
		&packet.ICMP{V6: true, Type: packet.NeighbourSolicitation},
		&packet.Neighbour{Target: a.Addr},
	}
}

// announcement says that the address is here, to all (RFC 5227, 2.3; RFC 4861, 7.2.6).
func announcement(a Address) packet.Packet {
	if a.Addr.Is4() {
		return packet.Packet{
			&packet.Ethernet{Src: a.MAC, Dst: broadcast},
			&packet.ARP{Operation: packet.ARPRequest, SenderMAC: a.MAC, Sender: a.Addr, Target: a.Addr},
		}
	}
	return packet.Packet{
		&packet.Ethernet{Src: a.MAC, Dst: packet.MulticastMAC(packet.AllNodes)},
		&packet.IPv6{Src: a.Addr, Dst: packet.AllNodes, HopLimit: 255},
		&packet.ICMP{V6: true, Type: packet.NeighbourAdvertisement, Rest: packet.NeighbourOverride},
		&packet.Neighbour{Target: a.Addr, TargetMAC: a.MAC},
	}
}

// claimIn is what a frame says about an address.
type claimIn struct {
	addr  netip.Addr
	mac   packet.MAC
	probe bool // the sender only asks whether it is free
}

// read finds out what a frame says; false: nothing about who has an address.
func read(frame []byte) (claimIn, bool) {
	p := packet.Decode(frame)
	eth := packet.Find[*packet.Ethernet](p)
	if arp := packet.Find[*packet.ARP](p); arp != nil {
		switch {
		case !arp.Sender.IsUnspecified():
			return claimIn{addr: arp.Sender, mac: arp.SenderMAC}, true
		case arp.Operation == packet.ARPRequest:
			return claimIn{addr: arp.Target, mac: arp.SenderMAC, probe: true}, true
		}
		return claimIn{}, false
	}
	ip, icmp, nd := packet.Find[*packet.IPv6](p), packet.Find[*packet.ICMP](p), packet.Find[*packet.Neighbour](p)
	// Found without its checksum: with it the message is as it was sent.
	if ip == nil || icmp == nil || nd == nil || eth == nil || ip.HopLimit != 255 || icmp.Sum.Given {
		return claimIn{}, false
	}
	if icmp.Type == packet.NeighbourAdvertisement {
		mac := nd.TargetMAC
		if mac == (packet.MAC{}) {
			mac = eth.Src
		}
		return claimIn{addr: nd.Target, mac: mac}, true
	}
	if ip.Src.IsUnspecified() {
		return claimIn{addr: nd.Target, mac: eth.Src, probe: true}, true
	}
	return claimIn{addr: ip.Src, mac: eth.Src}, true
}
