package packet

import (
	"encoding/hex"
	"fmt"
	"net"
	"strconv"
	"strings"
)

// Format returns the text form of a frame: a line for each layer, each ended by a newline.
func Format(frame []byte) string { return Decode(frame).String() }

// String returns the packet's text form: a line for each layer, each ended by a newline.
func (p Packet) String() string {
	var b strings.Builder
	for _, layer := range p {
		b.WriteString(strings.TrimRight(layer.name()+" "+layer.text(), " "))
		b.WriteByte('\n')
	}
	return b.String()
}

// String returns the address as six pairs of hexadecimal digits.
func (m MAC) String() string { return net.HardwareAddr(m[:]).String() }

const flagLetters = "FSRPAUEC"

// String returns a letter for each flag set, of FSRPAUEC; "-" for none.
func (f Flags) String() string {
	if f == 0 {
		return "-"
	}
	var b strings.Builder
	for i := range len(flagLetters) {
		if f&(1<<i) != 0 {
			b.WriteByte(flagLetters[i])
		}
	}
	return b.String()
}

// words collects the words of a line.
type words []string

func (w *words) add(format string, args ...any) { *w = append(*w, fmt.Sprintf(format, args...)) }

// set adds a field that is left out when it is zero.
func (w *words) set(name string, value uint32) {
	if value != 0 {
		w.add("%s %d", name, value)
	}
}

func (w *words) flag(name string, set bool) {
	if set {
		w.add("%s", name)
	}
}

func (w *words) hex(name string, value []byte) {
	if len(value) != 0 {
		w.add("%s 0x%x", name, value)
	}
}

// auto adds a field that is left out when encoding works it out.
func (w *words) auto(name, format string, field Auto) {
	if field.Given {
		w.add("%s "+format, name, field.Value)
	}
}

func (w words) String() string { return strings.Join(w, " ") }

func (e *Ethernet) text() string {
	var w words
	w.add("%s > %s", e.Src, e.Dst)
	w.auto("type", "%#04x", e.Type)
	return w.String()
}

func (v *VLAN) text() string {
	var w words
	w.add("%d", v.ID)
	w.set("priority", uint32(v.Priority))
	w.flag("dei", v.DEI)
	w.auto("type", "%#04x", v.Type)
	return w.String()
}

func (h *IPv4) text() string {
	var w words
	w.add("%s > %s ttl %d", h.Src, h.Dst, h.TTL)
	w.set("tos", uint32(h.TOS))
	w.set("id", uint32(h.ID))
	w.flag("evil", h.Evil)
	w.flag("df", h.DF)
	w.flag("mf", h.MF)
	w.set("offset", uint32(h.Offset))
	w.hex("options", h.Options)
	w.auto("protocol", "%d", h.Protocol)
	w.auto("length", "%d", h.Length)
	w.auto("sum", "%#04x", h.Sum)
	return w.String()
}

func (h *IPv6) text() string {
	var w words
	w.add("%s > %s hop %d", h.Src, h.Dst, h.HopLimit)
	w.set("class", uint32(h.Class))
	w.set("flow", h.Flow)
	w.auto("next", "%d", h.Next)
	w.auto("length", "%d", h.Length)
	return w.String()
}

func (x *Extension) text() string {
	var w words
	w.hex("bytes", x.Data)
	w.auto("next", "%d", x.Next)
	w.auto("length", "%d", x.Length)
	return w.String()
}

func (x *Fragment) text() string {
	var w words
	w.add("id %d", x.ID)
	w.set("offset", uint32(x.Offset))
	w.flag("more", x.More)
	w.set("reserved", uint32(x.Reserved))
	w.auto("next", "%d", x.Next)
	return w.String()
}

func (t *TCP) text() string {
	var w words
	w.add("%d > %d %s seq %d", t.Src, t.Dst, t.Flags, t.Seq)
	w.set("ack", t.Ack)
	w.set("win", uint32(t.Window))
	w.set("urgent", uint32(t.Urgent))
	w.set("reserved", uint32(t.Reserved))
	w.hex("options", t.Options)
	w.auto("sum", "%#04x", t.Sum)
	return w.String()
}

func (u *UDP) text() string {
	var w words
	w.add("%d > %d", u.Src, u.Dst)
	w.auto("length", "%d", u.Length)
	w.auto("sum", "%#04x", u.Sum)
	return w.String()
}

func (m *ICMP) text() string {
	var w words
	if name := icmpName(m.V6, m.Type); name != "" {
		w.add("%s", name)
	} else {
		w.add("type %d", m.Type)
	}
	w.set("code", uint32(m.Code))
	if m.Rest != 0 {
		w.add("rest %#08x", m.Rest)
	}
	w.auto("sum", "%#04x", m.Sum)
	return w.String()
}

func (d *Data) text() string    { return formatBytes(d.Bytes) }
func (d *Padding) text() string { return formatBytes(d.Bytes) }
func (c *Cut) text() string     { return strconv.Itoa(c.Length) }
func (c *Patch) text() string   { return fmt.Sprintf("%d %s", c.Offset, formatBytes(c.Bytes)) }

// formatBytes writes bytes as a quoted string, as a repeated byte (40*00) or as 0x and digits.
func formatBytes(b []byte) string {
	if len(b) >= 4 && strings.Count(string(b), string(b[:1])) == len(b) {
		return fmt.Sprintf("%d*%02x", len(b), b[0])
	}
	for _, c := range b {
		if c < ' ' || c > '~' {
			return "0x" + hex.EncodeToString(b)
		}
	}
	return strconv.Quote(string(b))
}

var icmpNames = [2]map[uint8]string{
	{0: "echo-reply", 3: "unreachable", 5: "redirect", 8: "echo", 11: "time-exceeded", 12: "parameter-problem"},
	{
		1: "unreachable", 2: "too-big", 3: "time-exceeded", 4: "parameter-problem", 128: "echo", 129: "echo-reply",
		133: "router-solicitation", 134: "router-advertisement", 135: "neighbour-solicitation", 136: "neighbour-advertisement",
	},
}

func icmpName(v6 bool, kind uint8) string { return icmpNames[family(v6)][kind] }

func family(v6 bool) int {
	if v6 {
		return 1
	}
	return 0
}
