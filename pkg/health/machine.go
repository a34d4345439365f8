package health

import (
	"fmt"
	"time"

	"github.com/headgate/headgate/pkg/lb"
)

// machine turns the results of one probe into health by counting. It is a value: copying it hands on what
// is known.
type machine struct {
	health   lb.Health
	reason   string
	since    time.Time // health is what it is
	at       time.Time // end of the last check
	duration time.Duration
	streak   int // results in a row: > 0 successes, < 0 failures
}

// notChecked is the reason of a machine that knows nothing.
const notChecked = "not checked yet"

// begin is a machine with what was known before, which is nothing when that is too old (E14), or from a
// time that is still to come: the clock was set back, and nobody knows how old it is.
func begin(t Target, now time.Time) machine {
	known := t.Initial == lb.Up || t.Initial == lb.Down
	if !known || t.InitialAt.IsZero() || now.Sub(t.InitialAt).Abs() > 2*t.Check.Interval {
		return machine{health: lb.Unknown, reason: notChecked, since: now}
	}
	m := machine{health: t.Initial, since: t.InitialAt, at: t.InitialAt}
	if m.health == lb.Down {
		m.reason = "was DOWN before the restart"
	}
	return m
}

// succeed counts a success. From Unknown one is enough, from DOWN it takes rise in a row.
func (m *machine) succeed(at time.Time, took time.Duration, rise int) {
	m.at, m.duration, m.streak = at, took, max(m.streak, 0)+1
	if m.health == lb.Down && m.streak < rise {
		return
	}
	m.become(lb.Up, at)
	m.reason = ""
}

// fail counts a failure. It takes attempts in a row to DOWN.
func (m *machine) fail(at time.Time, took time.Duration, reason string, attempts int) {
	m.at, m.duration, m.streak = at, took, min(m.streak, 0)-1
	if failed := -m.streak; m.health != lb.Down && failed < attempts {
		m.reason = fmt.Sprintf("%d of %d checks failed: %s", failed, attempts, reason)
		return
	}
	m.become(lb.Down, at)
	m.reason = reason
}

// undecided notes that this host could not check. That says nothing about the node.
func (m *machine) undecided(reason string) {
	if m.health == lb.Unknown && m.streak == 0 {
		m.reason = reason
	}
}

func (m *machine) become(h lb.Health, at time.Time) {
	if m.health != h {
		m.health, m.since = h, at
	}
}

// inTransition says that the next results may change health: such a node is checked faster.
func (m *machine) inTransition() bool {
	switch m.health {
	case lb.Up:
		return m.streak < 0
	case lb.Down:
		return m.streak > 0
	}
	return true
}
