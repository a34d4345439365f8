package config

import (
	"bytes"
	"errors"
	"io"
	"regexp"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// parseYAML returns the only value of the only document in data.
func parseYAML(name string, data []byte) (*yaml.Node, Faults) {
	dec := yaml.NewDecoder(bytes.NewReader(data))
	var doc, second yaml.Node
	switch err := dec.Decode(&doc); {
	case errors.Is(err, io.EOF):
		return nil, Faults{{name, 1, 1, "", "is empty: write at least interfaces and balancers"}}
	case err != nil:
		return nil, Faults{syntaxFault(name, data, err)}
	}
	root := doc.Content[0]
	if root.ShortTag() == "!!null" {
		return nil, Faults{{name, root.Line, root.Column, "", "is empty: write at least interfaces and balancers"}}
	}
	switch err := dec.Decode(&second); {
	case err == nil:
		return nil, Faults{{name, second.Line, second.Column, "", "a second document begins here: a file holds one"}}
	case !errors.Is(err, io.EOF):
		return nil, Faults{syntaxFault(name, data, err)}
	}
	return root, nil
}

var yamlError = regexp.MustCompile(`(?s)^yaml: (?:line (\d+): )?(.*)$`)

// syntaxFault takes the line out of the library's message, which is the only place where it stands.
// The column is not told. For a tab, the commonest mistake, the line is that of the value before it:
// there the tab itself is looked for.
func syntaxFault(name string, data []byte, err error) Fault {
	f := Fault{File: name, Line: 1, Col: 1, Reason: err.Error()}
	if m := yamlError.FindStringSubmatch(err.Error()); m != nil {
		f.Reason = m[2]
		if n, err := strconv.Atoi(m[1]); err == nil {
			f.Line = n
		}
	}
	if strings.Contains(f.Reason, "tab character") {
		f.Line, f.Col = indentingTab(data, f.Line)
		f.Reason += ": indent with spaces"
	}
	f.Reason = oneLine("is not YAML: " + f.Reason)
	return f
}

// indentingTab finds the first tab in the indentation of a line from that one on; both count from 1.
func indentingTab(data []byte, from int) (line, col int) {
	for i, text := range strings.Split(string(data), "\n") {
		indent := text[:len(text)-len(strings.TrimLeft(text, " \t"))]
		if tab := strings.IndexByte(indent, '\t'); tab >= 0 && i+1 >= from {
			return i + 1, tab + 1
		}
	}
	return from, 1
}

// place finds where the value at path stands, such as balancers[0].configs[1].port; where it is left
// out, the place of the innermost value around it.
func place(root *yaml.Node, path string) *yaml.Node {
	at := root
	for path != "" {
		var key string
		if strings.HasPrefix(path, "[") {
			key, path, _ = strings.Cut(path[1:], "]")
			i, err := strconv.Atoi(key)
			if err != nil || at.Kind != yaml.SequenceNode || i >= len(at.Content) {
				return at
			}
			at = at.Content[i]
			continue
		}
		path = strings.TrimPrefix(path, ".")
		end := strings.IndexAny(path, ".[")
		if end < 0 {
			end = len(path)
		}
		key, path = path[:end], path[end:]
		value := lookup(at, key)
		if value == nil {
			return at
		}
		at = value
	}
	return at
}

func lookup(mapping *yaml.Node, key string) *yaml.Node {
	if mapping.Kind != yaml.MappingNode {
		return nil
	}
	for i := 0; i+1 < len(mapping.Content); i += 2 {
		if mapping.Content[i].Value == key {
			return mapping.Content[i+1]
		}
	}
	return nil
}
