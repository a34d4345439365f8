package config

import (
	"fmt"
	"strings"
)

func find(fields []field, key string) *field {
	for i := range fields {
		if fields[i].key == key {
			return &fields[i]
		}
	}
	return nil
}

func keys(fields []field) string {
	names := make([]string, len(fields))
	for i := range fields {
		names[i] = fields[i].key
	}
	return strings.Join(names, ", ")
}

// notYet are keys that belong to what is not there yet, with what there is instead. They are not taken for
// a key that reads alike; each stands beside a key that is known.
var notYet = map[string]struct{ beside, instead string }{
	"proxy_protocol": {"protocol", "nodes see the balancer's address"},
}

// hint says what there is instead of an unknown key: the known one that it is nearest to, or else all.
func hint(unknown string, fields []field) string {
	if k, ok := notYet[unknown]; ok && find(fields, k.beside) != nil {
		return ": there is no such thing yet, " + k.instead
	}
	plain := strings.ReplaceAll(strings.ToLower(unknown), "-", "_")
	best, least := "", 1+len(plain)/4
	for i := range fields {
		if n := distance(plain, fields[i].key); n < least || n == least && best == "" {
			best, least = fields[i].key, n
		}
	}
	if best != "" {
		return fmt.Sprintf(": did you mean %s?", best)
	}
	return fmt.Sprintf(" (there are: %s)", keys(fields))
}

// distance is how many letters have to be put in, left out or replaced to make b of a.
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := diagonal
			if a[i] != b[j] {
				cost = 1 + min(diagonal, row[j], row[j+1])
			}
			diagonal, row[j+1] = row[j+1], cost
		}
	}
	return row[len(b)]
}
