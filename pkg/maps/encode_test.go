package maps

import (
	"bytes"
	"encoding/binary"
	"net/netip"
	"testing"
	"time"
	"unsafe"

	"pgregory.net/rapid"

	"github.com/headgate/headgate/pkg/lb"
)

func bytesOf[T any](v *T) []byte {
	return unsafe.Slice((*byte)(unsafe.Pointer(v)), unsafe.Sizeof(*v))
}

func TestVIPKeyLiesAsOnTheWire(t *testing.T) {
	for _, c := range []struct {
		vip  VIP
		want []byte
	}{
		{VIP{netip.MustParseAddr("203.0.113.10"), 443, lb.TCP},
			[]byte{203, 0, 113, 10, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 187, 6, 4}},
		{VIP{netip.MustParseAddr("2001:db8::10"), 53, lb.UDP},
			[]byte{0x20, 1, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x10, 0, 53, 17, 6}},
	} {
		key := encodeVIP(c.vip)
		if got := bytesOf(&key); !bytes.Equal(got, c.want) {
			t.Errorf("%s: % x, want % x", c.vip, got, c.want)
		}
		if got := decodeVIP(key); got != c.vip {
			t.Errorf("%s comes back as %s", c.vip, got)
		}
	}
}

func TestHopLiesAsOnTheWire(t *testing.T) {
	h := Hop{Link: 0x34, Tags: 0x12, MAC: [6]byte{2, 1, 2, 3, 4, 5}}
	w := encodeHop(h)
	if w != 0x1234_050403020102 {
		t.Errorf("word %#x", w)
	}
	if got := decodeHop(w); got != h {
		t.Errorf("%s comes back as %s", h, got)
	}
	if (Hop{}).Resolved() || encodeHop(Hop{}) != 0 {
		t.Error("no hop is not 0")
	}
}

func TestServiceWordComesBack(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := ServiceWord{
			Offset: rapid.Uint32().Draw(t, "offset"),
			Length: rapid.Uint32Range(0, serviceLengthMask).Draw(t, "length"),
			Drop:   rapid.Bool().Draw(t, "drop"),

			Algorithm: Algorithm(rapid.Uint8Range(0, 3).Draw(t, "algorithm")),
			Limited:   rapid.Bool().Draw(t, "limited"),
			Stick:     rapid.Bool().Draw(t, "stick"), Throttle: rapid.Bool().Draw(t, "throttle"),
		}
		if got := decodeServiceWord(encodeServiceWord(w)); got != w {
			t.Fatalf("%+v comes back as %+v", w, got)
		}
	})
	if got := encodeServiceWord(ServiceWord{Offset: 7, Length: 10, Drop: true}); got != 1<<56|10<<32|7 {
		t.Errorf("word %#x", got)
	}
}

func TestTimesComeBackRoundedUp(t *testing.T) {
	m := &memory{meta: fakeMeta()} // 4 ms a jiffy
	for d, want := range map[time.Duration]uint32{
		0: 0, 1: 1, 4 * time.Millisecond: 1, 4*time.Millisecond + 1: 2, time.Hour: 900_000, 1 << 62: 1<<31 - 1, -1: 0,
	} {
		if got := m.jiffies(d); got != want {
			t.Errorf("%s: %d jiffies, want %d", d, got, want)
		}
	}
	if got := m.duration(900_000); got != time.Hour {
		t.Errorf("%s, want 1h", got)
	}
}

func TestJiffiesRunOnPastTheirEnd(t *testing.T) {
	meta := fakeMeta()
	meta.Jiffies, meta.MonotonicNs = 1<<32-10, 5e9
	if got := jiffiesAt(&meta, 5e9+40e6+80e6); got != 20 {
		t.Errorf("jiffies %d, want 20", got)
	}
	m := &memory{meta: meta}
	if got := m.since(1<<32-10, 15); got != 100*time.Millisecond {
		t.Errorf("%s ago, want 100ms", got)
	}
	if got := m.since(16, 15); got != 0 {
		t.Errorf("the future was %s ago, want 0", got)
	}
}

func TestOursBitIsTheProgramsHash(t *testing.T) {
	for _, a := range []string{"203.0.113.10", "0.0.0.1", "2001:db8::10", "::1"} {
		b := netip.MustParseAddr(a).AsSlice()
		var x uint64
		if len(b) == 4 {
			x = uint64(binary.LittleEndian.Uint32(b))
		} else {
			x = binary.LittleEndian.Uint64(b) ^ binary.LittleEndian.Uint64(b[8:])
		}
		bit := int(x * 0x9E3779B97F4A7C15 >> 48)
		if w, i := OursBit(netip.MustParseAddr(a)); w != bit>>6 || int(i) != bit&63 {
			t.Errorf("%s: word %d bit %d, want %d and %d", a, w, i, bit>>6, bit&63)
		}
	}
}

func TestLabelsAreCutNotSpilled(t *testing.T) {
	long := "0123456789abcdef0123456789abcdef+more"
	if got := uncut(cut(long)); got != long[:32] {
		t.Errorf("%q", got)
	}
	if got := uncut(cut("web")); got != "web" {
		t.Errorf("%q", got)
	}
}
