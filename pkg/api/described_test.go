package api

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
)

// TestAnswersAreAsTheDocumentSays compares real answers with the document that is served.
func TestAnswersAreAsTheDocumentSays(t *testing.T) {
	f := newFake()
	f.flows = []Flow{someFlow(1), someFlow(2)}
	f.healths = []NodeHealth{{}}
	doc, err := openapi3.NewLoader().LoadFromData(do(f, "GET", "/openapi.json", "").Body.Bytes())
	if err != nil {
		t.Fatal(err)
	}
	names := strings.NewReplacer("/balancers/{name}", "/balancers/web", "/configs/{name}", "/configs/web/80",
		"/nodes/{name}", "/nodes/web/80/web-1", "/maps/{name}", "/maps/nodes", "/applied", "/applied?generation=1")
	bodies := map[string]string{"/explain": `{}`, "PATCH": `{"label":"other"}`, "POST": `{}`}
	for path, item := range doc.Paths.Map() {
		path, own := strings.CutPrefix(path, Prefix)
		if !own {
			continue
		}
		for method, op := range item.Operations() {
			body, ok := bodies[path]
			if !ok {
				body = bodies[method]
			}
			at := names.Replace(path)
			if at == "/sticky" {
				at += "?all"
			}
			w := do(f, method, at, body)
			res := op.Responses.Status(w.Code)
			if res == nil {
				t.Logf("%s %s: %d %s", method, path, w.Code, w.Body)
				res = op.Responses.Default()
			}
			media := res.Value.Content[w.Header().Get("Content-Type")]
			if media == nil {
				t.Errorf("%s %s answers %s", method, path, w.Header().Get("Content-Type"))
				continue
			}
			for line := range strings.Lines(w.Body.String()) {
				var v any
				if w.Header().Get("Content-Type") == "application/yaml" {
					v = line
				} else if err := json.Unmarshal([]byte(line), &v); err != nil {
					t.Errorf("%s %s: %v", method, path, err)
					continue
				}
				if err := media.Schema.Value.VisitJSON(v); err != nil {
					t.Errorf("%s %s answers %s: %v", method, path, line, err)
				}
			}
		}
	}
}
