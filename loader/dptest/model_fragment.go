package dptest

import (
	"encoding/binary"
	"net/netip"
	"slices"
	"time"
)

// fragmentsIdle is how long a fragment may come after the first.
const fragmentsIdle = 10 * time.Second

// modelPart is what a fragment says of itself, in units of eight bytes.
type modelPart struct {
	at         int // offset of the IPv6 fragment header, or of what follows the IPv4 header
	next       uint8
	start, end int
	id         uint32
	last       bool
	sound      bool // a receiver could take it
}

// datagramKey is what fragments of one datagram have in common.
type datagramKey struct {
	src, dst netip.Addr
	id       uint32
	proto    uint8 // 0 over IPv6
}

// modelDatagram is what is known of a datagram after its first fragment.
type modelDatagram struct {
	fate     string // follow, pass or end
	tuple    Tuple
	node     uint32
	id       uint32
	first    time.Duration
	passed   [][2]int // parts: from the beginning, and one beyond a hole
	complete bool     // the last has passed
	total    int
}

func newPart(start, bytes int, last bool) modelPart {
	end := start + (bytes+7)/8
	return modelPart{start: start, end: end, last: last, sound: bytes > 0 && end <= 8192 && (last || bytes%8 == 0)}
}

// partOf4 and partOf6 read a fragment; p.bytes is known.
func (p *modelPacket) partOf4(header int) *modelPart {
	word := binary.BigEndian.Uint16(p.frame[14+6:])
	part := newPart(int(word&0x1fff), int(p.bytes)-header, word&0x2000 == 0)
	part.at, part.next, part.id = 14+header, p.frame[14+9], uint32(binary.BigEndian.Uint16(p.frame[14+4:]))
	return &part
}

func (p *modelPacket) partOf6(header int) *modelPart {
	b := p.frame[14+header:]
	word := binary.BigEndian.Uint16(b[2:])
	part := newPart(int(word>>3), int(p.bytes)-header-8, word&1 == 0)
	part.at, part.next, part.id = 14+header, b[0], binary.BigEndian.Uint32(b[4:])
	return &part
}

func (p *modelPacket) datagram() datagramKey {
	key := datagramKey{src: p.src, dst: p.dst, id: p.part.id}
	if p.src.Is4() {
		key.proto = p.part.next
	}
	return key
}

// parseFirst reads the transport header of a first fragment.
func (p *modelPacket) parseFirst() (reason string) {
	next, l4 := p.part.next, p.part.at
	if p.src.Is6() {
		if next, l4, reason = skipExtensions(p.frame, l4+8, next); reason != "" {
			return reason
		}
	}
	if next == controlProtocol(p.src) {
		return "not_tcp_udp" // nobody sees the whole
	}
	return p.parseTransport(next, l4)
}

// fragment decides about a fragment.
func (m *Model) fragment(p *modelPacket) Outcome {
	if p.part.start != 0 {
		return m.later(p)
	}
	reason := p.parseFirst()
	outcome := Outcome{Pass, reason, p.frame}
	if reason == "" {
		outcome = m.ordinary(p)
	}
	return m.noteFirst(p, outcome)
}

// noteFirst keeps what becomes of the fragments that follow, and gives those of a flow an id.
func (m *Model) noteFirst(p *modelPacket, o Outcome) Outcome {
	if !p.part.sound || p.part.last {
		return o
	}
	d := &modelDatagram{fate: "end", tuple: p.tuple, first: m.now, passed: [][2]int{{0, p.part.end}, {0, 0}}}
	switch {
	case o.Reason == "reset_client": // a packet of its own
		if p.src.Is4() {
			o.Frame[14+6] &^= 0x20
		} else {
			o.Frame[p.part.at+3] &^= 1
		}
	case slices.Contains([]string{"new_flow", "forwarded", "replied", "hop_unresolved", "left_to_fragment"}, o.Reason):
		d.fate = "follow"
		d.node, d.id = m.nodeOfFlow(p.tuple), m.newID(p.src.Is4())
		p.writeID(o.Frame, d.id)
	case o.Verdict == Pass:
		d.fate = "pass"
		if !m.isVIP(p.dst) {
			return o
		}
	}
	m.datagrams[p.datagram()] = d
	return o
}

func (m *Model) nodeOfFlow(t Tuple) uint32 {
	if f := m.flows[t]; f != nil {
		return f.Node
	}
	if f := m.replies[t]; f != nil {
		return f.Node
	}
	return 0
}

// later decides about a fragment that is not the first.
func (m *Model) later(p *modelPacket) Outcome {
	d := m.datagrams[p.datagram()]
	pass := func(reason string) Outcome { return Outcome{Pass, reason, p.frame} }
	drop := func(reason string) Outcome { return Outcome{Drop, reason, p.frame} }
	switch {
	case !p.part.sound:
		return pass("truncated")
	case (d == nil || m.now-d.first > fragmentsIdle) && m.isVIP(p.dst):
		return drop("fragment_early")
	case d == nil || m.now-d.first > fragmentsIdle || d.fate == "pass":
		return pass("fragment")
	case d.fate == "end" || m.nodeOfFlow(d.tuple) != d.node:
		m.serviceOf(d.tuple)
		return drop("fragment_lost")
	case p.ttl <= 1:
		return pass("ttl_expired")
	case !d.add(p.part):
		m.ownedBy(d.node)
		return drop("fragment_overlap")
	}
	return m.follow1st(p, d)
}

// follow1st sends a later fragment the way of its datagram's flow.
func (m *Model) follow1st(p *modelPacket, d *modelDatagram) Outcome {
	f, to, hop, traffic := m.flows[d.tuple], Tuple{}, Hop{}, (*Traffic)(nil)
	if f != nil {
		to, hop, traffic = f.Out, m.nodes[f.Node].Hop, &f.Forward
	} else {
		f = m.replies[d.tuple]
		to, hop, traffic = f.In.reverse(), f.ReplyHop, &f.Reply
	}
	m.ownedBy(f.Node)
	if !m.fits(p, hop) {
		return Outcome{Drop, "fragment_lost", p.frame}
	}
	if traffic == &f.Forward {
		f.seenForward = m.now
	} else {
		f.seenReply = m.now
	}
	traffic.Packets++
	traffic.Bytes += p.bytes
	out := p.readdressed(to)
	p.writeID(out, d.id)
	return m.leave(p, out, hop, "fragment_followed")
}

// add notes that a part passes, unless some of it has passed or it lies beyond the end.
func (d *modelDatagram) add(part *modelPart) bool {
	whole, island := &d.passed[0], &d.passed[1]
	overlaps := func(r *[2]int) bool { return part.start < r[1] && part.end > r[0] }
	beyond := d.complete && part.end > d.total
	secondEnd := part.last && (d.complete || island[1] > part.end)
	if overlaps(whole) || overlaps(island) || beyond || secondEnd {
		return false
	}
	if part.last {
		d.complete, d.total = true, part.end
	}
	switch {
	case part.start == whole[1]:
		whole[1] = part.end
		if island[0] == whole[1] && island[1] != 0 {
			whole[1] = island[1]
			*island = [2]int{}
		}
	case island[1] == 0:
		*island = [2]int{part.start, part.end}
	case part.start == island[1]:
		island[1] = part.end
	case part.end == island[0]:
		island[0] = part.start
	}
	return true
}

// newID is the id of the next datagram that is sent on.
func (m *Model) newID(v4 bool) uint32 {
	x := m.datagramCount
	m.datagramCount++
	mask, half := uint32(0xffffffff), 16
	if v4 {
		mask, half = 0xffff, 8
	}
	x = (x ^ 0x7f4a7c15) & mask // the low halves of a Bed's secrets
	x = (x ^ x>>half) * 0x1ce4e5b9 & mask
	x = (x ^ x>>(half-1)) * 0x133111eb & mask
	return x ^ x>>half
}

// writeID gives a frame of p another id.
func (p *modelPacket) writeID(out []byte, id uint32) {
	if p.src.Is4() {
		binary.NativeEndian.PutUint16(out[14+4:], uint16(id))
		return
	}
	binary.NativeEndian.PutUint32(out[p.part.at+4:], id)
}
