package loader_test

import (
	"bytes"
	"fmt"
	"maps"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/headgate/headgate/loader"
	"github.com/headgate/headgate/loader/dptest"
	"github.com/headgate/headgate/pkg/packet"
)

// trial tries out packets before they are sent, and looks whether that leaves a trace.
type trial struct {
	rehearsal *dptest.Rehearsal
	packets   int
	ticks     int // packets between whose trial and sending a tick of the clock fell, that made a difference
}

// told is what a trial said, and when.
type told struct {
	loader.Outcome
	at uint64 // jiffies
}

func (r *trial) tellOf(w *world, frame []byte, ifindex int) told {
	if r == nil {
		return told{}
	}
	before := w.bed.Content()
	is := told{at: w.bed.Jiffies()}
	is.Outcome = r.rehearsal.Run(ifindex, frame)
	if after := w.bed.Content(); !maps.Equal(before, after) {
		w.t.Errorf("the rehearsal has changed %s", differing(before, after))
	}
	return is
}

func (r *trial) compare(w *world, is told, verdict dptest.Verdict, reason string, out []byte) {
	if r == nil {
		return
	}
	r.packets++
	if dptest.Verdict(is.Verdict) == verdict && is.Reason == reason && bytes.Equal(is.Frame, out) {
		return
	}
	if w.bed.Jiffies() != is.at {
		r.ticks++
		return
	}
	w.t.Errorf("told: %s %s, done: %s %s\n%s", dptest.Verdict(is.Verdict), is.Reason, verdict, reason, packet.Diff(is.Frame, out))
}

// TestARehearsalTellsWhatTheWireDoesAndLeavesNoTrace tries out 10,000 packets of random episodes with all that
// the model knows, in tables with room and without.
func TestARehearsalTellsWhatTheWireDoesAndLeavesNoTrace(t *testing.T) {
	enough := 5000
	if testing.Short() {
		enough = 500
	}
	base := seed(t)
	for buckets, capacity := range map[uint32]int{32: 0, 1: 4} {
		t.Run(fmt.Sprintf("%d buckets", buckets), func(t *testing.T) {
			t.Parallel()
			try(t, base, buckets, capacity, enough)
		})
	}
}

// try tries out so many packets, or more, in tables of so many buckets.
func try(t *testing.T, base uint64, buckets uint32, capacity, enough int) {
	bed := dptest.Open(t, dptest.Options{Buckets4: buckets, Buckets6: buckets})
	r := &trial{rehearsal: bed.Rehearsal(t)}
	begin, seen := time.Now(), map[string]int{}
	for n := uint64(0); r.packets < enough; n++ {
		w := newWorld(t, bed, rand.New(rand.NewPCG(base, n)))
		w.seen, w.trial, w.model.Capacity = seen, r, capacity
		for start := time.Now(); time.Since(start) < episodeLimit; {
			if !w.step() {
				t.Fatalf("episode %d; what led to it:\n%s", n, strings.Join(w.log[max(0, len(w.log)-12):], "\n"))
			}
		}
	}
	t.Logf("%d packets in %s of %d reasons; a tick made a difference to %d", r.packets,
		time.Since(begin).Round(time.Millisecond), len(seen), r.ticks)
	if r.ticks > r.packets/100 {
		t.Errorf("a tick made a difference to %d of %d packets: this machine is too busy for the test to mean anything", r.ticks, r.packets)
	}
}

func differing(a, b map[string]string) (names []string) {
	for name := range a {
		if a[name] != b[name] {
			names = append(names, name)
		}
	}
	return names
}

// A map that is new has to be given its place in a rehearsal.
func TestARehearsalKnowsEveryMap(t *testing.T) {
	spec, err := loader.Spec()
	if err != nil {
		t.Fatal(err)
	}
	known := loader.RehearsalMaps()
	for name := range spec.Maps {
		if name[0] != '.' && !known[name] {
			t.Errorf("%s: does a rehearsal share it, or need a copy?", name)
		}
		delete(known, name)
	}
	for name := range known {
		t.Errorf("%s: there is no such map", name)
	}
}
