package packet

import (
	"fmt"
	"net/netip"
	"strings"
)

// Summary is a packet in one line for people: what it is, from where to where, and what an ICMP error is about.
func Summary(p Packet) string {
	s, about := summarize(p)
	if frame, err := p.Encode(); err == nil {
		s.details = append(s.details, fmt.Sprintf("%d bytes", len(frame)))
	}
	return strings.Join(append([]string{s.subject()}, s.details...), ", ") + about
}

// Gist is the shortest that can be said: TCP SYN 198.51.100.7:40000 > 203.0.113.10:80. It does not take the whole packet.
func Gist(p Packet) string {
	s, about := summarize(p)
	if s.src == "" {
		return s.what
	}
	return fmt.Sprintf("%s %s > %s%s", s.what, s.src, s.dst, about)
}

func summarize(p Packet) (s summary, about string) {
	s.what = "frame"
	if e := Find[*Ethernet](p); e != nil {
		s.src, s.dst = e.Src.String(), e.Dst.String()
	}
	for i, layer := range p {
		if _, isError := layer.(*ICMP); isError && i+1 < len(p) && isIP(p[i+1]) {
			s.take(layer)
			quoted := summary{what: "a packet"}
			for _, layer := range p[i+1:] {
				quoted.take(layer)
			}
			about = ", about " + quoted.subject()
			break
		}
		s.take(layer)
	}
	return s, about
}

func isIP(l Layer) bool {
	switch l.(type) {
	case *IPv4, *IPv6:
		return true
	}
	return false
}

// summary is what is worth saying of the layers seen so far.
type summary struct {
	what, src, dst string
	details        []string
	from, to       netip.Addr
}

func (s *summary) subject() string {
	if s.src == "" {
		return s.what
	}
	return fmt.Sprintf("%s from %s to %s", s.what, s.src, s.dst)
}

func (s *summary) detail(format string, args ...any) {
	s.details = append(s.details, fmt.Sprintf(format, args...))
}

func (s *summary) between(from, to netip.Addr) {
	s.from, s.to = from, to
	s.src, s.dst = from.String(), to.String()
}

func (s *summary) ports(src, dst uint16) {
	if s.from.IsValid() {
		s.src, s.dst = netip.AddrPortFrom(s.from, src).String(), netip.AddrPortFrom(s.to, dst).String()
	}
}

func (s *summary) take(layer Layer) {
	switch l := layer.(type) {
	case *VLAN:
		s.detail("VLAN %d", l.ID)
	case *IPv4:
		s.what = "IPv4 packet"
		s.between(l.Src, l.Dst)
		s.detail("TTL %d", l.TTL)
		if l.MF || l.Offset > 0 {
			s.detail("fragment at %d of id %d", int(l.Offset)*8, l.ID)
		}
	case *IPv6:
		s.what = "IPv6 packet"
		s.between(l.Src, l.Dst)
		s.detail("hop limit %d", l.HopLimit)
	case *Fragment:
		s.detail("fragment at %d of id %d", int(l.Offset)*8, l.ID)
	case *TCP:
		s.what = "TCP " + spelled(l.Flags)
		s.ports(l.Src, l.Dst)
	case *UDP:
		s.what = "UDP"
		s.ports(l.Src, l.Dst)
	case *ICMP:
		s.what = "ICMP " + icmpName(l.V6, l.Type)
		if icmpName(l.V6, l.Type) == "" {
			s.what = fmt.Sprintf("ICMP type %d", l.Type)
		}
		if l.Code != 0 {
			s.what += fmt.Sprintf(" code %d", l.Code)
		}
	}
}

var flagNames = []string{"FIN", "SYN", "RST", "PSH", "ACK", "URG", "ECE", "CWR"}

// spelled gives the flags by their names: SYN,ACK.
func spelled(f Flags) string {
	var names []string
	for i, name := range flagNames {
		if f&(1<<i) != 0 {
			names = append(names, name)
		}
	}
	if names == nil {
		return "without flags"
	}
	return strings.Join(names, ",")
}
