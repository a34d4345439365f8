package packet

func (*Ethernet) name() string { return "eth" }
func (*VLAN) name() string     { return "vlan" }
func (*IPv4) name() string     { return "ipv4" }
func (*IPv6) name() string     { return "ipv6" }
func (*Fragment) name() string { return "fragment" }
func (*TCP) name() string      { return "tcp" }
func (*UDP) name() string      { return "udp" }
func (*Data) name() string     { return "data" }
func (*Padding) name() string  { return "padding" }
func (*Cut) name() string      { return "cut" }
func (*Patch) name() string    { return "patch" }

func (x *Extension) name() string {
	switch x.Kind {
	case Routing:
		return "routing"
	case DestinationOptions:
		return "destination-options"
	case Authentication:
		return "authentication"
	}
	return "hop-by-hop"
}

func (m *ICMP) name() string {
	if m.V6 {
		return "icmp6"
	}
	return "icmp"
}

// newLayer returns an empty layer by its name, or nil.
func newLayer(name string) Layer {
	switch name {
	case "eth":
		return &Ethernet{}
	case "vlan":
		return &VLAN{}
	case "ipv4":
		return &IPv4{}
	case "ipv6":
		return &IPv6{}
	case "hop-by-hop":
		return &Extension{Kind: HopByHop}
	case "routing":
		return &Extension{Kind: Routing}
	case "destination-options":
		return &Extension{Kind: DestinationOptions}
	case "authentication":
		return &Extension{Kind: Authentication}
	case "fragment":
		return &Fragment{}
	case "tcp":
		return &TCP{}
	case "udp":
		return &UDP{}
	case "icmp":
		return &ICMP{}
	case "icmp6":
		return &ICMP{V6: true}
	case "arp":
		return &ARP{}
	case "neighbour":
		return &Neighbour{}
	case "data":
		return &Data{}
	case "padding":
		return &Padding{}
	case "cut":
		return &Cut{}
	case "patch":
		return &Patch{}
	}
	return nil
}

func (e *Ethernet) autos() []*Auto  { return []*Auto{&e.Type} }
func (v *VLAN) autos() []*Auto      { return []*Auto{&v.Type} }
func (h *IPv4) autos() []*Auto      { return []*Auto{&h.Protocol, &h.Length, &h.Sum} }
func (h *IPv6) autos() []*Auto      { return []*Auto{&h.Next, &h.Length} }
func (x *Extension) autos() []*Auto { return []*Auto{&x.Next, &x.Length} }
func (x *Fragment) autos() []*Auto  { return []*Auto{&x.Next} }
func (t *TCP) autos() []*Auto       { return []*Auto{&t.Sum} }
func (u *UDP) autos() []*Auto       { return []*Auto{&u.Length, &u.Sum} }
func (m *ICMP) autos() []*Auto      { return []*Auto{&m.Sum} }
func (*Data) autos() []*Auto        { return nil }
func (*Padding) autos() []*Auto     { return nil }
func (*Cut) autos() []*Auto         { return nil }
func (*Patch) autos() []*Auto       { return nil }
