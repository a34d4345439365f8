package main

import (
	"encoding/json"
	"os"
	"strings"
	"testing"
)

// schema is as much of one as it takes to know names from each other.
type schema struct {
	Properties           map[string]*schema `json:"properties"`
	Items                *schema            `json:"items"`
	Required             []string           `json:"required"`
	AdditionalProperties json.RawMessage    `json:"additionalProperties"`
}

// described gives the schema of what a path of the API answers.
func described(t *testing.T, path, method string) *schema {
	t.Helper()
	data, err := os.ReadFile("../../pkg/api/openapi.json")
	if err != nil {
		t.Fatal(err)
	}
	var document struct {
		Paths map[string]map[string]struct {
			Responses map[string]struct {
				Content map[string]struct{ Schema *schema }
			}
		}
	}
	if err := json.Unmarshal(data, &document); err != nil {
		t.Fatal(err)
	}
	for _, content := range document.Paths["/headgate/v1"+path][method].Responses["200"].Content {
		return content.Schema
	}
	t.Fatalf("%s %s is not described", method, path)
	return nil
}

// agrees looks for names in v that s does not have.
func (s *schema) agrees(t *testing.T, at string, v any) {
	t.Helper()
	switch v := v.(type) {
	case []any:
		if s.Items == nil {
			t.Errorf("%s: a list, which is not described", at)
			return
		}
		for _, item := range v {
			s.Items.agrees(t, at+"[]", item)
		}
	case map[string]any:
		for _, key := range s.Required {
			if _, there := v[key]; !there {
				t.Errorf("%s.%s is missing", at, key)
			}
		}
		for key, value := range v {
			switch property := s.Properties[key]; {
			case property != nil:
				property.agrees(t, at+"."+key, value)
			case string(s.AdditionalProperties) == "false":
				t.Errorf("%s.%s is not described", at, key)
			}
		}
	}
}

// TestWhatProgramsReadIsDescribed: what a command prints with -o json is what the document says of the path that
// answers the same. The document is compared with the code, so that no name changes unseen.
func TestWhatProgramsReadIsDescribed(t *testing.T) {
	for line, where := range map[string]struct {
		path string
		list bool // of what the path answers line by line
	}{
		"status":                 {path: "/status"},
		"balancer list":          {path: "/balancers"},
		"balancer show web":      {path: "/balancers/{name}"},
		"config list":            {path: "/configs"},
		"config show web/80":     {path: "/configs/{name}"},
		"node list":              {path: "/nodes"},
		"node show web/80/web-1": {path: "/nodes/{name}"},
		"health":                 {path: "/health"},
		"flows":                  {path: "/flows", list: true},
		"flows --count":          {path: "/flows/count"},
		"sticky list":            {path: "/sticky", list: true},
		"events":                 {path: "/events", list: true},
		"maps list":              {path: "/maps"},
		"maps dump nodes":        {path: "/maps/{name}", list: true},
		"node set web/80/web-1 --weight 3 --dry-run": {path: "/apply"},
	} {
		daemonOn(t, busy())
		o := command(t, append(strings.Fields(line), "-o", "json")...)
		var v any
		if err := json.Unmarshal([]byte(o.out), &v); o.code != exitDone || err != nil {
			t.Errorf("%s: %v %+v", line, err, o)
			continue
		}
		method := "get"
		if where.path == "/apply" {
			method = "post"
		}
		s := described(t, where.path, method)
		if where.list {
			s = &schema{Items: s}
		}
		s.agrees(t, line, v)
	}
}
