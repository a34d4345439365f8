package dptest

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/headgate/headgate/loader"
)

// Datagram is one of which fragments have come.
type Datagram struct {
	Src, Dst          netip.Addr
	ID                uint32
	Proto             uint8  // that fragments name; over IPv6 0
	Fate              string // of later fragments: follow, pass or end
	UpperProto        uint8
	SrcPort, DstPort  uint16
	NewID             uint32
	Done              uint16 // units of eight bytes that have passed from its beginning on
	Island, IslandEnd uint16 // and beyond a hole
	Total             uint16 // 0: the last fragment has not come
}

// String returns the datagram as stories show it.
func (d Datagram) String() string {
	text := fmt.Sprintf("%s > %s id %d later %s", d.Src, d.Dst, d.ID, d.Fate)
	if d.Fate == "follow" {
		text += fmt.Sprintf(" %d > %d as id %d done %d", d.SrcPort, d.DstPort, d.NewID, d.Done)
	}
	if d.IslandEnd != 0 {
		text += fmt.Sprintf(" island %d-%d", d.Island, d.IslandEnd)
	}
	if d.Total != 0 {
		text += fmt.Sprintf(" of %d", d.Total)
	}
	return text
}

var fates = map[uint8]string{1: "follow", 2: "pass", 3: "end"}

// Datagrams returns those that the program knows, sorted.
func (b *Bed) Datagrams() (datagrams []Datagram) {
	eachEntry(b, "fragments", func(key loader.FragmentKey, f loader.Fragment) {
		address, id := bytes16, func(raw uint32) uint32 { return binary.BigEndian.Uint32(bytes4(raw)) }
		if key.Family == 4 {
			address = func(v [4]uint32) []byte { return bytes4(v[0]) }
			id = func(raw uint32) uint32 { return uint32(be16(uint16(raw))) }
		}
		src, _ := netip.AddrFromSlice(address(key.Src))
		dst, _ := netip.AddrFromSlice(address(key.Dst))
		datagrams = append(datagrams, Datagram{
			Src: src, Dst: dst, ID: id(key.Id), Proto: key.Proto, Fate: fates[f.Fate], UpperProto: f.Proto,
			SrcPort: be16(f.Sport), DstPort: be16(f.Dport), NewID: id(f.Id),
			Done: f.Parts.Done, Island: f.Parts.Island, IslandEnd: f.Parts.IslandEnd, Total: f.Parts.Total,
		})
	})
	slices.SortFunc(datagrams, func(a, b Datagram) int { return strings.Compare(a.String(), b.String()) })
	return datagrams
}

// ageFragments makes the first fragment of each datagram so much older.
func (b *Bed) ageFragments(jiffies uint32) {
	eachEntry(b, "fragments", func(key loader.FragmentKey, f loader.Fragment) {
		f.First -= jiffies
		b.update("fragments", key, f)
	})
}
