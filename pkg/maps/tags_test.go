package maps

import (
	"encoding/binary"
	"testing"
)

func TestTagsLieAsInAFrame(t *testing.T) {
	for _, c := range []struct {
		tags Tags
		text string
		want []byte
	}{
		{Tags{}, "0", []byte{0, 0, 0, 0, 0, 0, 0, 0}},
		{Tags{{Type: VLAN, ID: 7}}, "7", []byte{0x81, 0, 0, 7, 0, 0, 0, 0}},
		{Tags{{Type: VLAN, ID: 0, Priority: 5}}, "0 priority 5", []byte{0x81, 0, 0xa0, 0, 0, 0, 0, 0}},
		{Tags{{Type: ServiceVLAN, ID: 4094, Priority: 1}, {Type: VLAN, ID: 0x123}}, "4094 priority 1.291", []byte{0x88, 0xa8, 0x2f, 0xfe, 0x81, 0, 0x01, 0x23}},
	} {
		word := binary.NativeEndian.Uint64(c.want)
		if c.tags.word() != word || decodeTags(word) != c.tags {
			t.Errorf("%s: %016x and back %+v, want %016x and %+v", c.text, c.tags.word(), decodeTags(word), word, c.tags)
		}
		if frame := append(make([]byte, 12), c.want...); !c.tags.Begin(frame) || c.tags != (Tags{}) && c.tags.Begin(frame[:15]) {
			t.Errorf("%s: not found in a frame, or in one that is cut short", c.text)
		}
		if c.tags.String() != c.text {
			t.Errorf("%+v is %q in words, want %q", c.tags, c.tags, c.text)
		}
	}
}

func TestEntriesOfTagsAreRetiredAndFreed(t *testing.T) {
	f := NewFake(FakeSizes{})
	want := Tags{{Type: VLAN, ID: 7, Priority: 3}}
	f.ClaimTags(9, want)
	for _, step := range []struct {
		do      func() error
		tags    Tags
		retired bool
	}{
		{func() error { return nil }, want, false},
		{func() error { return f.RetireTags(9, true) }, want, true},
		{func() error { return f.RetireTags(9, false) }, want, false},
		{func() error { return f.FreeTags(9) }, Tags{}, false},
		{func() error { return f.RetireTags(9, true) }, Tags{}, false}, // nothing there to retire
	} {
		if err := step.do(); err != nil {
			t.Fatal(err)
		}
		if got, retired, err := f.ReadTags(9); got != step.tags || retired != step.retired || err != nil {
			t.Errorf("%v, retired %v, %v; want %v, %v", got, retired, err, step.tags, step.retired)
		}
	}
}

// A VLAN interface is written and read back; its frames leave by its parent.
func TestLinkOfAVLAN(t *testing.T) {
	f := NewFake(FakeSizes{})
	want := Link{IfIndex: 9, MAC: [6]byte{2, 9}, MTU: 1496, Parent: 3, Tags: Tags{{Type: ServiceVLAN, ID: 100}, {Type: VLAN, ID: 200}}}
	if err := f.WriteLink(9, want); err != nil {
		t.Fatal(err)
	}
	if got, err := f.ReadLink(9); got != want || err != nil {
		t.Errorf("read %+v, %v; want %+v", got, err, want)
	}
	if port, err := f.txPort(9); port != 3 || err != nil {
		t.Errorf("frames leave by interface %d, %v; want 3", port, err)
	}
	f.links[9].Parent = 0 // as a release wrote it that had no such field
	if got, err := f.ReadLink(9); !got.Stale || err != nil {
		t.Errorf("read %+v, %v; want it stale", got, err)
	}
	if err := f.WriteLink(9, want); err != nil || f.links[9].Parent != 3 {
		t.Errorf("wrote parent %d, %v; want 3", f.links[9].Parent, err)
	}
	f.LosePort(9)
	if got, err := f.ReadLink(9); !got.Stale || err != nil {
		t.Errorf("read %+v, %v; want it stale", got, err)
	}
	want = Link{IfIndex: 9, MAC: [6]byte{2, 9}, MTU: 1500}
	if err := f.WriteLink(9, want); err != nil {
		t.Fatal(err)
	}
	if got, err := f.ReadLink(9); got != want || err != nil {
		t.Errorf("without tags: read %+v, %v; want %+v", got, err, want)
	}
}
