package v4

import (
	"cmp"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/headgate/headgate/pkg/api"
)

// filterDepth and filterSize bound how deep and how large an X-Filter may be.
const (
	filterDepth = 16
	filterSize  = 16 << 10
)

// column is something that a list can be filtered and sorted by: the texts that a T has there.
type column[T any] struct {
	name string
	of   func(*T) []string
}

// filter is what an X-Filter says.
type filter[T any] struct {
	keep  func(*T) bool
	order *column[T] // nil: as it is
	down  bool
}

// apply gives what the filter keeps of a list, in its order.
func (f *filter[T]) apply(list []T) []T {
	var out []T
	for i := range list {
		if f.keep(&list[i]) {
			out = append(out, list[i])
		}
	}
	if f.order != nil {
		slices.SortStableFunc(out, func(a, b T) int {
			c := slices.Compare(f.order.of(&a), f.order.of(&b))
			if f.down {
				return -c
			}
			return c
		})
	}
	return out
}

// readFilter reads the X-Filter of a request. columns are what it may name.
func readFilter[T any](r *http.Request, columns []column[T]) (*filter[T], error) {
	f := &filter[T]{keep: func(*T) bool { return true }}
	text := r.Header.Get("X-Filter")
	if text == "" {
		return f, nil
	}
	p := parser[T]{columns: columns, filter: f}
	keep, err := p.object([]byte(text), 0)
	if len(text) > filterSize {
		err = fmt.Errorf("is larger than %d bytes", filterSize)
	}
	if err != nil {
		return nil, api.BadRequest("X-Filter", "X-Filter %v", err)
	}
	f.keep = keep
	return f, nil
}

// parser reads an X-Filter.
type parser[T any] struct {
	columns []column[T]
	filter  *filter[T]
}

type test[T any] = func(*T) bool

// object reads conditions that all must hold, and at the top how to sort.
func (p *parser[T]) object(data []byte, depth int) (test[T], error) {
	var values map[string]json.RawMessage
	if err := json.Unmarshal(data, &values); err != nil || values == nil {
		return nil, fmt.Errorf("must be a JSON object")
	}
	if depth > filterDepth {
		return nil, fmt.Errorf("is nested too deep")
	}
	var tests []test[T]
	for _, key := range slices.Sorted(keysOf(values)) {
		raw := values[key]
		var t test[T]
		var err error
		switch key {
		case "+and", "+or":
			t, err = p.list(key, raw, depth)
		case "+order_by", "+order":
			err = p.sort(key, raw, depth)
		default:
			t, err = p.condition(key, raw)
		}
		if err != nil {
			return nil, err
		}
		if t != nil {
			tests = append(tests, t)
		}
	}
	return func(t *T) bool {
		return !slices.ContainsFunc(tests, func(holds test[T]) bool { return !holds(t) })
	}, nil
}

// list reads conditions of which all or one must hold.
func (p *parser[T]) list(key string, data []byte, depth int) (test[T], error) {
	var raw []json.RawMessage
	if err := json.Unmarshal(data, &raw); err != nil {
		return nil, fmt.Errorf("%s must be a list of objects", key)
	}
	var tests []test[T]
	for _, each := range raw {
		t, err := p.object(each, depth+1)
		if err != nil {
			return nil, err
		}
		tests = append(tests, t)
	}
	holds := func(t *T) func(test[T]) bool { return func(each test[T]) bool { return each(t) } }
	if key == "+or" {
		return func(t *T) bool { return len(tests) == 0 || slices.ContainsFunc(tests, holds(t)) }, nil
	}
	return func(t *T) bool {
		return !slices.ContainsFunc(tests, func(each test[T]) bool { return !each(t) })
	}, nil
}

func (p *parser[T]) sort(key string, data []byte, depth int) error {
	s, reason := value(data).text()
	switch {
	case depth > 0:
		return fmt.Errorf("%s belongs to the outermost object", key)
	case reason != "":
		return fmt.Errorf("%s %s", key, reason)
	case key == "+order" && s != "asc" && s != "desc":
		return fmt.Errorf("+order must be asc or desc, not %q", s)
	case key == "+order":
		p.filter.down = s == "desc"
		return nil
	}
	c, err := p.column(s)
	p.filter.order = c
	return err
}

func (p *parser[T]) column(name string) (*column[T], error) {
	var names []string
	for i := range p.columns {
		if p.columns[i].name == name {
			return &p.columns[i], nil
		}
		names = append(names, p.columns[i].name)
	}
	if len(names) == 0 {
		return nil, fmt.Errorf("cannot filter this list by %q, nor by anything else", name)
	}
	return nil, fmt.Errorf("cannot filter by %q: only by %s", name, strings.Join(names, ", "))
}

// condition reads what one column must be: a text that it equals, or an object of comparisons.
func (p *parser[T]) condition(name string, data []byte) (test[T], error) {
	c, err := p.column(name)
	if err != nil {
		return nil, err
	}
	if s, ok := operand(data); ok {
		return func(t *T) bool { return slices.Contains(c.of(t), s) }, nil
	}
	var ops map[string]json.RawMessage
	if err := json.Unmarshal(data, &ops); err != nil || ops == nil {
		return nil, fmt.Errorf("%s must be a text, or an object such as {\"+contains\": \"web\"}", name)
	}
	var tests []test[T]
	for _, op := range slices.Sorted(keysOf(ops)) {
		s, ok := operand(ops[op])
		compare, known := comparisons[op]
		switch {
		case !known:
			return nil, fmt.Errorf("%s: there is no comparison %q: use +eq, +neq, +gt, +gte, +lt, +lte or +contains", name, op)
		case !ok:
			return nil, fmt.Errorf("%s: %s must be followed by a text", name, op)
		case op == "+neq":
			tests = append(tests, func(t *T) bool { return !slices.Contains(c.of(t), s) })
		default:
			tests = append(tests, func(t *T) bool {
				return slices.ContainsFunc(c.of(t), func(have string) bool { return compare(have, s) })
			})
		}
	}
	return func(t *T) bool {
		return !slices.ContainsFunc(tests, func(each test[T]) bool { return !each(t) })
	}, nil
}

// comparisons are how the text that is there may relate to the one in the filter.
var comparisons = map[string]func(have, want string) bool{
	"+eq":       func(have, want string) bool { return have == want },
	"+neq":      nil, // of none of the texts
	"+gt":       func(have, want string) bool { return cmp.Compare(have, want) > 0 },
	"+gte":      func(have, want string) bool { return cmp.Compare(have, want) >= 0 },
	"+lt":       func(have, want string) bool { return cmp.Compare(have, want) < 0 },
	"+lte":      func(have, want string) bool { return cmp.Compare(have, want) <= 0 },
	"+contains": strings.Contains,
}

// operand is the text in a condition. null stands for what has no value there; a number and a truth value for
// how they are written.
func operand(data []byte) (string, bool) {
	if len(data) == 0 || data[0] == '{' || data[0] == '[' {
		return "", false
	}
	if s, reason := value(data).text(); reason == "" {
		return s, true
	}
	if value(data).isNull() {
		return "", true
	}
	return string(data), true
}
