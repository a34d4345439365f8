package v4

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/headgate/headgate/pkg/lb"
)

// declared makes a property of a key of the vocabulary, which a T keeps in the S that at gives.
func declared[T, S any](table []lb.Field[S], key, what string, at func(*T) *S) property[T] {
	f := fieldOf(table, key)
	return property[T]{
		key: key, what: what, shape: shapeOf(f),
		show: func(t *T) any { return shown(f, at(t)) },
		take: func(t *T, v value) string { return take(f, at(t), v) },
	}
}

// extensions makes properties of the keys of the vocabulary that are no properties yet. standard gives a T like
// another but with every default, to leave out what is as it was.
func extensions[T, S any](properties []property[T], table []lb.Field[S], at func(*T) *S, standard func(*S) *S, others ...string) []property[T] {
	for i := range table {
		f := &table[i]
		known := func(p property[T]) bool { return p.key == f.Key }
		if slices.ContainsFunc(properties, known) || slices.Contains(others, f.Key) {
			continue
		}
		p := declared(table, f.Key, strings.ReplaceAll(f.What, "`", ""), at)
		p.hidden = func(t *T) bool { return f.Get(at(t)) == f.Get(standard(at(t))) }
		properties = append(properties, p)
	}
	return properties
}

func fieldOf[S any](table []lb.Field[S], key string) *lb.Field[S] {
	i := slices.IndexFunc(table, func(f lb.Field[S]) bool { return f.Key == key })
	if i < 0 {
		panic("no key " + key + " in the vocabulary") // found by the first test
	}
	return &table[i]
}

func shapeOf[S any](f *lb.Field[S]) shape {
	switch f.Form {
	case lb.Number:
		return shape{kind: "integer", nullable: optional(f)}
	case lb.Duration:
		return shape{} // seconds, or a word such as none
	case lb.Truth:
		return shape{kind: "boolean"}
	}
	return shape{kind: "string", words: f.Words}
}

// optional says that a key may have no value.
func optional[S any](f *lb.Field[S]) bool {
	var none S
	return f.Get(&none) == "" && f.Reason(&none) == ""
}

// shown is the value of a key of the vocabulary in JSON: durations are seconds. No text is an empty one, no
// number is null.
func shown[S any](f *lb.Field[S], s *S) any {
	text := f.Get(s)
	switch f.Form {
	case lb.Number:
		if n, err := strconv.Atoi(text); err == nil {
			return n
		}
		return nil
	case lb.Duration:
		if d, err := time.ParseDuration(text); err == nil {
			return seconds(d)
		}
	case lb.Truth:
		return text == "true"
	}
	return text
}

// seconds is a duration as the API has it: a whole number where it is one.
func seconds(d time.Duration) any {
	if d%time.Second == 0 {
		return int(d / time.Second)
	}
	return d.Seconds()
}

// take sets a key of the vocabulary, or says why not.
func take[S any](f *lb.Field[S], s *S, v value) string {
	if (v.isNull() || string(v) == `""`) && optional(f) {
		f.Clear(s)
		return ""
	}
	text, reason := written(f.Form, f.Must, v)
	if reason != "" {
		return reason
	}
	if err := f.Set(s, text); err != nil {
		return err.Error()
	}
	return ""
}

// written is a value as the vocabulary reads it.
func written(form lb.Form, must string, v value) (text, reason string) {
	wrong := "must be " + must + ", not " + v.kind()
	switch form {
	case lb.Number:
		if _, err := strconv.ParseInt(string(v), 10, 64); err != nil {
			return "", wrong
		}
		return string(v), ""
	case lb.Truth:
		if _, reason := v.boolean(); reason != "" {
			return "", wrong
		}
		return string(v), ""
	case lb.Duration:
		if v.isText() {
			break
		}
		n, err := strconv.ParseFloat(string(v), 64)
		if err != nil || n < 0 || n > 1e9 {
			return "", "must be a number of seconds, or " + must + ", not " + v.kind()
		}
		return lb.FormatDuration(time.Duration(n * float64(time.Second)).Round(time.Microsecond)), ""
	}
	return v.text()
}

// fixed makes a property that has one value, which is sent back, and that nothing else can be set to.
func fixed[T any](key, what string, s shape, val any, why string) property[T] {
	return property[T]{
		key: key, what: what, shape: s,
		show: func(*T) any { return val },
		take: func(_ *T, v value) string {
			if v.says(val) || v.isNothing() {
				return ""
			}
			return why
		},
	}
}

// constant makes a property that is only read.
func constant[T any](key, what string, s shape, val any) property[T] {
	return property[T]{key: key, what: what, shape: s, access: readOnly, show: func(*T) any { return val }}
}

// wholeSeconds is for durations that version 4 has in whole seconds, inside limit.
func wholeSeconds[T any](key, what string, limit lb.Limit, at func(*T) *time.Duration) property[T] {
	return property[T]{
		key: key, what: what, shape: shape{kind: "integer", limit: limit},
		show: func(t *T) any { return int((*at(t) + time.Second - 1) / time.Second) },
		take: func(t *T, v value) string {
			n, reason := v.integer(limit)
			if reason == "" {
				*at(t) = time.Duration(n) * time.Second
			}
			return reason
		},
	}
}

// milliseconds is the extension beside whole seconds: it is shown when those do not tell the truth.
func milliseconds[T any](key, what string, whole lb.Limit, span lb.Span, at func(*T) *time.Duration) property[T] {
	limit := lb.Limit{Min: span.Min.Milliseconds(), Max: span.Max.Milliseconds()}
	return property[T]{
		key: key, what: what, shape: shape{kind: "integer", limit: limit},
		show: func(t *T) any { return int(at(t).Milliseconds()) },
		take: func(t *T, v value) string {
			n, reason := v.integer(limit)
			if reason == "" {
				*at(t) = time.Duration(n) * time.Millisecond
			}
			return reason
		},
		hidden: func(t *T) bool {
			d := *at(t)
			return d%time.Second == 0 && whole.Reason(int64(d/time.Second)) == ""
		},
	}
}

// oneOf says why s is none of words.
func oneOf(s string, words []string) string {
	if slices.Contains(words, s) {
		return ""
	}
	return fmt.Sprintf("must be one of %s, not %q", strings.Join(words, ", "), s)
}
