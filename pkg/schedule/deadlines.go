package schedule

// deadline is a slot in the high 32 bits and who has to be served before it in the low ones, so that
// one comparison orders both.
type deadline uint64

// deadlines is a binary heap, earliest first. It is not container/heap because that allocates for
// every element, and long sequences push millions.
type deadlines []deadline

func (h *deadlines) push(d deadline) {
	s := append(*h, d)
	i := len(s) - 1
	for i > 0 {
		parent := (i - 1) / 2
		if s[parent] <= d {
			break
		}
		s[i] = s[parent]
		i = parent
	}
	s[i] = d
	*h = s
}

// pop takes the earliest out; the heap must not be empty.
func (h *deadlines) pop() deadline {
	s := *h
	first, last := s[0], s[len(s)-1]
	s = s[:len(s)-1]
	*h = s
	if len(s) == 0 {
		return first
	}
	i := 0
	for {
		child := 2*i + 1
		if child >= len(s) {
			break
		}
		if child+1 < len(s) && s[child+1] < s[child] {
			child++
		}
		if last <= s[child] {
			break
		}
		s[i] = s[child]
		i = child
	}
	s[i] = last
	return first
}
