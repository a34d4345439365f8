package maps

import (
	"net/netip"
	"testing"
	"time"

	"github.com/headgate/headgate/pkg/lb"
)

// manyFlows makes a table of n flows of 16 nodes that has room for four times as many.
func manyFlows(tb testing.TB, n int) *Fake {
	tb.Helper()
	buckets := 1
	for buckets*bucketSlots < 8*n {
		buckets *= 2
	}
	f := NewFake(FakeSizes{Buckets4: buckets, Buckets6: 1})
	for i := range n {
		node := uint32(1 + i%16)
		err := f.AddFlow(Flow{
			Protocol: lb.TCP, Class: FlowClasses[i%3], NodeID: node,
			Client: netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, byte(i >> 16), byte(i >> 8), byte(i)}), uint16(i)),
			VIP:    netip.MustParseAddrPort("203.0.113.10:80"),
			Node:   netip.AddrPortFrom(netip.AddrFrom4([4]byte{192, 0, 2, byte(node)}), 8080),
			Source: netip.AddrPortFrom(netip.AddrFrom4([4]byte{192, 0, 3, byte(i >> 16)}), uint16(i)),
			Age:    time.Duration(i) * time.Millisecond, PacketsIn: uint32(i), BytesIn: uint64(i) * 100, BytesOut: 1,
		})
		if err != nil {
			tb.Fatal(err)
		}
	}
	return f
}

func BenchmarkAMillionFlows(b *testing.B) {
	r := manyFlows(b, 1_000_000).Reader()
	b.Run("listed", func(b *testing.B) {
		for b.Loop() {
			n := 0
			for range r.Flows(FlowFilter{}) {
				n++
			}
			if n != 1_000_000 {
				b.Fatal(n)
			}
		}
	})
	b.Run("filtered", func(b *testing.B) {
		for b.Loop() {
			n := 0
			for range r.Flows(FlowFilter{Client: netip.MustParseAddr("10.1.2.3")}) {
				n++
			}
			if n != 1 {
				b.Fatal(n)
			}
		}
	})
	b.Run("sorted", func(b *testing.B) {
		for b.Loop() {
			n := 0
			for range r.FlowsBy(FlowFilter{}, ByBytes, 0) {
				n++
			}
			if n != 1_000_000 {
				b.Fatal(n)
			}
		}
	})
	b.Run("counted", func(b *testing.B) {
		for b.Loop() {
			if n := len(r.CountFlows(FlowFilter{})); n != 48 {
				b.Fatal(n)
			}
		}
	})
}
