package lb

import (
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"time"
)

// Form is how a value is written: in a file, in JSON and after a flag.
type Form int

// Forms of values.
const (
	Text     Form = iota // letters that mean something to the field alone
	Word                 // one of Field.Words
	Number               // decimal digits
	Duration             // 250ms, 2s or 1h; or whole seconds in digits
	Endpoint             // IP:PORT or [IPV6]:PORT
	Truth                // true or false
	Part                 // decimal digits, or a number of hundredths as in 50%
)

// Field is one key of a T, which is a Balancer, a Config or a Node. The tables of fields are the only list of
// keys that there is: the file, its export, the commands' flags, the API's requests and the plan of a change go
// by them, so that a field which is added there is known everywhere.
type Field[T any] struct {
	Key   string   // as in the file and in JSON; as a flag it has dashes
	What  string   // it is for, in a line of --help: the name of its value stands in backquotes
	Form  Form     // of its value
	Must  string   // what a value must be, as in "a number from 1 to 255"
	Words []string // that a Word may be, the default first; true and false of a Truth
	Named bool     // t is known by it: it has no default

	set    func(*T, string) error
	get    func(*T) string
	reason func(*T) string
	clear  func(*T)
	spoil  func(*T)
}

// Set reads text and keeps what it says. The error says in words what is wrong with it, for one line after
// the field's name; then t is as it was.
func (f *Field[T]) Set(t *T, text string) error { return f.set(t, text) }

// Get writes the value as Set reads it; "" stands for none.
func (f *Field[T]) Get(t *T) string { return f.get(t) }

// Reason says in words why the value that t has is not allowed, or "" when it is.
func (f *Field[T]) Reason(t *T) string { return f.reason(t) }

// Clear takes the value away, so that it is the default once SetDefaults has run.
func (f *Field[T]) Clear(t *T) { f.clear(t) }

// Spoil stands for a value that could not be read. It leaves one that is at fault in the same place, where there
// is such a value, so that nothing else is taken for it: whoever reads on finds no fault that only follows.
func (f *Field[T]) Spoil(t *T) { f.spoil(t) }

// kind is what fields of one Go type have in common.
type kind[V comparable] struct {
	form     Form
	must     string
	words    []string
	optional bool // the zero value means none, and is allowed
	named    bool // Field.Named
	cleared  V    // what Clear leaves, if SetDefaults does not know the default
	parse    func(string) (V, error)
	text     func(V) string
	judge    func(V) string // why not, or ""
	spoiled  V              // the zero value: Spoil leaves what is there
}

// of makes a field of a kind that is kept where at says.
func of[T any, V comparable](key, what string, k kind[V], at func(*T) *V) Field[T] {
	var zero V
	return Field[T]{
		Key: key, What: what, Form: k.form, Must: k.must, Words: k.words, Named: k.named,
		set: func(t *T, text string) error {
			v, err := k.parse(text)
			if err != nil {
				return err
			}
			if reason := k.judge(v); reason != "" {
				return errors.New(reason)
			}
			*at(t) = v
			return nil
		},
		get: func(t *T) string {
			if v := *at(t); v != zero || !k.optional {
				return k.text(v)
			}
			return ""
		},
		reason: func(t *T) string {
			if v := *at(t); v != zero || !k.optional {
				return k.judge(v)
			}
			return ""
		},
		clear: func(t *T) { *at(t) = k.cleared },
		spoil: func(t *T) {
			if k.spoiled != zero {
				*at(t) = k.spoiled
			}
		},
	}
}

// or makes the zero value of a kind mean that there is none.
func or[V comparable](k kind[V]) kind[V] {
	k.optional = true
	return k
}

// startingAt makes the field of a kind start with a value that is not zero.
func startingAt[V comparable](k kind[V], def V) kind[V] {
	k.cleared = def
	return k
}

// name makes a kind one that its T is known by.
func name[V comparable](k kind[V]) kind[V] {
	k.named = true
	return k
}

// word is one of those that are allowed.
func word[V ~string](allowed []V) kind[V] {
	words := make([]string, len(allowed))
	for i, w := range allowed {
		words[i] = string(w)
	}
	return kind[V]{
		form: Word, must: "a text", words: words, spoiled: "?",
		parse: func(s string) (V, error) { return V(s), nil },
		text:  func(v V) string { return string(v) },
		judge: func(v V) string { return WordReason(v, allowed) },
	}
}

// only is a field that has one word, which needs no place.
func only[T any](key, what, word string) Field[T] {
	return Field[T]{
		Key: key, What: what, Form: Word, Must: "a text", Words: []string{word},
		set: func(_ *T, text string) error {
			if reason := WordReason(text, []string{word}); reason != "" {
				return errors.New(reason)
			}
			return nil
		},
		get:    func(*T) string { return word },
		reason: func(*T) string { return "" },
		clear:  func(*T) {},
		spoil:  func(*T) {},
	}
}

// plainDigits is how a number is written: YAML knows others too (0x1f, 0o17, 1_000), and 010 means 8 to some
// and 10 to others.
var plainDigits = regexp.MustCompile(`^-?(0|[1-9][0-9]*)$`)

// ParseNumber reads a number inside limit. The error says in words what it must be.
func ParseNumber(s string, limit Limit) (int64, error) {
	v, err := strconv.ParseInt(s, 10, 64)
	if err != nil || !plainDigits.MatchString(s) {
		return 0, fmt.Errorf("must be %s in plain digits, not %s", limit.Must(), s)
	}
	if reason := limit.Reason(v); reason != "" {
		return 0, errors.New(reason)
	}
	return v, nil
}

// number is one inside limit, which V can hold.
func number[V int | uint16](limit Limit) kind[V] {
	return kind[V]{
		form: Number, must: limit.Must(),
		parse: func(s string) (V, error) {
			v, err := ParseNumber(s, limit)
			return V(v), err
		},
		text:  func(v V) string { return strconv.Itoa(int(v)) },
		judge: func(v V) string { return limit.Reason(int64(v)) },
	}
}

// flag is true or false, and false by default.
func flag() kind[bool] {
	const must = "true or false"
	return kind[bool]{
		form: Truth, must: must, words: []string{"true", "false"},
		parse: func(s string) (bool, error) {
			if s != "true" && s != "false" {
				return false, fmt.Errorf("must be %s, not %q", must, s)
			}
			return s == "true", nil
		},
		text:  strconv.FormatBool,
		judge: func(bool) string { return "" },
	}
}

const durationMust = "a duration such as 250ms, 2s or 1h, or whole seconds"

// span is a duration inside s.
func span(s Span) kind[time.Duration] {
	return kind[time.Duration]{
		form: Duration, must: durationMust,
		parse: parseDuration, text: FormatDuration, judge: s.Reason,
	}
}

// deadlineNone is how people write NoDeadline.
const deadlineNone = "none"

// deadline is a duration inside DeadlineSpan, or none.
func deadline() kind[time.Duration] {
	k := span(DeadlineSpan)
	k.must += ", or " + deadlineNone
	k.parse = func(s string) (time.Duration, error) {
		if s == deadlineNone {
			return NoDeadline, nil
		}
		d, err := parseDuration(s)
		if err != nil {
			err = fmt.Errorf("must be %s, not %q", k.must, s)
		}
		return d, err
	}
	k.text = func(d time.Duration) string {
		if d == NoDeadline {
			return deadlineNone
		}
		return FormatDuration(d)
	}
	k.judge = func(d time.Duration) string {
		if d == NoDeadline {
			return ""
		}
		return DeadlineSpan.Reason(d)
	}
	return k
}

func parseDuration(s string) (time.Duration, error) {
	text := s
	if plainDigits.MatchString(s) {
		text += "s"
	}
	d, err := time.ParseDuration(text)
	if err != nil {
		return 0, fmt.Errorf("must be %s, not %q", durationMust, s)
	}
	return d, nil
}
