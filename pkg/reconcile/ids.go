package reconcile

// ids gives out the numbers from first to limit-1.
type ids struct {
	taken []bool
	first uint32
	next  uint32 // where the search begins: ids come back as late as possible
	left  int
}

func newIDs(first, limit uint32) ids {
	return ids{taken: make([]bool, limit), first: first, next: first, left: int(limit - first)}
}

// take returns a free id; false when there is none.
func (i *ids) take() (uint32, bool) {
	if i.left == 0 {
		return 0, false
	}
	for i.taken[i.next] {
		i.advance()
	}
	id := i.next
	i.mark(id)
	i.advance()
	return id, true
}

func (i *ids) advance() {
	if i.next++; i.next == uint32(len(i.taken)) {
		i.next = i.first
	}
}

// mark takes a certain id.
func (i *ids) mark(id uint32) {
	if !i.taken[id] {
		i.taken[id] = true
		i.left--
	}
}

func (i *ids) free(id uint32) {
	if i.taken[id] {
		i.taken[id] = false
		i.left++
	}
}
