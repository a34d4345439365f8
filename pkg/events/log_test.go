package events

import (
	"sync"
	"testing"
	"time"
)

func TestALogGoesOnWhereTheKeptOnesEnd(t *testing.T) {
	at := time.Unix(100, 0)
	l := NewLog([]Event{{Seq: 41, Text: "before"}}, func() time.Time { return at })
	added := l.Add(Event{Kind: Health, Text: "a"}, Event{Kind: Tier, Text: "b"})
	if added[0].Seq != 42 || added[1].Seq != 43 || !added[1].Time.Equal(at) || l.Last() != 43 {
		t.Errorf("%+v, last %d", added, l.Last())
	}
	if all := l.Read(Filter{}, 0); len(all) != 3 || all[0].Text != "before" || all[2].Text != "b" {
		t.Errorf("%+v", all)
	}
}

func TestOnlyTheLatestAreKept(t *testing.T) {
	l := NewLog(nil, nil)
	for range 3 * Most {
		l.Add(Event{Kind: Applied})
	}
	all := l.Read(Filter{}, 0)
	if len(all) != Most || all[0].Seq != 2*Most+1 || all[Most-1].Seq != 3*Most {
		t.Errorf("%d events, from %d", len(all), all[0].Seq)
	}
	if len(l.list) > 2*Most {
		t.Errorf("%d events in memory", len(l.list))
	}
}

func TestReadSelects(t *testing.T) {
	l := NewLog(nil, nil)
	l.Add(
		Event{Kind: Health, Config: "web/80", Node: "web/80/a"},
		Event{Kind: Tier, Config: "web/80"},
		Event{Kind: Health, Config: "dns/53/udp", Node: "dns/53/udp/a"},
		Event{Kind: Health, Config: "web/80", Node: "web/80/b"},
	)
	for name, c := range map[string]struct {
		f     Filter
		limit int
		want  []uint64
	}{
		"all":           {Filter{}, 0, []uint64{1, 2, 3, 4}},
		"the latest":    {Filter{}, 2, []uint64{3, 4}},
		"a kind":        {Filter{Kinds: []Kind{Tier}}, 0, []uint64{2}},
		"kinds":         {Filter{Kinds: []Kind{Tier, Health}, After: 2}, 0, []uint64{3, 4}},
		"a config":      {Filter{Config: "web/80"}, 2, []uint64{2, 4}},
		"a node":        {Filter{Node: "web/80/b"}, 0, []uint64{4}},
		"none of those": {Filter{Node: "web/80/c"}, 0, nil},
	} {
		got := l.Read(c.f, c.limit)
		same := len(got) == len(c.want)
		for i := range c.want {
			same = same && got[i].Seq == c.want[i]
		}
		if !same {
			t.Errorf("%s: %+v, want %v", name, got, c.want)
		}
	}
}

// Whoever fetches the channel before reading misses nothing.
func TestAFollowerSeesEveryEventOnce(t *testing.T) {
	l := NewLog(nil, nil)
	const each, writers = 500, 4
	var wg sync.WaitGroup
	for range writers {
		wg.Go(func() {
			for range each {
				l.Add(Event{Kind: Changed})
			}
		})
	}
	var seen uint64
	for seen < each*writers {
		changed := l.Changed()
		for _, e := range l.Read(Filter{After: seen}, 0) {
			if e.Seq != seen+1 {
				t.Fatalf("%d follows %d", e.Seq, seen)
			}
			seen = e.Seq
		}
		if seen < each*writers {
			<-changed
		}
	}
	wg.Wait()
}
