package schedule

// MaxPlaces is the longest sequence that is made. Making one takes its length times the number of weights, and
// beyond some thousands of flows nobody can tell it from a table that is drawn from evenly (Alias).
const MaxPlaces = 4096

// Smooth is smooth weighted round robin: a sequence of indices into weights in which index i stands
// exactly weights[i]/gcd times, spread as evenly as can be, so that whoever walks it in circles serves
// everybody by weight at any moment. A weight of 0 or less gets no place. The result is nil when
// nobody has a place, or when there would be more than MaxPlaces.
//
// The order is the textbook's: 5, 3, 2 over ten places are 0 1 2 0 0 1 0 2 1 0.
func Smooth(weights []int) []int32 {
	w, total := reduce(weights)
	switch {
	case total == 0 || total > MaxPlaces:
		return nil
	case len(w) == total: // all equal
		out := make([]int32, total)
		for i := range w {
			out[i] = w[i].index
		}
		return out
	}
	return textbook(w, total)
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
