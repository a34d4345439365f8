package v4

import (
	"bytes"
	"encoding/json"
	"iter"
	"maps"

	"github.com/headgate/headgate/pkg/lb"
)

// access says who may write a property, and when.
type access int

const (
	readWrite  access = iota
	readOnly          // requests that name it are not refused, and it stays as it is
	createOnly        // a change that names it must leave it as it is
)

// property is one member of an object: how answers show it, and how requests set it.
type property[T any] struct {
	key    string
	what   string // it is, in a sentence for the description
	shape  shape
	access access
	// show gives the value for an answer.
	show func(t *T) any
	// take puts the value of a request there, or says why not. Nil for what is read only.
	take func(t *T, v value) (reason string)
	// hidden says that an answer leaves it out. Nil: it never does.
	hidden func(t *T) bool
}

// shape is what a value may be, as OpenAPI describes it.
type shape struct {
	kind     string // string, integer, number, boolean, array (of strings), object; empty: a number or a text
	nullable bool
	words    []string // that it may be, the default first
	limit    lb.Limit // of an integer; zero: none
}

// members is a JSON object that keeps its order.
type members []member

type member struct {
	key   string
	value any
}

// MarshalJSON implements json.Marshaler.
func (m members) MarshalJSON() ([]byte, error) {
	var out bytes.Buffer
	out.WriteByte('{')
	for i, each := range m {
		if i > 0 {
			out.WriteByte(',')
		}
		key, err := json.Marshal(each.key)
		if err != nil {
			return nil, err
		}
		data, err := json.Marshal(each.value)
		if err != nil {
			return nil, err
		}
		out.Write(key)
		out.WriteByte(':')
		out.Write(data)
	}
	out.WriteByte('}')
	return out.Bytes(), nil
}

// show gives an object as an answer has it.
func show[T any](table []property[T], t *T) members {
	m := make(members, 0, len(table))
	for i := range table {
		p := &table[i]
		if p.hidden == nil || !p.hidden(t) {
			m = append(m, member{p.key, p.show(t)})
		}
	}
	return m
}

// create takes all that a request says of a new object.
func create[T any](table []property[T], o *object, t *T) {
	for i := range table {
		p := &table[i]
		v, given := o.take(p.key)
		if given && p.take != nil {
			if reason := p.take(t, v); reason != "" {
				o.fault(p.key, "%s", reason)
			}
		}
	}
	o.end()
}

// update takes what a request changes of an object. A value that is the one shown changes nothing, whatever it
// is: clients send back what they were answered.
func update[T any](table []property[T], o *object, t *T) {
	shown := make([]any, len(table))
	for i := range table {
		if _, given := o.values[table[i].key]; given {
			shown[i] = table[i].show(t)
		}
	}
	for i := range table {
		p := &table[i]
		v, given := o.take(p.key)
		switch {
		case !given || p.access == readOnly || v.says(shown[i]):
		case p.access == createOnly:
			o.fault(p.key, "cannot be changed any more")
		default:
			if reason := p.take(t, v); reason != "" {
				o.fault(p.key, "%s", reason)
			}
		}
	}
	o.end()
}

func keysOf[V any](m map[string]V) iter.Seq[string] { return maps.Keys(m) }
