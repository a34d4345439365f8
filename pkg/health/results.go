package health

import (
	"iter"
	"maps"

	"github.com/headgate/headgate/pkg/lb"
)

// Results are what is known about every target at one moment. They never change. Those that follow each other share
// what did not: with thousands of targets they cost a word for each. The zero Results are of none.
type Results struct {
	targets *roll
	found   []*machine // by the place of the target
}

// roll gives each target of a set its place. It never changes.
type roll struct {
	places map[lb.NodeKey]int32
	keys   []lb.NodeKey
}

// ResultsOf are those of a map.
func ResultsOf(all map[lb.NodeKey]Result) Results { return Results{}.Next(all) }

// Next are the Results of a map that follow others: of the same targets, they share what is as it was.
func (r Results) Next(all map[lb.NodeKey]Result) Results {
	next := Results{targets: newRoll(len(all))}
	if r.targets != nil && maps.EqualFunc(all, r.targets.places, func(Result, int32) bool { return true }) {
		next.targets = r.targets
	} else {
		for key := range all {
			next.targets.add(key)
		}
	}
	for _, key := range next.targets.keys {
		one := all[key]
		m := &machine{one.Health, one.Reason, one.Since, one.At, one.Duration, one.Streak}
		if place := len(next.found); next.targets == r.targets && *r.found[place] == *m {
			m = r.found[place]
		}
		next.found = append(next.found, m)
	}
	return next
}

func newRoll(targets int) *roll {
	return &roll{places: make(map[lb.NodeKey]int32, targets), keys: make([]lb.NodeKey, 0, targets)}
}

func (r *roll) add(key lb.NodeKey) {
	r.places[key] = int32(len(r.keys))
	r.keys = append(r.keys, key)
}

// Len is how many targets there are.
func (r Results) Len() int { return len(r.found) }

// Of is what is known about one target; false when it is not one.
func (r Results) Of(key lb.NodeKey) (Result, bool) {
	if r.targets == nil {
		return Result{}, false
	}
	place, known := r.targets.places[key]
	if !known {
		return Result{}, false
	}
	return r.found[place].result(key), true
}

// All yields every result, in no order.
func (r Results) All() iter.Seq[Result] {
	return func(yield func(Result) bool) {
		for place, m := range r.found {
			if !yield(m.result(r.targets.keys[place])) {
				return
			}
		}
	}
}

// Since yields the targets about which something else is known than before, the time of a check included. false: the
// targets are others, and it may be about any.
func (r Results) Since(before Results) (targets iter.Seq[lb.NodeKey], same bool) {
	if r.targets != before.targets {
		return nil, false
	}
	return func(yield func(lb.NodeKey) bool) {
		for place, m := range r.found {
			if m != before.found[place] && !yield(r.targets.keys[place]) {
				return
			}
		}
	}, true
}

func (m *machine) result(key lb.NodeKey) Result {
	return Result{
		Key: key, Health: m.health, Reason: m.reason,
		Since: m.since, At: m.at, Duration: m.duration, Streak: m.streak,
	}
}
