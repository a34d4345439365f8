package v4

import (
	"bytes"
	"encoding/json"
	"fmt"
	"reflect"
	"strconv"
	"unicode/utf8"

	"github.com/headgate/headgate/pkg/lb"
)

// value is what a request says for one key: JSON that is known to be well-formed. Its methods give it as a Go
// type, or the reason why it is none.
type value json.RawMessage

func (v value) isNull() bool { return string(v) == "null" }

// isNothing says that clients write v where they mean nothing: null, 0, "", false, [] and {}.
func (v value) isNothing() bool {
	switch string(v) {
	case "null", "0", `""`, "false", "[]", "{}":
		return true
	}
	return false
}

func (v value) isText() bool { return len(v) > 0 && v[0] == '"' }

func (v value) text() (s, reason string) {
	if !v.isText() {
		return "", "must be a text, not " + v.kind()
	}
	if !utf8.Valid(v) {
		return "", "must be a text in UTF-8"
	}
	if err := json.Unmarshal(v, &s); err != nil {
		return "", "must be a text, not " + v.kind()
	}
	return s, ""
}

func (v value) integer(limit lb.Limit) (n int, reason string) {
	i, err := strconv.ParseInt(string(v), 10, 64)
	if err != nil {
		return 0, fmt.Sprintf("must be %s, not %s", limit.Must(), v.kind())
	}
	return int(i), limit.Reason(i)
}

func (v value) boolean() (b bool, reason string) {
	switch string(v) {
	case "true":
		return true, ""
	case "false":
		return false, ""
	}
	return false, "must be true or false, not " + v.kind()
}

// words is a list of texts; null is an empty one.
func (v value) words() (list []string, reason string) {
	if v.isNull() {
		return nil, ""
	}
	var raw []json.RawMessage
	if err := json.Unmarshal(v, &raw); err != nil {
		return nil, "must be a list of texts, not " + v.kind()
	}
	for _, r := range raw {
		s, reason := value(r).text()
		if reason != "" {
			return nil, "must be a list of texts"
		}
		list = append(list, s)
	}
	return list, ""
}

// kind says in words what v is.
func (v value) kind() string {
	if len(v) == 0 {
		return "nothing"
	}
	switch v[0] {
	case '{':
		return "an object"
	case '[':
		return "a list"
	case '"':
		return "a text"
	case 't', 'f':
		return "the truth value " + string(v)
	case 'n':
		return "null"
	}
	if len(v) > 20 {
		return "a number of that many digits"
	}
	return "the number " + string(v)
}

// says reports whether v is what an answer shows as shown.
func (v value) says(shown any) bool {
	data, err := json.Marshal(shown)
	if err != nil {
		return false
	}
	if bytes.Equal(v, data) {
		return true
	}
	var a, b any
	return json.Unmarshal(v, &a) == nil && json.Unmarshal(data, &b) == nil && reflect.DeepEqual(a, b)
}
