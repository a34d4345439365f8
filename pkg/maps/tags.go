package maps

import (
	"encoding/binary"
	"fmt"
	"sync/atomic"
)

// Types of VLAN tags.
const (
	VLAN        = 0x8100 // IEEE 802.1Q
	ServiceVLAN = 0x88a8 // IEEE 802.1ad, the outer of two
)

// TagsMax is one more than the last entry of tags that is used, and TagsOfLink what a hop has in the place of an entry
// where its link has tags (TAGS_OF_LINK); from entry 1 on there are some.
const (
	TagsMax    = 255
	TagsOfLink = 255
)

// Tag is a VLAN tag. The zero Tag is none.
type Tag struct {
	Type     uint16 // VLAN or ServiceVLAN
	ID       uint16 // 12 bits
	Priority uint8  // 3 bits
}

// Tags are the VLAN tags of a frame, the outer one first. The zero Tags are none.
type Tags [2]Tag

// String gives ids, as in "7", "100.200", "7 priority 3".
func (t Tags) String() string {
	text := t[0].String()
	if t[1] != (Tag{}) {
		text += "." + t[1].String()
	}
	return text
}

// String gives the id, and what is not usual.
func (t Tag) String() string {
	text := fmt.Sprint(t.ID)
	if t.Priority != 0 {
		text += fmt.Sprintf(" priority %d", t.Priority)
	}
	return text
}

// Begin says whether a frame has the tags.
func (t Tags) Begin(frame []byte) bool {
	for i, tag := range t {
		if tag == (Tag{}) {
			continue
		}
		at := 12 + 4*i
		if len(frame) < at+4 || binary.BigEndian.Uint16(frame[at:]) != tag.Type || binary.BigEndian.Uint16(frame[at+2:])&0xfff != tag.ID {
			return false
		}
	}
	return true
}

// word is the tags as vlan_tags of bpf/abi.h: as they lie in a frame.
func (t Tags) word() uint64 {
	var b []byte
	for _, tag := range t {
		b = binary.BigEndian.AppendUint16(b, tag.Type)
		b = binary.BigEndian.AppendUint16(b, uint16(tag.Priority)<<13|tag.ID&0xfff)
	}
	return binary.NativeEndian.Uint64(b)
}

func decodeTags(word uint64) (t Tags) {
	b := binary.NativeEndian.AppendUint64(nil, word)
	for i := range t {
		control := binary.BigEndian.Uint16(b[4*i+2:])
		t[i] = Tag{Type: binary.BigEndian.Uint16(b[4*i:]), ID: control & 0xfff, Priority: uint8(control >> 13)}
	}
	return t
}

// retiredBit is the bit of an entry of tags that says that no new flow may use it (TAG_DEI): that of the outer tag.
var retiredBit = binary.NativeEndian.Uint64([]byte{2: 0x10, 7: 0})

func isRetired(word uint64) bool { return word&retiredBit != 0 }

func (s *store) ReadTags(index uint8) (t Tags, retired bool, err error) {
	e, err := at("tags", s.tags, uint32(index))
	if err != nil {
		return Tags{}, false, err
	}
	word := atomic.LoadUint64(e)
	return decodeTags(word), isRetired(word), nil
}

// Nothing but the program's claim of a free entry comes between: what is in use is changed here alone.

func (s *store) RetireTags(index uint8, retired bool) error {
	e, err := at("tags", s.tags, uint32(index))
	if err != nil {
		return err
	}
	word := atomic.LoadUint64(e) &^ retiredBit
	if word == 0 {
		return nil
	}
	if retired {
		word |= retiredBit
	}
	atomic.StoreUint64(e, word)
	return nil
}

func (s *store) FreeTags(index uint8) error {
	e, err := at("tags", s.tags, uint32(index))
	if err != nil {
		return err
	}
	atomic.StoreUint64(e, 0)
	return nil
}
