package config

import (
	"net/netip"
	"regexp"

	"go.yaml.in/yaml/v3"

	"github.com/headgate/headgate/pkg/lb"
)

const (
	socketMost = 107 // bytes of a unix socket's path, sizeof(sun_path) − 1
	poolMost   = 256 // prefixes
)

var (
	regionName = regexp.MustCompile(`^[a-z0-9][a-z0-9-]{0,49}$`)
	domainName = regexp.MustCompile(`^([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)*[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$`)
)

// domainMost leaves room in a name of 253 bytes for an IPv6 address before the domain.
const domainMost = 200

// api reads where the daemon listens. What listens on TCP must be able to tell its clients from others.
func (d *decoder) api(n *yaml.Node, path string) {
	a := &d.file.API
	d.mapping(n, path, []field{
		{"socket", d.socket},
		{"listen", func(n *yaml.Node, path string) { d.listen(n, path, &a.Listen) }},
		{"token_file", func(n *yaml.Node, path string) { d.absolute(n, path, &a.TokenFile) }},
		{"tls_cert", func(n *yaml.Node, path string) { d.absolute(n, path, &a.TLSCert) }},
		{"tls_key", func(n *yaml.Node, path string) { d.absolute(n, path, &a.TLSKey) }},
	})
	needs := func(key, other, why string) {
		if v := lookup(n, key); v != nil && v.Value != "" && lookup(n, other) == nil {
			d.add(v, path+"."+key, "needs %s too: %s", other, why)
		}
	}
	needs("listen", "token_file", "whoever reaches the port would own the balancer")
	needs("tls_cert", "tls_key", "a certificate is nothing without its key")
	needs("tls_key", "tls_cert", "a key is nothing without its certificate")
}

func (d *decoder) socket(n *yaml.Node, path string) {
	var s string
	if !d.absolute(n, path, &s) {
		return
	}
	if len(s) > socketMost {
		d.add(n, path, "has %d characters: the path of a socket has at most %d", len(s), socketMost)
		return
	}
	d.file.API.Socket = s
}

// vipPool takes prefixes, and addresses as prefixes of one.
func (d *decoder) vipPool(n *yaml.Node, path string) {
	d.sequence(n, path, func(n *yaml.Node, path string) {
		s, ok := d.text(n, path)
		if !ok {
			return
		}
		p, err := netip.ParsePrefix(s)
		if a, wrong := netip.ParseAddr(s); wrong == nil && a.Zone() == "" {
			p, err = netip.PrefixFrom(a, a.BitLen()), nil
		}
		switch {
		case err != nil:
			d.add(n, path, "%q is neither a prefix such as 203.0.113.0/24 nor an address", s)
		case p != p.Masked():
			d.add(n, path, "%s names an address inside of the prefix: write %s, or %s for this address alone", s, p.Masked(), p.Addr())
		case p.Bits() == 0:
			d.add(n, path, "%s is every address there is: write those that are routed here", s)
		case !unicast(p):
			d.add(n, path, "%s", lb.AddressReason(p.Addr()))
		case len(d.file.VIPPool) == poolMost:
			d.add(n, path, "there may be at most %d prefixes", poolMost)
		default:
			for _, other := range d.file.VIPPool {
				if other.Overlaps(p) {
					d.add(n, path, "%s overlaps with %s", p, other)
					return
				}
			}
			d.file.VIPPool = append(d.file.VIPPool, p)
		}
	})
}

// unicast says that a prefix begins with an address that a VIP can be, or with the network of one.
func unicast(p netip.Prefix) bool { return lb.AddressReason(p.Addr()) == "" }

// matching takes a text of a certain form.
func (d *decoder) matching(n *yaml.Node, path string, form *regexp.Regexp, words string, to *string) {
	s, ok := d.text(n, path)
	switch {
	case !ok:
	case !form.MatchString(s) || len(s) > domainMost:
		d.add(n, path, "must be %s, not %q", words, s)
	default:
		*to = s
	}
}
