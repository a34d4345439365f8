package dptest

import (
	"net/netip"
	"strings"
	"testing"

	"github.com/headgate/headgate/loader"
	"github.com/headgate/headgate/pkg/packet"
)

// oneFlow returns a bed with one flow in it, in the only bucket.
func oneFlow(t *testing.T, b *Bed) {
	t.Helper()
	b.Reset()
	b.SetLink(2, Front, packet.MAC{2})
	b.SetSNAT(0, netip.MustParseAddr("192.0.2.1"))
	b.SetService(Service{ID: 1, Proto: packet.ProtoTCP, VIP: netip.MustParseAddrPort("203.0.113.10:80"), Slots: []uint32{1}})
	b.SetNode(Node{
		ID: 1, Proto: packet.ProtoTCP, Address: netip.MustParseAddrPort("192.0.2.11:8080"), Actions: ActionNew, SNATCount: 1,
		Hop: Hop{Link: 2, MAC: packet.MAC{2, 1}},
	})
	b.Run(Front, packet.MustEncode("eth 02:00:00:00:00:01 > 02:00:00:00:00:02\nipv4 198.51.100.7 > 203.0.113.10\ntcp 40000 > 80 S"), true)
	if faults := b.Check(); len(faults) != 0 || len(b.Flows()) != 1 {
		t.Fatalf("%d flows before anything is broken: %v", len(b.Flows()), faults)
	}
}

func TestCheckFindsWhatIsBroken(t *testing.T) {
	b := Open(t, Options{Buckets4: 1, Buckets6: 1})
	for want, breakIt := range map[string]func(*loader.Bucket4, int){
		"half-way":              func(v *loader.Bucket4, i int) { v.Flows[i].Word.Version++ },
		"no peer at":            func(v *loader.Bucket4, i int) { v.Head.Tags[i], v.Head.Stamps[i] = 0, 0 },
		"peer's peer is":        func(v *loader.Bucket4, i int) { v.Flows[i].Half.Peer = uint32(i) },
		"flags 0x1, peer's 0x1": func(v *loader.Bucket4, i int) { v.Flows[i].Word.Flags = halfForward },
		"node 2, peer's 1":      func(v *loader.Bucket4, i int) { v.Flows[i].Half.Node = 2 },
		"peer is closing":       func(v *loader.Bucket4, i int) { v.Head.Stamps[i] = v.Head.Stamps[i]&^7 | uint32(Closing) },
		"leaves as":             func(v *loader.Bucket4, i int) { v.Flows[i].NatSport++ },
		"1 active, but 2 flows": func(v *loader.Bucket4, i int) { v.Flows[i].Word.Flags = halfForward },
		"lock left taken":       func(v *loader.Bucket4, i int) { v.Head.Lock = 1 },
		"in their second":       func(v *loader.Bucket4, i int) { v.Head.Spilled = 1 },
		"key is also at": func(v *loader.Bucket4, i int) {
			for j := range v.Flows {
				v.Flows[j].Src, v.Flows[j].Dst, v.Flows[j].Word = v.Flows[i].Src, v.Flows[i].Dst, v.Flows[i].Word
			}
		},
	} {
		oneFlow(t, b)
		var bucket loader.Bucket4
		b.lookup("flows4", uint32(0), &bucket)
		for i, f := range bucket.Flows {
			if bucket.Head.Tags[i] != 0 && f.Word.Flags&halfReply != 0 {
				breakIt(&bucket, i)
				break
			}
		}
		b.update("flows4", uint32(0), bucket)
		if faults := strings.Join(b.Check(), "\n"); !strings.Contains(faults, want) {
			t.Errorf("want %q among the faults, got:\n%s", want, faults)
		}
	}
}

func TestJudgeFindsWhatNoPacketMayMeet(t *testing.T) {
	frame := packet.MustEncode("eth 02:00:00:00:00:01 > 02:00:00:00:00:02\nipv4 198.51.100.7 > 203.0.113.10\nudp 1 > 2")
	changed := append([]byte{}, frame...)
	changed[30]++
	for name, c := range map[string]struct {
		verdict Verdict
		reason  string
		out     []byte
		want    string
	}{
		"two reasons":             {Tx, "new_flow and forwarded", frame, "counted new_flow and forwarded"},
		"aborted":                 {Aborted, "no reason", frame, "aborted"},
		"passed but changed":      {Pass, "not_ours", changed, "changed, although"},
		"dropped but changed":     {Drop, "table_busy", changed, "changed, although"},
		"sent with wrong sum":     {Tx, "forwarded", changed, "wrong checksum"},
		"passed rewritten, wrong": {Pass, "hop_unresolved", changed, "wrong checksum"},
	} {
		if faults := strings.Join(Judge(c.verdict, c.reason, frame, c.out), "\n"); !strings.Contains(faults, c.want) {
			t.Errorf("%s: got %q, want %q", name, faults, c.want)
		}
	}
	if faults := Judge(Redirect, "forwarded", frame, frame); len(faults) != 0 {
		t.Errorf("a good outcome: %v", faults)
	}
}
