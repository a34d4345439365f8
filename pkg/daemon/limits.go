package daemon

import (
	"fmt"
	"log/slog"
	"math"
	"time"

	"github.com/headgate/headgate/pkg/events"
	"github.com/headgate/headgate/pkg/lb"
	"github.com/headgate/headgate/pkg/maps"
)

// limits has it written down when something is full or nearly so, and when it is no more. What comes and goes
// is told once: a level that was reached is left only after all of calm below it. It belongs to the engine's
// goroutine.
type limits struct {
	chronicle *chronicle
	standing  map[limited]*toldOf

	refused   map[refusal]uint64 // packets, as they were counted last; nil: they were not
	clients   []maps.ClientFill  // as they were read last
	clientsAt time.Time
}

// calm is for how long something must have been less than full for that to be news.
const calm = 30 * time.Second

// limitsMost is how many things a look names that reached, or left, the same level of the same limit.
const limitsMost = 8

// limited is a limit of a thing, by what it is known by as long as it is there.
type limited struct {
	limit  string     // as in events
	node   lb.NodeKey // or a config, without an address
	family int        // of a table
}

// grade is how full something is.
type grade int

const (
	gradeFree grade = iota
	gradeNear
	gradeFull
)

func (g grade) String() string { return [...]string{"free", "near", "full"}[g] }

// toldOf is what was told last of a limit, and since when it is better than that.
type toldOf struct {
	grade  grade
	better time.Time // zero: it is not
}

// gauge is one limit as it was read.
type gauge struct {
	limited
	label      string  // of the node
	share      float64 // in use; 1: all of it
	near, full float64 // shares from which on it is
	says       func(name string, is grade) string
}

// never is a share that is not reached.
var never = math.Inf(1)

// slack is how much below a level a share must be to have left it.
const slack = 0.1

// gradeOf is how full it is for somebody who was told before that it is was.
func (g *gauge) gradeOf(was grade) grade {
	reaches := func(of grade, share float64) bool {
		if was >= of {
			share *= 1 - slack
		}
		return g.share >= share
	}
	switch {
	case reaches(gradeFull, g.full):
		return gradeFull
	case reaches(gradeNear, g.near):
		return gradeNear
	}
	return gradeFree
}

// take compares all that was read with what was told. What is not among it any more is forgotten.
func (l *limits) take(at time.Time, gauges []gauge) {
	standing := make(map[limited]*toldOf, len(l.standing))
	told := map[string]int{} // by limit and grade
	for i := range gauges {
		g := &gauges[i]
		s := l.standing[g.limited]
		if s == nil {
			s = &toldOf{}
		}
		was := s.grade
		if s.take(at, g.gradeOf(was)) {
			key := g.limit + " " + s.grade.String()
			if told[key]++; told[key] <= limitsMost {
				l.tell(g, was, s.grade)
			}
		}
		if s.grade != gradeFree {
			standing[g.limited] = s
		}
	}
	l.standing = standing
	l.tellMore(told)
}

// take says whether the grade is news: a worse one always is, a better one after a while.
func (s *toldOf) take(at time.Time, is grade) bool {
	switch {
	case is > s.grade:
	case is == s.grade:
		s.better = time.Time{}
		return false
	case s.better.IsZero():
		s.better = at
		return false
	case at.Sub(s.better) < calm:
		return false
	}
	*s = toldOf{grade: is}
	return true
}

func (l *limits) tell(g *gauge, was, is grade) {
	e := events.Event{Kind: events.Limit, Limit: g.limit, From: was.String(), To: is.String()}
	if g.node.Config.Balancer != "" {
		e.Config = g.node.Config.String()
	}
	if g.node.Address.IsValid() {
		e.Node = lb.NodeName(g.node.Config, g.label)
	}
	e.Text = g.says(e.Node, is)
	if is < was {
		l.chronicle.note(e)
		return
	}
	l.chronicle.alert(slog.LevelWarn, e)
}

// tellMore sums up what was not told one by one.
func (l *limits) tellMore(told map[string]int) {
	for _, limit := range events.Limits {
		for _, is := range []grade{gradeFull, gradeNear, gradeFree} {
			if more := told[limit+" "+is.String()] - limitsMost; more > 0 {
				l.chronicle.note(events.Event{Kind: events.Limit, Limit: limit, To: is.String(),
					Text: fmt.Sprintf("%s: %d more are %s (`headgate status` shows them)", limit, more, words(is))})
			}
		}
	}
}

func words(g grade) string {
	return map[grade]string{gradeFree: "not full any more", gradeNear: "nearly full", gradeFull: "full"}[g]
}
