package lb

import "strings"

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
