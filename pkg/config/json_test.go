package config

import (
	"encoding/json"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.yaml.in/yaml/v3"
)

func TestYAMLOfJSONKeepsOrderAndTypes(t *testing.T) {
	in := `[{"z":"text","a":1,"no":"no","num":"12","nul":"null","address":"[2001:db8::1]:80","line":"a\nb",
		"list":[],"map":{},"null":null,"true":true,"rate":1.5,"uni":"→ ü","empty":""}]`
	out, err := YAML([]byte(in))
	if err != nil {
		t.Fatal(err)
	}
	want := `- z: text
  a: 1
  "no": "no"
  num: "12"
  nul: "null"
  address: '[2001:db8::1]:80'
  line: |-
    a
    b
  list: []
  map: {}
  "null": null
  "true": true
  rate: 1.5
  uni: → ü
  empty: ""
`
	if diff := cmp.Diff(want, string(out)); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	var fromYAML, fromJSON any
	if err := yaml.Unmarshal(out, &fromYAML); err != nil {
		t.Fatal(err)
	}
	if err := yaml.Unmarshal([]byte(in), &fromJSON); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(fromJSON, fromYAML); diff != "" {
		t.Errorf("the values differ (-json +yaml)\n%s", diff)
	}
	if !json.Valid([]byte(in)) {
		t.Fatal("the test's own input is not JSON")
	}
}
