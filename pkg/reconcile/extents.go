package reconcile

import (
	"slices"
	"time"
)

// extent is a run of slots.
type extent struct {
	first, count uint32
}

func (e extent) end() uint32 { return e.first + e.count }

// extents gives out runs of the pool of slots, first fit.
type extents struct {
	free  []extent // sorted, never adjacent, never empty
	rests []resting
}

// resting is an extent that packets may still read.
type resting struct {
	extent
	until time.Time
}

func newExtents(count uint32) *extents {
	return &extents{free: []extent{{0, count}}}
}

// take returns a run of count slots; false when no run is long enough.
func (x *extents) take(count uint32) (extent, bool) {
	for i, e := range x.free {
		if e.count < count {
			continue
		}
		out := extent{e.first, count}
		x.cut(i, out)
		return out, true
	}
	return extent{}, false
}

// reserve takes a certain run; false when part of it is taken.
func (x *extents) reserve(e extent) bool {
	for i, f := range x.free {
		if f.first <= e.first && e.end() <= f.end() {
			x.cut(i, e)
			return true
		}
	}
	return e.count == 0
}

// cut takes e out of the i-th free run, which contains it.
func (x *extents) cut(i int, e extent) {
	f := x.free[i]
	var rest []extent
	for _, part := range []extent{{f.first, e.first - f.first}, {e.end(), f.end() - e.end()}} {
		if part.count > 0 {
			rest = append(rest, part)
		}
	}
	x.free = slices.Replace(x.free, i, i+1, rest...)
}

// give takes a run back that no packet reads.
func (x *extents) give(e extent) {
	if e.count == 0 {
		return
	}
	i, _ := slices.BinarySearchFunc(x.free, e, func(a, b extent) int { return int(int64(a.first) - int64(b.first)) })
	x.free = slices.Insert(x.free, i, e)
	if i+1 < len(x.free) && x.free[i].end() == x.free[i+1].first {
		x.free[i].count += x.free[i+1].count
		x.free = slices.Delete(x.free, i+1, i+2)
	}
	if i > 0 && x.free[i-1].end() == x.free[i].first {
		x.free[i-1].count += x.free[i].count
		x.free = slices.Delete(x.free, i, i+1)
	}
}

// rest takes a run back that packets may still read for a grace period.
func (x *extents) rest(e extent, now time.Time) {
	if e.count > 0 {
		x.rests = append(x.rests, resting{e, now.Add(grace)})
	}
}

// release gives back what has rested.
func (x *extents) release(now time.Time) {
	x.rests = slices.DeleteFunc(x.rests, func(r resting) bool {
		if now.Before(r.until) {
			return false
		}
		x.give(r.extent)
		return true
	})
}

// left returns how many slots are free, and how many rest.
func (x *extents) left() (free, rests uint32) {
	for _, e := range x.free {
		free += e.count
	}
	for _, e := range x.rests {
		rests += e.count
	}
	return free, rests
}
