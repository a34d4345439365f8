// Package health finds out which nodes answer: it probes each target at its interval, turns the
// results into UP and DOWN by counting, and tells what changed. It decides nothing about traffic.
package health

import (
	"time"

	"github.com/headgate/headgate/pkg/lb"
)

// Target is a node that wants to be checked.
type Target struct {
	Key   lb.NodeKey
	Check *lb.Check // shared by the nodes of a config; never changed
	// Initial is what was known before a restart, at InitialAt. It holds until the first results,
	// unless it is older than two intervals. It counts only when the target is new to the Manager.
	Initial   lb.Health
	InitialAt time.Time
	// Since is when its checks began anew, zero if they did not: results of checks before say nothing about it,
	// so the next one is made at once.
	Since time.Time
}

// Result is what is known about a target. Health is never empty.
type Result struct {
	Key      lb.NodeKey
	Health   lb.Health
	Reason   string        // in words why it is not UP, or what failed lately; empty when all is well
	Since    time.Time     // since when Health is what it is
	At       time.Time     // end of the last check that had a result; zero when there was none
	Duration time.Duration // of that check
	Streak   int           // results in a row like the last one: > 0 successes, < 0 failures
}

// Stats says how the Manager itself is doing.
type Stats struct {
	Targets      int           // nodes wanted
	Probes       int           // distinct probes; fewer than Targets where nodes share one
	InFlight     int           // running now
	Done         uint64        // probes that had a result
	Failed       uint64        // of these, failures
	Inconclusive uint64        // probes that this host could not make; they count for nobody
	Lag          time.Duration // how late the last probe started
	MaxLag       time.Duration // how late the latest of the last minute started
	LagP99       time.Duration // how late 99 in 100 of the last minute started at most
}
