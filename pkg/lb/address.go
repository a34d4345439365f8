package lb

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"
)

// AddressReason says in words why a can neither be a VIP nor a node nor an address to send from, or
// "" when it can.
func AddressReason(a netip.Addr) string {
	switch {
	case !a.IsValid():
		return "is required"
	case a.Is4In6():
		return fmt.Sprintf("%s is an IPv4 address in IPv6 clothes: write %s", a, a.Unmap())
	case a.Zone() != "":
		return fmt.Sprintf("%s names an interface: write an address without %%%s", a, a.Zone())
	case a.IsUnspecified():
		return fmt.Sprintf("%s is the unspecified address: write one that can be reached", a)
	case a.IsLoopback():
		return fmt.Sprintf("%s is a loopback address: packets to it never leave a host", a)
	case a.IsMulticast():
		return fmt.Sprintf("%s is a multicast address: write a unicast one", a)
	case a == netip.AddrFrom4([4]byte{255, 255, 255, 255}):
		return fmt.Sprintf("%s is the broadcast address: write a unicast one", a)
	case a.Is6() && a.IsLinkLocalUnicast():
		return fmt.Sprintf("%s is a link-local address, valid on one link only: write a global or unique-local one", a)
	}
	return ""
}

// ParseNodeAddress reads IP:PORT or [IPV6]:PORT. Host names are refused: what a name stands for may
// change at any time, and the data path must not depend on a resolver. Whether the address can be a
// node's is for Validate to say.
func ParseNodeAddress(s string) (netip.AddrPort, error) {
	ap, err := netip.ParseAddrPort(s)
	if err == nil {
		return ap, nil
	}
	const form = "write IP:PORT or [IPV6]:PORT"
	if a, err := netip.ParseAddr(strings.Trim(s, "[]")); err == nil {
		if a.Is6() {
			return netip.AddrPort{}, fmt.Errorf("%q has no port: write [%s]:PORT", s, a)
		}
		return netip.AddrPort{}, fmt.Errorf("%q has no port: write %s:PORT", s, a)
	}
	host, port, found := cutLast(s, ':')
	if s == "" {
		return netip.AddrPort{}, errors.New("is empty: " + form)
	}
	if !found {
		return netip.AddrPort{}, fmt.Errorf("%q is not an address with a port: %s", s, form)
	}
	if _, err := netip.ParseAddr(strings.Trim(host, "[]")); err == nil {
		if host[0] != '[' && strings.Contains(host, ":") {
			return netip.AddrPort{}, fmt.Errorf("%q: an IPv6 address with a port needs brackets: [%s]:%s", s, host, port)
		}
		return netip.AddrPort{}, fmt.Errorf("%q: the port must be a number from %d to %d", s, PortLimit.Min, PortLimit.Max)
	}
	if looksLikeHostName(host) {
		return netip.AddrPort{}, fmt.Errorf("%q: host names are not resolved: %s", s, form)
	}
	return netip.AddrPort{}, fmt.Errorf("%q is not an address with a port: %s", s, form)
}

func cutLast(s string, sep byte) (before, after string, found bool) {
	if i := strings.LastIndexByte(s, sep); i >= 0 {
		return s[:i], s[i+1:], true
	}
	return s, "", false
}

func looksLikeHostName(s string) bool {
	letter := false
	for _, r := range s {
		switch {
		case r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z':
			letter = true
		case r >= '0' && r <= '9' || r == '-' || r == '.' || r == '_':
		default:
			return false
		}
	}
	return letter
}
