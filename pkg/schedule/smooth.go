package schedule

// textbookMost is the longest sequence that is made in the textbook way, which costs its length times
// the number of weights.
const textbookMost = 4096

// Smooth is smooth weighted round robin: a sequence of indices into weights in which index i stands
// exactly weights[i]/gcd times, spread as evenly as can be, so that whoever walks it in circles serves
// everybody by weight at any moment. A weight of 0 or less gets no place. The result is nil when
// nobody has a place.
//
// Up to 4,096 places the order is the textbook's (5, 3, 2 over ten places: 0 1 2 0 0 1 0 2 1 0);
// beyond, another in which nobody is ever a whole place ahead or behind.
func Smooth(weights []int) []int32 {
	w, total := reduce(weights)
	switch {
	case total == 0:
		return nil
	case len(w) == total: // all equal
		out := make([]int32, total)
		for i := range w {
			out[i] = w[i].index
		}
		return out
	case total <= textbookMost:
		return textbook(w, total)
	}
	return byDeadline(w, total)
}

// share is how many places an index gets.
type share struct {
	index  int32
	places int
}

// reduce leaves out who gets nothing and divides the others by their greatest common divisor.
func reduce(weights []int) (shares []share, total int) {
	divisor := 0
	for _, w := range weights {
		if w > 0 {
			divisor = gcd(w, divisor)
		}
	}
	for i, w := range weights {
		if w > 0 {
			shares = append(shares, share{int32(i), w / divisor})
			total += w / divisor
		}
	}
	return shares, total
}

func gcd(a, b int) int {
	for b != 0 {
		a, b = b, a%b
	}
	return a
}

// textbook gives each place to whoever is owed most, the first among equals: everybody earns its share
// with each place, and who gets one pays the total.
func textbook(shares []share, total int) []int32 {
	owed := make([]int, len(shares))
	out := make([]int32, total)
	for slot := range out {
		best := 0
		for i := range shares {
			owed[i] += shares[i].places
			if owed[i] > owed[best] {
				best = i
			}
		}
		owed[best] -= total
		out[slot] = shares[best].index
	}
	return out
}

// byDeadline cuts the circle for each index into as many equal parts as it has places, and puts one
// place into each part: among those whose part has begun, whoever's ends first goes first. That this
// always works out is the optimality of earliest deadline first with a load of exactly one.
func byDeadline(shares []share, total int) []int32 {
	starts := make([]int32, total) // slot → first of a list of shares whose next part begins there, plus one
	next := make([]int32, len(shares))
	done := make([]int, len(shares)) // places given
	for i := len(shares) - 1; i >= 0; i-- {
		next[i], starts[0] = starts[0], int32(i)+1
	}

	ready := make(deadlines, 0, len(shares)) // of parts that have begun
	out := make([]int32, total)
	for slot := range out {
		for i := starts[slot] - 1; i >= 0; i = next[i] - 1 {
			end := ((done[i]+1)*total + shares[i].places - 1) / shares[i].places
			ready.push(deadline(end)<<32 | deadline(i))
		}
		i := int32(ready.pop())
		out[slot] = shares[i].index
		done[i]++
		if done[i] < shares[i].places {
			begin := max(done[i]*total/shares[i].places, slot+1)
			next[i], starts[begin] = starts[begin], i+1
		}
	}
	return out
}
