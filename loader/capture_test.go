package loader_test

import (
	"bytes"
	"fmt"
	"net/netip"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/headgate/headgate/loader"
	"github.com/headgate/headgate/loader/dptest"
	"github.com/headgate/headgate/pkg/packet"
)

// everything is a capture of all packets, at full length.
var everything = loader.CaptureOptions{Snap: loader.SnapMax, Sample: 1, Rate: 1 << 20}

// capturing runs frames through the program that captures. What it captured must be what came and what left.
func capturing(t *testing.T) dptest.Way {
	captures := map[*dptest.Bed]*dptest.Capture{}
	return func(b *dptest.Bed, ifindex int, frame []byte) (dptest.Verdict, []byte) {
		t.Helper()
		c := captures[b]
		if c == nil {
			c = b.Capture(t, everything)
			captures[b] = c
		}
		before := b.Reasons()
		verdict, out, seen := c.Run(ifindex, frame)
		if reason := b.Reasons().Moved(before); seen == nil || loader.ReasonNames()[seen.Reason] != reason ||
			dptest.Verdict(seen.Verdict) != verdict || seen.IfIndex != ifindex || seen.Left.At.Before(seen.Came.At) ||
			!sameFrame(seen.Came, frame) || !sameFrame(seen.Left, out) {
			t.Errorf("%s %s of\n%sis captured as %+v", verdict, reason, packet.Format(frame), seen)
		}
		return verdict, out
	}
}

// sameFrame says whether a frame was captured, or its beginning if it is long.
func sameFrame(f loader.CapturedFrame, frame []byte) bool {
	return f.Length == len(frame) && bytes.Equal(f.Data, frame[:min(len(frame), loader.SnapMax)])
}

// passage is a packet that a capture may be asked for.
type passage struct {
	text    string
	ifindex int
	reason  string
	node    uint32
	service uint32
}

// someTraffic are packets of all services of fill, in an order in which they make sense.
func someTraffic() (all []passage) {
	none := uint32(loader.NoService)
	for _, f := range []struct {
		ip, client, other, vip, snat, node, icmp string
		tcp, udp                                 uint32 // node and service
	}{
		{"ipv4", "198.51.100.7", "198.51.100.200", vip4, snat4, node4, "icmp", 1, 2},
		{"ipv6", "2001:db8:c::7", "2001:db8:c:1::7", vip6, snat6, node6, "icmp6", 3, 4},
	} {
		there, back := router+f.ip+" "+f.client+" > "+f.vip, backend+f.ip+" "+f.node+" > "+f.snat
		tooBig := map[string]string{"icmp": "icmp unreachable code 4 rest 1280", "icmp6": "icmp6 too-big rest 1280"}[f.icmp]
		all = append(all,
			passage{there + "\ntcp 4000 > 80 S seq 1", dptest.Front, "new_flow", f.tcp, f.tcp},
			passage{back + "\ntcp 8080 > 1536 SA seq 9 ack 2", dptest.Back, "replied", f.tcp, f.tcp},
			passage{there + "\ntcp 4000 > 80 A seq 2 ack 10\ndata 900*61", dptest.Front, "forwarded", f.tcp, f.tcp},
			passage{there + "\nudp 4000 > 53", dptest.Front, "new_flow", f.udp, f.udp},
			passage{router + f.ip + " " + f.other + " > " + f.vip + "\nudp 4000 > 53", dptest.Front, "new_flow", f.udp, f.udp},
			passage{there + "\ntcp 4001 > 80 A seq 2 ack 10", dptest.Front, "flow_unknown", 0, f.tcp},
			passage{there + "\ntcp 4000 > 81 S seq 1", dptest.Front, "no_config", 0, none},
			passage{there + "\n" + map[string]string{"icmp": "icmp echo", "icmp6": "icmp6 echo"}[f.icmp], dptest.Front, "echo_answered", 0, none},
			passage{there + "\n" + tooBig + "\n" + f.ip + " " + f.vip + " > " + f.client + "\ntcp 80 > 4000 A seq 9 ack 2", dptest.Front, "icmp_translated", f.tcp, f.tcp},
			passage{router + f.ip + " " + f.client + " > " + f.other + "\ntcp 4000 > 80 S", dptest.Front, "not_ours", 0, none},
		)
	}
	return append(all, passage{"eth 02:00:00:00:02:01 > 02:00:00:00:00:02 type 0x88cc", dptest.Front, "not_ip", 0, none})
}

// seenOf runs the traffic, and gives those of it that were captured, by their place in it.
func seenOf(t *testing.T, bed *dptest.Bed, spec loader.CaptureOptions) (all []passage, seen map[int]*loader.CapturedPacket) {
	t.Helper()
	fill(bed)
	c, all, seen := bed.Capture(t, spec), someTraffic(), map[int]*loader.CapturedPacket{}
	for i, s := range all {
		before := bed.Reasons()
		_, _, p := c.Run(s.ifindex, packet.MustEncode(s.text))
		if reason := bed.Reasons().Moved(before); reason != s.reason {
			t.Fatalf("%s of\n%s", reason, s.text)
		}
		if p != nil {
			seen[i] = p
		}
	}
	return all, seen
}

// TestCaptureSaysWhosePacketsAre: flows and what is about them, new flows that were refused, and what is nobody's.
func TestCaptureSaysWhosePacketsAre(t *testing.T) {
	all, seen := seenOf(t, dptest.Open(t, dptest.Options{}), everything)
	for i, s := range all {
		p := seen[i]
		if p == nil {
			t.Errorf("not captured:\n%s", s.text)
		} else if loader.ReasonNames()[p.Reason] != s.reason || p.Node != s.node || p.Service != s.service {
			t.Errorf("%s, node %d, service %d; want %s, %d, %d of\n%s", loader.ReasonNames()[p.Reason], p.Node, p.Service, s.reason, s.node, s.service, s.text)
		}
	}
}

// TestCaptureTakesWhatIsAskedForOnly compares each filter with what its words mean.
func TestCaptureTakesWhatIsAskedForOnly(t *testing.T) {
	reasons := func(names ...string) (out []int) {
		for _, n := range names {
			out = append(out, slices.Index(loader.ReasonNames(), n))
		}
		return out
	}
	with := func(change func(*loader.CaptureOptions)) loader.CaptureOptions {
		spec := everything
		change(&spec)
		return spec
	}
	client := func(prefix string) loader.CaptureOptions {
		return with(func(s *loader.CaptureOptions) { s.Client = netip.MustParsePrefix(prefix) })
	}
	has := func(words ...string) func(passage) bool {
		return func(s passage) bool {
			return slices.ContainsFunc(words, func(w string) bool { return bytes.Contains([]byte(s.text), []byte(w)) })
		}
	}
	bed := dptest.Open(t, dptest.Options{})
	for name, c := range map[string]struct {
		spec loader.CaptureOptions
		want func(passage) bool
	}{
		"reasons":        {with(func(s *loader.CaptureOptions) { s.Reasons = reasons("replied", "flow_unknown") }), func(s passage) bool { return s.reason == "replied" || s.reason == "flow_unknown" }},
		"nodes":          {with(func(s *loader.CaptureOptions) { s.Nodes = []uint32{1, 4} }), func(s passage) bool { return s.node == 1 || s.node == 4 }},
		"services":       {with(func(s *loader.CaptureOptions) { s.Services = []uint32{3} }), func(s passage) bool { return s.service == 3 }},
		"client":         {client("198.51.100.7/32"), has("ipv4 198.51.100.7 >", "ipv4 "+node4)},
		"client prefix":  {client("198.51.100.128/25"), has("ipv4 198.51.100.200 >")},
		"all of IPv6":    {client("::/0"), has("ipv6")},
		"client, IPv6":   {client("2001:db8:c::/64"), has("ipv6 2001:db8:c::7 >", "ipv6 "+node6)},
		"all of it":      {with(func(s *loader.CaptureOptions) { s.Nodes, s.Reasons = []uint32{1}, reasons("forwarded") }), func(s passage) bool { return s.node == 1 && s.reason == "forwarded" }},
		"nobody's node":  {with(func(s *loader.CaptureOptions) { s.Nodes = []uint32{9} }), func(passage) bool { return false }},
		"nobody's place": {client("192.0.2.99/32"), func(passage) bool { return false }},
	} {
		t.Run(name, func(t *testing.T) {
			all, seen := seenOf(t, bed, c.spec)
			for i, s := range all {
				if _, taken := seen[i]; taken != c.want(s) {
					t.Errorf("taken: %v\n%s", taken, s.text)
				}
			}
		})
	}
}

// TestCaptureKeepsNoMoreThanItsSnap and says how long the frame was.
func TestCaptureKeepsNoMoreThanItsSnap(t *testing.T) {
	spec := everything
	spec.Snap = 100
	all, seen := seenOf(t, dptest.Open(t, dptest.Options{}), spec)
	for i, s := range all {
		frame := packet.MustEncode(s.text)
		if p := seen[i]; p == nil || p.Came.Length != len(frame) || !bytes.Equal(p.Came.Data, frame[:min(len(frame), 100)]) || len(p.Left.Data) > 100 {
			t.Errorf("%d bytes captured as %+v", len(frame), p)
		}
	}
}

// TestCaptureIsSampledAndLimited: one in so many at random, no more than the rate, and no more than the ring holds.
func TestCaptureIsSampledAndLimited(t *testing.T) {
	bed := dptest.Open(t, dptest.Options{})
	fill(bed)
	frame := packet.MustEncode(router + "ipv4 198.51.100.7 > " + vip4 + "\nudp 4000 > 53")
	run := func(spec loader.CaptureOptions, n int) (taken int, loss loader.CaptureLoss) {
		t.Helper()
		c := bed.Capture(t, spec)
		for range n {
			if _, _, p := c.Run(dptest.Front, frame); p != nil {
				taken++
			}
		}
		loss, err := c.Loss()
		if err != nil {
			t.Fatal(err)
		}
		return taken, loss
	}
	sampled := everything
	sampled.Sample = 10
	if taken, loss := run(sampled, 5000); taken < 350 || taken > 650 || loss != (loader.CaptureLoss{}) { // 500 ± 7 σ
		t.Errorf("one in 10 of 5000: %d taken, %+v", taken, loss)
	}
	limited := everything
	limited.Rate = 50 // and as good as no time passes in a bed
	if taken, loss := run(limited, 200); taken < 50 || taken > 60 || loss.Skipped != uint64(200-taken) {
		t.Errorf("50 a second of 200: %d taken, %+v", taken, loss)
	}
	unread := bed.Capture(t, everything)
	const ring = 4 << 20 / (48 + 2*loader.SnapMax + 8)
	for range ring + 100 {
		bed.RunBy(unread.Program(), dptest.Front, frame)
	}
	if loss, err := unread.Loss(); err != nil || loss.Lost < 100 || loss.Lost > 101 {
		t.Errorf("nobody reads: %+v, %v", loss, err)
	}
}

// TestCaptureWithoutAReaderCapturesNothing: what a dead daemon has left attached forwards, and no more.
func TestCaptureWithoutAReaderCapturesNothing(t *testing.T) {
	bed := dptest.Open(t, dptest.Options{})
	fill(bed)
	c := bed.CaptureAt(t, everything, 1) // five ticks of silence are enough
	frame := packet.MustEncode(router + "ipv4 198.51.100.7 > " + vip4 + "\nudp 4000 > 53")
	if _, _, p := c.Run(dptest.Front, frame); p == nil {
		t.Fatal("nothing is captured while somebody reads")
	}
	c.Fall()
	for deadline := time.Now().Add(10 * time.Second); ; {
		verdict, _, p := c.Run(dptest.Front, frame)
		if verdict != dptest.Redirect {
			t.Fatalf("%s", verdict)
		}
		if p == nil {
			return
		}
		if time.Now().After(deadline) {
			t.Fatal("it goes on and on")
		}
	}
}

// TestCaptureTakesThePlaceOfTheProgramAndGivesItBack on every interface, one that comes meanwhile included.
func TestCaptureTakesThePlaceOfTheProgramAndGivesItBack(t *testing.T) {
	a, b := veth(t)
	dir := pins(t)
	d := open(t, dir, loader.ModeAuto)
	attach := func(index int, name string) {
		t.Helper()
		if _, err := d.Attach(index, name); err != nil {
			t.Fatal(err)
		}
	}
	programs := func(n int) (ids []uint32) {
		t.Helper()
		info, err := loader.Pinned(dir)
		if err != nil || len(info.Attachments) != n {
			t.Fatalf("pinned: %+v, %v", info, err)
		}
		for _, a := range info.Attachments {
			ids = append(ids, a.ProgramID)
		}
		return ids
	}
	attach(a.Attrs().Index, "hg0")
	plain := programs(1)
	c, err := d.Capture(everything)
	if err != nil {
		t.Fatal(err)
	}
	if ids := programs(1); ids[0] == plain[0] || !d.Capturing() {
		t.Error("the plain program is still there")
	}
	if _, err := d.Capture(everything); err == nil || err.Error() != loader.ErrCapturing.Error() {
		t.Errorf("a second capture: %v", err)
	}
	attach(b.Attrs().Index, "hg1")
	if ids := programs(2); ids[0] != ids[1] {
		t.Errorf("programs %v, want one", ids)
	}
	// A pin that is not found keeps the program from coming back there: the capture is not over before it has.
	pin := loader.Attachment{IfIndex: b.Attrs().Index, Mode: loader.ModeNative}.Path(dir)
	aside := pin + "-aside"
	if err := os.Rename(pin, aside); err != nil {
		t.Fatal(err)
	}
	if err := c.Close(); err == nil || !strings.Contains(err.Error(), "replace the program on hg1") || !d.Capturing() {
		t.Errorf("a capture that could not be ended: %v, capturing %v", err, d.Capturing())
	}
	if err := os.Rename(aside, pin); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := c.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if ids := programs(2); ids[0] != plain[0] || ids[1] != plain[0] || d.Capturing() {
		t.Errorf("programs %v, want %d as before", ids, plain[0])
	}
	// What a daemon leaves behind that ends, or starts anew.
	if _, err = d.Capture(everything); err != nil {
		t.Fatal(err)
	}
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
	if ids := programs(2); ids[0] != plain[0] || ids[1] != plain[0] {
		t.Errorf("programs %v after the end, want %d as before", ids, plain[0])
	}
}

// TestPlainProgramKnowsNothingOfACapture: neither its maps nor an instruction for it.
func TestPlainProgramKnowsNothingOfACapture(t *testing.T) {
	plain, err := loader.Spec()
	if err != nil {
		t.Fatal(err)
	}
	own := map[string]bool{"captured": true, "capture_states": true, "capture_beat": true}
	for name := range plain.Maps {
		if own[name] {
			t.Errorf("it has map %s", name)
		}
	}
	for _, p := range plain.Programs {
		for _, ins := range p.Instructions {
			if own[ins.Reference()] || ins.Reference() == "packet_comes" || ins.Reference() == "packet_leaves" {
				t.Errorf("%s: %v", p.Name, ins)
			}
		}
	}
	maps := reflect.TypeFor[loader.Maps]()
	for i := range maps.NumField() {
		if name := maps.Field(i).Tag.Get("ebpf"); own[name] {
			t.Errorf("%s is pinned", name)
		}
	}
}

func TestCaptureRefusesWhatIsOutOfBounds(t *testing.T) {
	bed := dptest.Open(t, dptest.Options{})
	for _, change := range []func(*loader.CaptureOptions){
		func(s *loader.CaptureOptions) { s.Snap = loader.SnapMin - 1 },
		func(s *loader.CaptureOptions) { s.Snap = loader.SnapMax + 1 },
		func(s *loader.CaptureOptions) { s.Sample = 0 },
		func(s *loader.CaptureOptions) { s.Rate = 0 },
		func(s *loader.CaptureOptions) { s.Nodes = make([]uint32, 9) },
	} {
		spec := everything
		change(&spec)
		if c, err := bed.TryCapture(spec, dptest.HZ); err == nil {
			c.Close()
			t.Errorf("%s is taken", fmt.Sprintf("%+v", spec))
		}
	}
}
