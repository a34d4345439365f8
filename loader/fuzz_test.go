package loader_test

import (
	"math/rand/v2"
	"testing"

	"github.com/headgate/headgate/loader/dptest"
	"github.com/headgate/headgate/pkg/packet"
)

// FuzzAnyFrameIsDecidedAsTheModelDoes gives the program any bytes that XDP could see. What it takes a
// frame for, and what it does to it, must be what the model says.
func FuzzAnyFrameIsDecidedAsTheModelDoes(f *testing.F) {
	for _, text := range whole {
		f.Add(packet.MustEncode(text))
	}
	f.Add(packet.MustEncode("eth 02:00:00:00:00:01 > 02:00:00:00:00:02\nvlan 7\nipv4 198.51.100.7 > " + vip4 + "\nudp 1 > 53"))
	f.Add(packet.MustEncode(router + "ipv6 2001:db8:c::7 > " + vip6 + "\nfragment id 1 more\nudp 1 > 53"))
	f.Add(packet.MustEncode(router + "ipv4 198.51.100.7 > " + vip4 + "\nicmp echo rest 0x00010001"))
	bed := dptest.Open(f, dptest.Options{Buckets4: 32, Buckets6: 32})
	f.Fuzz(func(t *testing.T, frame []byte) {
		if len(frame) < 14 || len(frame) > 1514 {
			return
		}
		w := newWorld(t, bed, rand.New(rand.NewPCG(1, 1)))
		w.seen = map[string]int{}
		if !w.establish() || !w.runPacket(frame, dptest.Front) {
			t.Log(packet.Format(frame))
		}
	})
}
