package api

import (
	_ "embed" // the document
	"encoding/json"
	"net/http"
)

// document is made of the tables and types of this package and of version 4, by a test with -update.
//
//go:embed openapi.json
var document []byte

// openapi answers the description of every path, of this API and of version 4, as OpenAPI has it.
func (s *Server) openapi(*http.Request) (any, error) { return json.RawMessage(document), nil }

// Routes are what is served below Prefix: paths, and their methods.
func Routes() map[string][]string {
	out := map[string][]string{}
	for path, methods := range (&Server{}).routes() {
		for method := range methods {
			out[Prefix+path] = append(out[Prefix+path], method)
		}
	}
	return out
}
