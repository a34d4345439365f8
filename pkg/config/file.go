package config

import (
	"math/bits"
	"net/netip"
	"path/filepath"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/headgate/headgate/pkg/lb"
)

const (
	interfaceMost = 15  // bytes of an interface's name, IFNAMSIZ − 1
	snatMost      = 256 // addresses, as many as the kernel table holds
)

// flowsLimit is how many entries a flow table may have; the largest takes 4.5 GiB for IPv4 and 8.5 GiB
// for IPv6.
var flowsLimit = lb.Limit{Min: 1 << 10, Max: 1 << 26}

// clientsLimit is how many entries a table of clients may have; the largest takes 1.7 GiB.
var clientsLimit = lb.Limit{Min: 1 << 10, Max: 1 << 24}

// fileFields are the keys at the top of the file.
func (d *decoder) fileFields() []field {
	f := d.file
	return []field{
		{"interfaces", d.interfaces},
		{"xdp_mode", func(n *yaml.Node, path string) {
			if s, ok := d.word(n, path, XDPAuto, XDPNative, XDPGeneric); ok {
				f.XDPMode = s
			}
		}},
		{"snat", d.snat},
		{"vip_pool", d.vipPool},
		{"region", func(n *yaml.Node, path string) {
			d.matching(n, path, regionName, "lower-case letters, digits and -, up to 50", &f.Region)
		}},
		{"domain", func(n *yaml.Node, path string) {
			d.matching(n, path, domainName, "a domain such as lb.example.com", &f.Domain)
		}},
		{"state_dir", func(n *yaml.Node, path string) { d.absolute(n, path, &f.StateDir) }},
		{"bpffs", func(n *yaml.Node, path string) { d.absolute(n, path, &f.BPFFS) }},
		{"flow_table", func(n *yaml.Node, path string) {
			d.mapping(n, path, []field{
				{"v4", func(n *yaml.Node, path string) { d.flows(n, path, &f.FlowTable.V4) }},
				{"v6", func(n *yaml.Node, path string) { d.flows(n, path, &f.FlowTable.V6) }},
			})
		}},
		{"sticky_table", func(n *yaml.Node, path string) { d.entries(n, path, clientsLimit, &f.StickyTable) }},
		{"throttle_table", func(n *yaml.Node, path string) { d.entries(n, path, clientsLimit, &f.ThrottleTable) }},
		{"api", d.api},
		{"metrics", func(n *yaml.Node, path string) {
			d.mapping(n, path, []field{{"listen", func(n *yaml.Node, path string) { d.listen(n, path, &f.Metrics.Listen) }}})
		}},
		{"balancers", func(n *yaml.Node, path string) { d.sequence(n, path, d.balancer) }},
	}
}

func (d *decoder) interfaces(n *yaml.Node, path string) {
	d.sequence(n, path, func(n *yaml.Node, path string) {
		name, ok := d.text(n, path)
		switch {
		case !ok:
		case len(name) > interfaceMost:
			d.add(n, path, "%q is too long for the name of an interface: at most %d characters", name, interfaceMost)
		case name == "." || name == ".." || strings.ContainsAny(name, "/: \t\n\v\f\r"):
			d.add(n, path, "%q cannot be the name of an interface", name)
		case slices.Contains(d.file.Interfaces, name):
			d.add(n, path, "%s is listed twice", name)
		default:
			d.file.Interfaces = append(d.file.Interfaces, name)
		}
	})
}

func (d *decoder) snat(n *yaml.Node, path string) {
	d.sequence(n, path, func(n *yaml.Node, path string) {
		a, ok := d.address(n, path)
		if !ok {
			return
		}
		reason := lb.AddressReason(a)
		switch {
		case reason != "":
			d.add(n, path, "%s", reason)
		case slices.Contains(d.file.SNAT, a):
			d.add(n, path, "%s is listed twice", a)
		case len(d.file.SNAT) == snatMost:
			d.add(n, path, "there may be at most %d addresses", snatMost)
		default:
			d.file.SNAT = append(d.file.SNAT, a)
		}
	})
}

// absolute takes an absolute path and cleans it.
func (d *decoder) absolute(n *yaml.Node, path string, to *string) bool {
	s, ok := d.text(n, path)
	switch {
	case !ok:
		return false
	case strings.ContainsRune(s, 0):
		d.add(n, path, "%q cannot be a path", s)
		return false
	case !filepath.IsAbs(s):
		d.add(n, path, "%q must be an absolute path, beginning with /", s)
		return false
	}
	*to = filepath.Clean(s)
	return true
}

// listen takes where to listen: IP:PORT, :PORT for all of the host's addresses, or "" for nowhere.
func (d *decoder) listen(n *yaml.Node, path string, to *string) {
	if n.Kind == yaml.ScalarNode && n.ShortTag() == "!!str" && n.Value == "" {
		*to = ""
		return
	}
	s, ok := d.text(n, path)
	if !ok {
		return
	}
	address := s
	if strings.HasPrefix(s, ":") {
		address = "0.0.0.0" + s
	}
	if a, err := netip.ParseAddrPort(address); err != nil || a.Port() == 0 {
		d.add(n, path, "%q must be IP:PORT, or :PORT for all addresses of this host, or \"\" for nowhere", s)
		return
	}
	*to = s
}

// flows takes a number of entries and rounds it up to the next power of two.
func (d *decoder) flows(n *yaml.Node, path string, to *uint32) {
	if d.entries(n, path, flowsLimit, to) {
		*to = 1 << bits.Len32(*to-1)
	}
}

// entries takes a number of entries inside limit.
func (d *decoder) entries(n *yaml.Node, path string, limit lb.Limit, to *uint32) bool {
	text, ok := d.scalar(n, path, lb.Number, limit.Must())
	if !ok {
		return false
	}
	v, err := lb.ParseNumber(text, limit)
	if err != nil {
		d.add(n, path, "%s", err)
		return false
	}
	*to = uint32(v)
	return true
}
