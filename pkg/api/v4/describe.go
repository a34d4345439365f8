package v4

// Property describes a member of an object.
type Property struct {
	Key, What string
	Kind      string // as in a JSON schema; empty: a number or a text
	Nullable  bool
	Words     []string // that it may be; empty: any
	Min, Max  int64    // both 0: any
	ReadOnly  bool     // requests may send it back, and it stays as it is
	Hidden    bool     // answers leave it out at times
}

// Objects are the members of those that requests make and change, in the order of an answer.
func Objects() map[string][]Property {
	return map[string][]Property{
		"NodeBalancer": described(balancerProperties), "NodeBalancerConfig": described(configProperties),
		"NodeBalancerNode": described(nodeProperties),
	}
}

func described[T any](table []property[T]) (out []Property) {
	for i := range table {
		p := &table[i]
		out = append(out, Property{
			Key: p.key, What: p.what, Kind: p.shape.kind, Nullable: p.shape.nullable, Words: p.shape.words,
			Min: p.shape.limit.Min, Max: p.shape.limit.Max, ReadOnly: p.access == readOnly, Hidden: p.hidden != nil,
		})
	}
	return out
}

// Routes are what is served below each of Prefixes: paths, and their methods.
func Routes() map[string][]string {
	out := map[string][]string{}
	for _, r := range (&Server{}).routes() {
		for method := range r.methods.by {
			out[r.path] = append(out[r.path], method)
		}
	}
	return out
}
