package store

import (
	"errors"
	"fmt"
	"iter"
	"slices"
	"time"

	"github.com/headgate/headgate/pkg/lb"
)

// Draft is a desired state in the making. It belongs to one goroutine. What it was made of is shared with
// everybody: only what Edit and Add hand out may be changed.
type Draft struct {
	base    Desired
	now     time.Time
	lastID  int
	entries []entry
}

// entry is a balancer of a draft.
type entry struct {
	was int    // its place in the base; -1: none
	own *owned // nil: as it was
}

// owned is a balancer whose memory belongs to the draft.
type owned struct {
	balancer lb.Balancer
	note     Note
	changed  bool // it is not as it was; known when the draft is finished
}

// NewDraft begins with a desired state; now is the time of the change.
func NewDraft(base Desired, now time.Time) *Draft {
	d := &Draft{base: base, now: now.UTC().Truncate(time.Second), lastID: base.lastID}
	d.entries = make([]entry, len(base.Balancers))
	for i := range d.entries {
		d.entries[i].was = i
	}
	return d
}

func (d *Draft) balancer(i int) *lb.Balancer {
	if e := d.entries[i]; e.own == nil {
		return &d.base.Balancers[e.was]
	}
	return &d.entries[i].own.balancer
}

// Balancers gives all balancers to look at.
func (d *Draft) Balancers() []lb.Balancer {
	out := make([]lb.Balancer, len(d.entries))
	for i := range d.entries {
		out[i] = *d.balancer(i)
	}
	return out
}

// Touched gives what may differ from the base: those balancers that Edit, Add or Replace handed out or that are
// gone, as they were and as they are.
func (d *Draft) Touched() (was, is []lb.Balancer) {
	kept := make([]bool, len(d.base.Balancers))
	for i, e := range d.entries {
		if e.was >= 0 {
			kept[e.was] = true
		}
		if e.own == nil {
			continue
		}
		is = append(is, *d.balancer(i))
		if e.was >= 0 {
			was = append(was, d.base.Balancers[e.was])
		}
	}
	for i := range kept {
		if !kept[i] {
			was = append(was, d.base.Balancers[i])
		}
	}
	return was, is
}

// Place is where in the list the balancer with that id stands, as in the faults of Finish; -1: nowhere.
func (d *Draft) Place(id int) int {
	for i := range d.entries {
		if d.balancer(i).ID == id {
			return i
		}
	}
	return -1
}

// Edit gives the balancer with that id, and its note, to be changed; nil when there is none.
func (d *Draft) Edit(id int) (*lb.Balancer, *Note) {
	i := d.Place(id)
	if i < 0 {
		return nil, nil
	}
	e := &d.entries[i]
	if e.own == nil {
		e.own = &owned{balancer: d.base.Balancers[e.was].Clone(), note: d.base.Notes[e.was].clone()}
	}
	return &e.own.balancer, &e.own.note
}

// Add appends a balancer with a new id, to be filled in.
func (d *Draft) Add() (*lb.Balancer, *Note) {
	own := &owned{balancer: lb.Balancer{ID: d.NewID()}}
	d.entries = append(d.entries, entry{was: -1, own: own})
	return &own.balancer, &own.note
}

// Remove takes the balancer with that id away, if there is one.
func (d *Draft) Remove(id int) {
	if i := d.Place(id); i >= 0 {
		d.entries = slices.Delete(d.entries, i, i+1)
	}
}

// NewID gives an id that nothing has had before.
func (d *Draft) NewID() int {
	d.lastID++
	return d.lastID
}

// Replace declares the whole list anew. What has no id keeps that of what it takes the place of: a balancer
// by its label, a config by its port and protocol, a node by its address; the rest gets new ids. So does what has
// an id that nothing here has.
func (d *Draft) Replace(all []lb.Balancer) {
	all = lb.Clone(all)
	adopt(d.base.Balancers, all)
	places := make(map[int]int, len(d.base.Balancers))
	for i := range d.base.Balancers {
		places[d.base.Balancers[i].ID] = i
	}
	d.entries = make([]entry, len(all))
	for i, b := range all {
		e := entry{was: -1, own: &owned{balancer: b}}
		if was, ok := places[b.ID]; ok {
			e.was, e.own.note = was, d.base.Notes[was].clone()
		}
		d.entries[i] = e
	}
}

// Finish validates the draft and returns what it declares: the base itself when that is the same. What is
// not valid is refused with lb.Faults.
func (d *Draft) Finish() (Desired, error) {
	changed := len(d.entries) != len(d.base.Balancers)
	for i, e := range d.entries {
		if e.own != nil {
			d.giveIDs(&e.own.balancer)
			e.own.tidy()
			e.own.changed = e.was < 0 || !e.own.balancer.Equal(d.base.Balancers[e.was]) || !e.own.note.equal(d.base.Notes[e.was])
		}
		changed = changed || e.was != i || d.changed(i)
	}
	if !changed {
		return d.base, nil
	}
	if err := d.checkIDs(); err != nil {
		return Desired{}, err
	}
	next := Desired{Revision: d.base.Revision + 1, Balancers: d.Balancers(), lastID: d.lastID}
	if faults := lb.ValidateChanged(next.Balancers, d.wasOf(next.Balancers)); len(faults) > 0 {
		return Desired{}, lb.Faults(faults)
	}
	next.Notes = make([]Note, len(d.entries))
	for i, e := range d.entries {
		if d.changed(i) {
			e.own.stamp(d.now)
			next.Notes[i] = e.own.note
		} else {
			next.Balancers[i], next.Notes[i] = d.base.Balancers[e.was], d.base.Notes[e.was]
		}
	}
	return next, nil
}

// wasOf says what each of the balancers of the finished draft was: itself if it is as it was, nil if it is new.
func (d *Draft) wasOf(next []lb.Balancer) func(i int) *lb.Balancer {
	return func(i int) *lb.Balancer {
		switch was := d.entries[i].was; {
		case !d.changed(i):
			return &next[i]
		case was < 0:
			return nil
		default:
			return &d.base.Balancers[was]
		}
	}
}

// changed says, once the draft is finished, whether a balancer is not as it was.
func (d *Draft) changed(i int) bool { return d.entries[i].own != nil && d.entries[i].own.changed }

// stamp notes when a balancer was made and changed.
func (o *owned) stamp(now time.Time) {
	o.note.Updated = now
	if o.note.Created.IsZero() {
		o.note.Created = now
	}
}

// tidy forgets the notes of configs that are gone.
func (o *owned) tidy() {
	for id := range o.note.Configs {
		if !slices.ContainsFunc(o.balancer.Configs, func(c lb.Config) bool { return c.ID == id }) {
			delete(o.note.Configs, id)
		}
	}
}

func (d *Draft) giveIDs(b *lb.Balancer) {
	for id := range idsOf(b) {
		if *id == 0 {
			*id = d.NewID()
		}
	}
}

// errTwice says that a caller has given one id to two things, which is a mistake in the program.
var errTwice = errors.New("an id was given twice")

// checkIDs refuses an id that two things have, or one that was never given.
func (d *Draft) checkIDs() error {
	seen := make(map[int]bool, len(d.entries))
	for i, e := range d.entries {
		ids := idsOf(d.balancer(i))
		if e.own == nil || !e.own.changed {
			ids = func(yield func(*int) bool) { yield(&d.balancer(i).ID) }
		}
		for id := range ids {
			if seen[*id] || *id > d.lastID {
				return fmt.Errorf("%w: %d", errTwice, *id)
			}
			seen[*id] = true
		}
	}
	return nil
}

// idsOf yields the ids of a balancer and of all that it holds.
func idsOf(b *lb.Balancer) iter.Seq[*int] {
	return func(yield func(*int) bool) {
		if !yield(&b.ID) {
			return
		}
		for i := range b.Configs {
			c := &b.Configs[i]
			if !yield(&c.ID) {
				return
			}
			for k := range c.Nodes {
				if !yield(&c.Nodes[k].ID) {
					return
				}
			}
		}
	}
}
