package packet

import "strconv"

func (e *Ethernet) parse(f *fields) {
	e.Src = f.mac()
	f.want(">")
	e.Dst = f.mac()
	f.each(func(name string) bool {
		if name == "type" {
			e.Type = f.auto()
		}
		return name == "type"
	})
}

func (v *VLAN) parse(f *fields) {
	v.ID = uint16(f.uint(12))
	f.each(func(name string) bool {
		switch name {
		case "priority":
			v.Priority = uint8(f.uint(3))
		case "dei":
			v.DEI = true
		case "type":
			v.Type = f.auto()
		default:
			return false
		}
		return true
	})
}

func (h *IPv4) parse(f *fields) {
	h.Src = f.addr()
	f.want(">")
	h.Dst = f.addr()
	h.TTL = 64
	f.each(func(name string) bool {
		switch name {
		case "ttl":
			h.TTL = uint8(f.uint(8))
		case "tos":
			h.TOS = uint8(f.uint(8))
		case "id":
			h.ID = f.uint16()
		case "evil":
			h.Evil = true
		case "df":
			h.DF = true
		case "mf":
			h.MF = true
		case "offset":
			h.Offset = uint16(f.uint(13))
		case "options":
			h.Options = f.bytes()
		case "protocol":
			h.Protocol = Give(uint16(f.uint(8)))
		case "length":
			h.Length = f.auto()
		case "sum":
			h.Sum = f.auto()
		default:
			return false
		}
		return true
	})
}

func (h *IPv6) parse(f *fields) {
	h.Src = f.addr()
	f.want(">")
	h.Dst = f.addr()
	h.HopLimit = 64
	f.each(func(name string) bool {
		switch name {
		case "hop":
			h.HopLimit = uint8(f.uint(8))
		case "class":
			h.Class = uint8(f.uint(8))
		case "flow":
			h.Flow = uint32(f.uint(20))
		case "next":
			h.Next = Give(uint16(f.uint(8)))
		case "length":
			h.Length = f.auto()
		default:
			return false
		}
		return true
	})
}

func (x *Extension) parse(f *fields) {
	f.each(func(name string) bool {
		switch name {
		case "bytes":
			x.Data = f.bytes()
		case "next":
			x.Next = Give(uint16(f.uint(8)))
		case "length":
			x.Length = Give(uint16(f.uint(8)))
		default:
			return false
		}
		return true
	})
}

func (x *Fragment) parse(f *fields) {
	f.each(func(name string) bool {
		switch name {
		case "id":
			x.ID = uint32(f.uint(32))
		case "offset":
			x.Offset = uint16(f.uint(13))
		case "more":
			x.More = true
		case "reserved":
			x.Reserved = uint16(f.uint(10))
		case "next":
			x.Next = Give(uint16(f.uint(8)))
		default:
			return false
		}
		return true
	})
}

func (t *TCP) parse(f *fields) {
	t.Src = f.uint16()
	f.want(">")
	t.Dst = f.uint16()
	t.Flags = f.tcpFlags()
	f.each(func(name string) bool {
		switch name {
		case "seq":
			t.Seq = uint32(f.uint(32))
		case "ack":
			t.Ack = uint32(f.uint(32))
		case "win":
			t.Window = f.uint16()
		case "urgent":
			t.Urgent = f.uint16()
		case "reserved":
			t.Reserved = uint8(f.uint(4))
		case "options":
			t.Options = f.bytes()
		case "sum":
			t.Sum = f.auto()
		default:
			return false
		}
		return true
	})
}

func (u *UDP) parse(f *fields) {
	u.Src = f.uint16()
	f.want(">")
	u.Dst = f.uint16()
	f.each(func(name string) bool {
		switch name {
		case "length":
			u.Length = f.auto()
		case "sum":
			u.Sum = f.auto()
		default:
			return false
		}
		return true
	})
}

func (m *ICMP) parse(f *fields) {
	m.Type = f.icmpType(m.V6)
	f.each(func(name string) bool {
		switch name {
		case "code":
			m.Code = uint8(f.uint(8))
		case "rest":
			m.Rest = uint32(f.uint(32))
		case "sum":
			m.Sum = f.auto()
		default:
			return false
		}
		return true
	})
}

// icmpType reads a message's name, or type and its number.
func (f *fields) icmpType(v6 bool) uint8 {
	word := f.word()
	if word == "type" {
		return uint8(f.uint(8))
	}
	for kind, name := range icmpNames[family(v6)] {
		if name == word {
			return kind
		}
	}
	f.fail("unknown ICMP message %s: use type and its number", strconv.Quote(word))
	return 0
}

func (d *Data) parse(f *fields)    { d.Bytes = f.bytes() }
func (d *Padding) parse(f *fields) { d.Bytes = f.bytes() }
func (c *Cut) parse(f *fields)     { c.Length = int(f.uint(17)) }

func (c *Patch) parse(f *fields) {
	c.Offset = int(f.uint(17))
	c.Bytes = f.bytes()
}
