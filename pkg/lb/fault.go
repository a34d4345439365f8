package lb

import (
	"strings"
	"unicode/utf8"
)

// Fault is one thing that is wrong with what people declared. Path names the field, as in
// `balancers[0].configs[1].nodes[2].weight`; Reason says what is allowed there.
type Fault struct{ Path, Reason string }

// String is `path: reason`.
func (f Fault) String() string { return f.Path + ": " + f.Reason }

// Faults is all that is wrong with a declaration, as an error.
type Faults []Fault

// Error joins the faults into one line.
func (f Faults) Error() string {
	lines := make([]string, len(f))
	for i := range f {
		lines[i] = f[i].String()
	}
	return strings.Join(lines, "; ")
}

// reasonMost is how long a reason may be, in bytes: no sentence of ours is nearly as long, but some quote what
// somebody wrote.
const reasonMost = 1000

// Shorten cuts what is said to a length that people and logs can bear.
func Shorten(reason string) string {
	if len(reason) <= reasonMost {
		return reason
	}
	end := reasonMost
	for !utf8.RuneStart(reason[end]) {
		end--
	}
	return reason[:end] + "…"
}
