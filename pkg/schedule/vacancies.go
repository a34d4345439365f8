package schedule

// vacancies are the slots of a table in the making that nobody has chosen yet.
type vacancies struct {
	size, left int
	taken      bitmap
	last       []int // what is left, once it is few; nil before
}

// choose takes the slot that a chooser likes best of those that are left: the first on its way round the table.
func (v *vacancies) choose(c *chooser) (slot int) {
	if v.left*v.left > v.size {
		slot = v.walk(int(c.next), int(c.step))
	} else {
		slot = v.pick(int(c.next), int(c.step))
	}
	v.left--
	next := slot + int(c.step)
	if next >= v.size {
		next -= v.size
	}
	c.next = int32(next)
	return slot
}

// walk goes round the table.
func (v *vacancies) walk(at, step int) int {
	taken, size := v.taken, v.size // where the compiler keeps them in registers
	for taken.has(at) {
		if at += step; at >= size {
			at -= size
		}
	}
	taken.set(at)
	return at
}

// pick works out how far each slot that is left is on the way. When fewer are left than the root of all, that is
// shorter than the way; and to the last thousand of a million, all ways together are as long as those before.
func (v *vacancies) pick(from, step int) int {
	if v.last == nil {
		v.last = v.taken.missing(v.size)
	}
	back := inverse(step, v.size)
	best, nearest := 0, v.size
	for i, slot := range v.last {
		ahead := slot - from
		if ahead < 0 {
			ahead += v.size
		}
		if steps := int(uint64(ahead) * back % uint64(v.size)); steps < nearest {
			best, nearest = i, steps
		}
	}
	slot := v.last[best]
	v.last[best] = v.last[len(v.last)-1]
	v.last = v.last[:len(v.last)-1]
	return slot
}

// inverse is what a step times gives 1, modulo a prime.
func inverse(step, prime int) uint64 {
	a, b, x, y := step, prime, 1, 0 // a is x times step, b is y times, modulo prime
	for a != 1 {
		q := b / a
		a, b, x, y = b-q*a, a, y-q*x, x
	}
	if x < 0 {
		x += prime
	}
	return uint64(x)
}

type bitmap []uint64

func newBitmap(size int) bitmap { return make(bitmap, (size+63)/64) }

func (b bitmap) has(i int) bool { return b[i>>6]>>(i&63)&1 != 0 }
func (b bitmap) set(i int)      { b[i>>6] |= 1 << (i & 63) }

// missing lists what of the first so many is not set.
func (b bitmap) missing(size int) (list []int) {
	for i := range size {
		if !b.has(i) {
			list = append(list, i)
		}
	}
	return list
}
