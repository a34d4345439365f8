package lab

import (
	"fmt"
	"net/netip"
)

// Star is the network of the demo and of most tests: a client, a balancer and nodes, each on a link
// and in subnets of its own with the balancer. The VIPs belong to no interface; the client reaches
// them, and all else, by the balancer.
//
//	client ─ client│balancer│node1 ─ node 1
//	                        │node2 ─ node 2 …
type Star struct {
	Lab      *Lab
	Client   *Namespace
	Balancer *Namespace
	Nodes    []*Namespace
	VIP4     netip.Addr
	VIP6     netip.Addr
}

// NewStar makes the network with up to 200 nodes, ready for native XDP on all of the balancer's
// interfaces. Neighbours are not resolved, and the balancer's kernel does not forward.
func NewStar(l *Lab, nodes int) (*Star, error) {
	s := &Star{Lab: l, VIP4: netip.MustParseAddr("203.0.113.10"), VIP6: netip.MustParseAddr("2001:db8::10")}
	var err error
	if s.Balancer, err = l.Namespace("balancer"); err != nil {
		return nil, err
	}
	if s.Client, err = s.leaf("client", "client", 0); err != nil {
		return nil, err
	}
	// A load generator on one address needs all the ports that there are, again and again.
	for key, value := range map[string]string{"ip_local_port_range": "1024 65535", "tcp_tw_reuse": "1"} {
		if err := s.Client.Sysctl("net/ipv4/"+key, value); err != nil {
			return nil, err
		}
	}
	for i := 1; i <= nodes; i++ {
		name := fmt.Sprintf("node%d", i)
		ns, err := s.leaf(name, name, i)
		if err != nil {
			return nil, err
		}
		s.Nodes = append(s.Nodes, ns)
	}
	return s, nil
}

// leaf makes a namespace on subnet i whose default route is the balancer.
func (s *Star) leaf(name, ifname string, i int) (*Namespace, error) {
	ns, err := s.Lab.Namespace(name)
	if err != nil {
		return nil, err
	}
	here := Port{Namespace: ns, Name: "eth0", Addresses: []netip.Prefix{subnet4(i, 2), subnet6(i, 2)}}
	there := Port{Namespace: s.Balancer, Name: ifname, Addresses: []netip.Prefix{subnet4(i, 1), subnet6(i, 1)}}
	if err := s.Lab.Connect(here, there); err != nil {
		return nil, err
	}
	if err := ns.PrepareForXDP("eth0"); err != nil {
		return nil, err
	}
	for _, r := range []struct{ dst, via string }{{"0.0.0.0/0", subnet4(i, 1).Addr().String()}, {"::/0", subnet6(i, 1).Addr().String()}} {
		if err := ns.AddRoute(netip.MustParsePrefix(r.dst), netip.MustParseAddr(r.via), "eth0"); err != nil {
			return nil, err
		}
	}
	return ns, nil
}

// AddClients gives the client n more addresses of each family, and returns them, those of one family
// after the other's. They are on the link to the balancer.
func (s *Star) AddClients(n int) (v4, v6 []netip.Addr, err error) {
	for i := range n {
		for _, p := range []netip.Prefix{subnet4(0, 10+i), subnet6(0, 10+i)} {
			if err := s.Client.AddAddress("eth0", p); err != nil {
				return nil, nil, err
			}
		}
		v4, v6 = append(v4, subnet4(0, 10+i).Addr()), append(v6, subnet6(0, 10+i).Addr())
	}
	return v4, v6, nil
}

// Interfaces names all of the balancer's: the client's side first.
func (s *Star) Interfaces() []string {
	names := []string{"client"}
	for _, n := range s.Nodes {
		names = append(names, n.Name())
	}
	return names
}

// ClientAddr is the client's IPv4 or IPv6 address.
func (s *Star) ClientAddr(family int) netip.Addr { return leafAddr(0, family) }

// NodeAddr is the IPv4 or IPv6 address of node i, from 1.
func (s *Star) NodeAddr(i, family int) netip.Addr { return leafAddr(i, family) }

// BalancerAddr is the balancer's own address on the link to node i, or to the client for 0.
func (s *Star) BalancerAddr(i, family int) netip.Addr {
	if family == 6 {
		return subnet6(i, 1).Addr()
	}
	return subnet4(i, 1).Addr()
}

// VIP is the IPv4 or IPv6 virtual address.
func (s *Star) VIP(family int) netip.Addr {
	if family == 6 {
		return s.VIP6
	}
	return s.VIP4
}

func leafAddr(i, family int) netip.Addr {
	if family == 6 {
		return subnet6(i, 2).Addr()
	}
	return subnet4(i, 2).Addr()
}

func subnet4(i, host int) netip.Prefix {
	return netip.PrefixFrom(netip.AddrFrom4([4]byte{10, 77, byte(i), byte(host)}), 24)
}

func subnet6(i, host int) netip.Prefix {
	return netip.PrefixFrom(netip.AddrFrom16([16]byte{0: 0xfd, 1: 0x77, 7: byte(i), 15: byte(host)}), 64)
}
