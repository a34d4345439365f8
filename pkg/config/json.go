package config

import (
	"bytes"
	"fmt"
	"regexp"

	"go.yaml.in/yaml/v3"
)

// YAML writes a JSON value as YAML in block style, its keys in the same order.
func YAML(json []byte) ([]byte, error) {
	var doc yaml.Node
	if err := yaml.Unmarshal(json, &doc); err != nil { // JSON is YAML
		return nil, fmt.Errorf("read json: %w", err)
	}
	block(&doc)
	var out bytes.Buffer
	enc := yaml.NewEncoder(&out)
	enc.SetIndent(2)
	if err := enc.Encode(&doc); err != nil {
		return nil, fmt.Errorf("write yaml: %w", err)
	}
	if err := enc.Close(); err != nil {
		return nil, fmt.Errorf("write yaml: %w", err)
	}
	return out.Bytes(), nil
}

// oldBool is what readers of YAML 1.1 take for a truth value.
var oldBool = regexp.MustCompile(`^(?i:y|n|yes|no|on|off)$`)

// block drops the style of JSON, all but empty lists and mappings; the encoder quotes again what
// would not read as a text without quotes.
func block(n *yaml.Node) {
	if n.Kind == yaml.ScalarNode || len(n.Content) > 0 {
		n.Style = 0
	}
	if n.Kind == yaml.ScalarNode && oldBool.MatchString(n.Value) {
		n.Style = yaml.DoubleQuotedStyle
	}
	for _, c := range n.Content {
		block(c)
	}
}
