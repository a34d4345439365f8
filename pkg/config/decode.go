package config

import (
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"unicode"

	"go.yaml.in/yaml/v3"

	"github.com/headgate/headgate/pkg/lb"
)

// decoder walks the nodes of one file, fills file and notes every fault on the way. Each of its
// methods for a value says whether there is one; when not, a fault is noted.
type decoder struct {
	name   string
	file   *File
	faults Faults
	known  map[string]bool // paths that have a fault
	broken map[string]bool // paths where a mapping should be: nothing inside them was read
}

// field is a key of a mapping and what to do with its value.
type field struct {
	key    string
	decode func(n *yaml.Node, path string)
}

func (d *decoder) add(n *yaml.Node, path, format string, args ...any) {
	if d.known == nil {
		d.known = map[string]bool{}
	}
	d.known[path] = true
	d.faults = append(d.faults, Fault{d.name, n.Line, n.Column, path, oneLine(fmt.Sprintf(format, args...))})
}

// oneLine keeps what a file holds from breaking the lines, or the terminal, of who reads the fault.
func oneLine(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) {
			return r
		}
		return ' '
	}, lb.Shorten(s))
}

// addUnlessKnown notes a fault of validation unless the value could not even be read: then what was
// validated is not what the file says.
func (d *decoder) addUnlessKnown(n *yaml.Node, path, reason string) {
	if d.known[path] {
		return
	}
	for outer := path; outer != ""; outer = outer[:max(strings.LastIndexAny(outer, ".["), 0)] {
		if d.broken[outer] {
			return
		}
	}
	d.add(n, path, "%s", reason)
}

// mapping hands each value of n to its field. It refuses keys that are unknown or stand there twice,
// and notes where n is no mapping at all.
func (d *decoder) mapping(n *yaml.Node, path string, fields []field) {
	if !d.written(n, path) || n.Kind != yaml.MappingNode {
		if !d.known[path] {
			d.add(n, path, "must be a mapping of %s, not %s", keys(fields), kind(n))
		}
		if d.broken == nil {
			d.broken = map[string]bool{}
		}
		d.broken[path] = true
		return
	}
	seen := make(map[string]int, len(n.Content)/2) // key → line
	for i := 0; i+1 < len(n.Content); i += 2 {
		k, v := n.Content[i], n.Content[i+1]
		if k.Kind != yaml.ScalarNode || k.ShortTag() == "!!merge" {
			d.add(k, path, "%s cannot be a key here: the keys are %s", kind(k), keys(fields))
			continue
		}
		inner := join(path, keyName(k.Value))
		f := find(fields, k.Value)
		if f == nil {
			d.add(k, inner, "unknown key%s", hint(k.Value, fields))
			continue
		}
		if line, twice := seen[k.Value]; twice {
			d.add(k, inner, "is already set in line %d", line)
			continue
		}
		seen[k.Value] = k.Line
		f.decode(v, inner)
	}
}

// sequence hands each element of n to each.
func (d *decoder) sequence(n *yaml.Node, path string, each func(n *yaml.Node, path string)) {
	if !d.written(n, path) {
		return
	}
	if n.Kind != yaml.SequenceNode {
		d.add(n, path, "must be a list, not %s", kind(n))
		return
	}
	for i, v := range n.Content {
		each(v, path+"["+strconv.Itoa(i)+"]")
	}
}

// written refuses what stands for another value. Aliases could multiply a small file without bounds.
func (d *decoder) written(n *yaml.Node, path string) bool {
	switch {
	case n.Kind == yaml.AliasNode:
		d.add(n, path, "is an alias: write the value itself")
	case n.ShortTag() == "!!null" && required(path):
		d.add(n, path, "is required: write a value")
	case n.ShortTag() == "!!null":
		d.add(n, path, "has no value: write one ([] for an empty list), or leave the key out")
	default:
		return true
	}
	return false
}

// required says that the key at path cannot be left out; those that cannot are required wherever they stand.
func required(path string) bool {
	return slices.Contains([]string{"label", "port", "address"}, path[strings.LastIndexByte(path, '.')+1:])
}

func (d *decoder) text(n *yaml.Node, path string) (string, bool) {
	switch {
	case !d.written(n, path):
	case n.Kind != yaml.ScalarNode:
		d.add(n, path, "must be a text, not %s", kind(n))
	case n.ShortTag() != "!!str":
		d.add(n, path, "must be a text, not %s: write %q with quotes", kind(n), n.Value)
	case n.Value == "" && required(path):
		d.add(n, path, "is required: write a value")
	case n.Value == "":
		d.add(n, path, "is empty: write a value, or leave the key out")
	default:
		return n.Value, true
	}
	return "", false
}

// word takes a text that is one of allowed.
func (d *decoder) word(n *yaml.Node, path string, allowed ...string) (string, bool) {
	s, ok := d.text(n, path)
	if !ok {
		return "", false
	}
	if reason := lb.WordReason(s, allowed); reason != "" {
		d.add(n, path, "%s", reason)
		return "", false
	}
	return s, true
}

// scalar takes the text of a value that is written in that form; must says what it should be.
func (d *decoder) scalar(n *yaml.Node, path string, form lb.Form, must string) (string, bool) {
	var tags []string
	switch form {
	case lb.Number:
		tags = []string{"!!int"}
	case lb.Duration, lb.Part:
		tags = []string{"!!str", "!!int"}
	case lb.Truth:
		tags = []string{"!!bool"}
	default:
		return d.text(n, path)
	}
	if !d.written(n, path) {
		return "", false
	}
	if n.Kind != yaml.ScalarNode || !slices.Contains(tags, n.ShortTag()) {
		d.add(n, path, "must be %s, not %s", must, kind(n))
		return "", false
	}
	return n.Value, true
}

func (d *decoder) address(n *yaml.Node, path string) (netip.Addr, bool) {
	s, ok := d.text(n, path)
	if !ok {
		return netip.Addr{}, false
	}
	a, err := netip.ParseAddr(s)
	if err != nil {
		d.add(n, path, "%q is not an IP address", s)
		return netip.Addr{}, false
	}
	return a, true
}

// kind says in words what n is.
func kind(n *yaml.Node) string {
	switch n.Kind {
	case yaml.MappingNode:
		return "a mapping"
	case yaml.SequenceNode:
		return "a list"
	case yaml.AliasNode:
		return "an alias"
	}
	switch tag := n.ShortTag(); tag {
	case "!!str":
		return fmt.Sprintf("the text %q", n.Value)
	case "!!int", "!!float":
		return "the number " + n.Value
	case "!!bool":
		return "the truth value " + n.Value
	case "!!null":
		return "nothing"
	case "!!timestamp":
		return "the date " + n.Value
	default:
		return fmt.Sprintf("a value of type %q", strings.TrimPrefix(tag, "!!"))
	}
}

// keyName is the key itself if it looks like one, or else in quotes and cut to what fits a line.
func keyName(key string) string {
	const most = 40
	if len(key) > most {
		return strconv.Quote(strings.ToValidUTF8(key[:most], "") + "…")
	}
	if strings.ContainsFunc(key, func(r rune) bool { return r != '_' && r != '-' && !unicode.IsLetter(r) && !unicode.IsDigit(r) }) || key == "" {
		return strconv.Quote(key)
	}
	return key
}

func join(path, key string) string {
	if path == "" {
		return key
	}
	return path + "." + key
}
