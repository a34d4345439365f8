package v4

import (
	"encoding/json"
	"regexp"
	"strings"
	"sync"

	"github.com/getkin/kin-openapi/openapi3"
)

var document = sync.OnceValues(func() (*openapi3.T, error) {
	return openapi3.NewLoader().LoadFromFile("../openapi.json")
})

var (
	idsInPath = []*regexp.Regexp{regexp.MustCompile(`(/nodebalancers)/\d+`), regexp.MustCompile(`(/configs)/\d+`), regexp.MustCompile(`(/nodes)/\d+`), regexp.MustCompile(`(/regions)/\w+`)}
	idNames   = []string{"$1/{id}", "$1/{cid}", "$1/{nid}", "$1/{region}"}
)

// described compares an answer with the document that describes it: all of the tests make real ones.
func (b *bed) described(method, path string, status int, body string) {
	b.Helper()
	doc, err := document()
	if err != nil {
		b.Fatal(err)
	}
	path, _, _ = strings.Cut(path, "?")
	for i, re := range idsInPath {
		path = re.ReplaceAllString(path, idNames[i])
	}
	schema := doc.Components.Schemas["Errors"].Value
	if status == 200 {
		item := doc.Paths.Value(path)
		if item == nil || item.GetOperation(method) == nil {
			b.Errorf("%s %s is not described", method, path)
			return
		}
		schema = item.GetOperation(method).Responses.Status(200).Value.Content["application/json"].Schema.Value
	}
	var v any
	if err := json.Unmarshal([]byte(body), &v); err != nil {
		b.Errorf("%s %s answers %q: %v", method, path, body, err)
		return
	}
	if err := schema.VisitJSON(v, openapi3.MultiErrors()); err != nil {
		b.Errorf("%s %s answers %s: %v", method, path, body, err)
	}
}
