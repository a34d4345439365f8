package usage

import (
	"math"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"
)

var noon = time.Date(2026, 1, 31, 12, 0, 0, 0, time.UTC)

// reading is of a node of balancer 1.
func reading(node uint32, owner string, flows, in, out uint64) Reading {
	return Reading{Node: node, Owner: owner, Balancer: 1, Count: Count{flows, in, out}}
}

func TestTransferIsWhatTheCountersGrowBy(t *testing.T) {
	m := New(State{})
	want := func(what string, in, out uint64) {
		t.Helper()
		if i, o := m.Transfer(1); i != in || o != out {
			t.Errorf("%s: %d in, %d out", what, i, o)
		}
	}
	take := func(after time.Duration, r ...Reading) { m.Take(noon.Add(after), r, []int{1}) }
	take(0, reading(1, "a", 5, 1000, 2000))
	want("before anybody looked is nobody's", 0, 0)
	take(5*time.Second, reading(1, "a", 6, 1100, 2300))
	want("growth", 100, 300)
	take(10*time.Second, reading(1, "a", 6, 1100, 2300), reading(2, "b", 1, 7, 9))
	want("a new node", 107, 309)
	take(15*time.Second, reading(1, "c", 1, 3, 4), reading(2, "b", 1, 7, 9))
	want("another node with the same id", 110, 313)
	take(20*time.Second, reading(1, "c", 0, 1, 1), reading(2, "b", 1, 7, 9))
	want("counters that began anew", 111, 314)
	take(25 * time.Second)
	want("no nodes any more", 111, 314)
	m.Take(noon.Add(30*time.Second), nil, nil)
	want("no balancer any more", 0, 0)
}

func TestFreshTablesCountFromZero(t *testing.T) {
	m := New(State{})
	m.Anew(noon)
	m.Take(noon.Add(time.Second), []Reading{reading(1, "a", 1, 100, 0)}, []int{1})
	if in, _ := m.Transfer(1); in != 100 {
		t.Errorf("a first start: %d", in)
	}
	m.Anew(noon.Add(time.Minute)) // after a detach, the same node has counted further already
	m.Take(noon.Add(2*time.Minute), []Reading{reading(1, "a", 2, 150, 0)}, []int{1})
	if in, _ := m.Transfer(1); in != 250 {
		t.Errorf("after a detach: %d", in)
	}
}

func TestAMonthBeginsAtZero(t *testing.T) {
	m := New(State{})
	m.Take(noon, []Reading{reading(1, "a", 0, 0, 0)}, []int{1})
	m.Take(noon.Add(time.Minute), []Reading{reading(1, "a", 0, 70, 0)}, []int{1})
	m.Take(noon.Add(12*time.Hour+time.Second), []Reading{reading(1, "a", 0, 75, 1)}, []int{1}) // 1 February
	if in, out := m.Transfer(1); in != 5 || out != 1 {
		t.Errorf("%d, %d", in, out)
	}
}

// run reads every five seconds for some time, the counters growing by so much a second.
func run(m *Meter, from time.Time, c *Count, during time.Duration, flows, in, out uint64) time.Time {
	for end := from.Add(during); from.Before(end); {
		from = from.Add(5 * time.Second)
		c.Flows, c.In, c.Out = c.Flows+5*flows, c.In+5*in, c.Out+5*out
		m.Take(from, []Reading{{1, "a", 1, *c}}, []int{1})
	}
	return from
}

func TestPointsAreAveragesOfWholeSteps(t *testing.T) {
	m, c := New(State{}), &Count{}
	at := noon.Add(2 * time.Minute)
	m.Take(at, []Reading{{1, "a", 1, *c}}, []int{1})
	at = run(m, at, c, 3*time.Minute, 10, 10, 10)
	if got := m.Points(1); len(got) != 0 {
		t.Errorf("of a step that was not counted from its beginning: %v", got)
	}
	at = run(m, at, c, 5*time.Minute-5*time.Second, 2, 100, 300)
	if got := m.Points(1); len(got) != 0 {
		t.Errorf("of a step that is not over: %v", got)
	}
	at = run(m, at, c, 5*time.Second, 2, 100, 300)
	at = run(m, at, c, 5*time.Minute, 0, 0, 1)
	want := []Point{{noon.Add(10 * time.Minute), 2, 100, 300}, {noon.Add(15 * time.Minute), 0, 0, 1}}
	if got := m.Points(1); !slices.EqualFunc(got, want, near) {
		t.Errorf("%v", got)
	}
	run(m, at, c, 25*time.Hour, 1, 1, 1)
	if got := m.Points(1); len(got) != 288 || !got[0].End.Equal(got[287].End.Add(-Day+Step)) {
		t.Errorf("%d points from %v to %v", len(got), got[0].End, got[len(got)-1].End)
	}
}

func near(a, b Point) bool {
	return a.End.Equal(b.End) && math.Abs(a.Flows-b.Flows) < 1e-9 && math.Abs(a.In-b.In) < 1e-9 && math.Abs(a.Out-b.Out) < 1e-9
}

// saved puts a Meter on a disk and takes it from there.
func saved(s *State, u Unsaved) State {
	points := map[int][]Point{}
	for id := range u.Totals {
		points[id] = s.Points[id]
	}
	for _, c := range u.Closed {
		points[c.Balancer] = append(points[c.Balancer], c.Point)
	}
	*s = State{u.At, u.Nodes, u.Totals, points}
	return *s
}

func TestARestartForgetsNothing(t *testing.T) {
	var disk State
	m, c := New(State{}), &Count{}
	m.Take(noon, []Reading{{1, "a", 1, *c}}, []int{1})
	at := run(m, noon, c, 7*time.Minute, 1, 10, 20)
	m = New(saved(&disk, m.Unsaved()))
	// Traffic goes on while nobody counts, and the kernel's counters with it.
	c.Flows, c.In, c.Out = c.Flows+60*16, c.In+60*160, c.Out+60*320
	at = at.Add(16 * time.Minute)
	m.Take(at, []Reading{{1, "a", 1, *c}}, []int{1})
	run(m, at, c, 2*time.Minute, 1, 10, 20)
	if in, out := m.Transfer(1); in != c.In || out != c.Out {
		t.Errorf("%d, %d; the counters say %d, %d", in, out, c.In, c.Out)
	}
	want := []Point{{noon.Add(5 * time.Minute), 1, 10, 20}, {noon.Add(10 * time.Minute), 1, 10, 20}, {noon.Add(15 * time.Minute), 1, 10, 20},
		{noon.Add(20 * time.Minute), 1, 10, 20}, {noon.Add(25 * time.Minute), 1, 10, 20}}
	if got := m.Points(1); !slices.EqualFunc(got, want, near) {
		t.Errorf("%v", got)
	}
	if again := New(saved(&disk, m.Unsaved())); !slices.EqualFunc(again.Points(1), want, near) {
		t.Errorf("read back: %v", again.Points(1))
	}
}

func TestAClockThatIsSetBackEndsNothing(t *testing.T) {
	m, c := New(State{}), &Count{}
	m.Take(noon, []Reading{{1, "a", 1, *c}}, []int{1})
	run(m, noon, c, 20*time.Minute, 1, 1, 1)
	c.In += 50
	m.Take(noon.Add(6*time.Minute), []Reading{{1, "a", 1, *c}}, []int{1})
	if got := m.Points(1); len(got) != 1 {
		t.Errorf("points that are yet to come: %v", got)
	}
	if in, _ := m.Transfer(1); in != c.In {
		t.Errorf("%d of %d", in, c.In)
	}
}

// TestNothingIsCountedTwiceOrLost adds up at random moments, also saved and taken up again.
func TestNothingIsCountedTwiceOrLost(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var disk State
		m := New(State{})
		at, now := noon.Add(-10*24*time.Hour), map[uint32]*Count{1: {}, 2: {}}
		readings := func() (r []Reading) {
			for id, c := range now {
				r = append(r, reading(id, "a", c.Flows, c.In, c.Out))
			}
			return r
		}
		m.Take(at, readings(), []int{1})
		begin := at
		var sum Count
		for range rapid.IntRange(1, 30).Draw(t, "steps") {
			at = at.Add(time.Duration(rapid.Int64Range(1, int64(20*time.Minute)).Draw(t, "pause")))
			for _, c := range now {
				n := rapid.Uint64Range(0, 1000).Draw(t, "bytes")
				c.In, sum.In = c.In+n, sum.In+n
			}
			m.Take(at, readings(), []int{1})
			if rapid.Bool().Draw(t, "restart") {
				m = New(saved(&disk, m.Unsaved()))
			}
		}
		if in, _ := m.Transfer(1); in != sum.In {
			t.Fatalf("%d instead of %d", in, sum.In)
		}
		counted := m.accounts[1].Window.In
		for _, p := range m.Points(1) {
			counted += p.In * Step.Seconds()
		}
		// What came in the first step, which was not whole, is in no point.
		if begin.Truncate(Step).Equal(begin) && math.Abs(counted-float64(sum.In)) > 1 {
			t.Fatalf("points have %f of %d", counted, sum.In)
		}
	})
}
