package loader_test

import (
	"fmt"
	"testing"

	"github.com/headgate/headgate/loader/dptest"
	"github.com/headgate/headgate/pkg/packet"
)

// CPUs that meet the same new tags at the same time claim one entry for them, and every flow has its own tags.
func TestCPUsThatMeetTheSameTagsClaimOneEntry(t *testing.T) {
	bed := dptest.Open(t, dptest.Options{Buckets4: 2048})
	fill(bed)
	const vlans, clients = 40, 400
	var frames [][]byte
	for i := range clients {
		frames = append(frames, packet.MustEncode(fmt.Sprintf("%svlan %d\nipv4 198.51.100.7 > %s\ntcp %d > 80 S seq 1000", router, 100+i%vlans, vip4, 40000+i)))
	}
	bed.Parallel(workers, func(int) func() []byte {
		i := -1
		return func() []byte {
			if i++; i == clients {
				return nil
			}
			return frames[i]
		}
	})
	if tags := bed.LearnedTags(); len(tags) != vlans {
		t.Errorf("%d entries for %d VLANs: %v", len(tags), vlans, tags)
	}
	flows := bed.Flows()
	if len(flows) != clients {
		t.Errorf("%d flows, want %d", len(flows), clients)
	}
	for _, f := range flows {
		if want := dptest.TagsOf(uint16(100 + int(f.In.Src.Port()-40000)%vlans)); f.ReplyHop.Tags != want {
			t.Fatalf("the replies of %s have tags %s, want %s", f.In, f.ReplyHop.Tags, want)
		}
	}
	check(t, bed)
}

// Of 255 pairs nearly all find a place: those with one tag of neighbouring VLANs lie far from each other.
func TestTagsFindAPlaceUntilTheirTableIsNearlyFull(t *testing.T) {
	bed := dptest.Open(t, dptest.Options{Buckets4: 2048})
	fill(bed)
	before, id := bed.Counters(), 0
	bed.Parallel(1, func(int) func() []byte {
		return func() []byte {
			if id++; id > 230 {
				return nil
			}
			return packet.MustEncode(fmt.Sprintf("%svlan %d\nipv4 198.51.100.7 > %s\ntcp %d > 80 S seq 1000", router, id, vip4, 40000+id))
		}
	})
	after := bed.Counters()
	if n := after.Reasons["new_flow"] - before.Reasons["new_flow"]; n != 230 || len(bed.LearnedTags()) != 230 {
		t.Errorf("230 VLANs have %d flows and %d entries", n, len(bed.LearnedTags()))
	}
}
