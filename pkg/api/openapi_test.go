package api_test

import (
	"context"
	"encoding"
	"encoding/json"
	"flag"
	"maps"
	"os"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3gen"

	"github.com/headgate/headgate/pkg/api"
	v4 "github.com/headgate/headgate/pkg/api/v4"
	"github.com/headgate/headgate/pkg/events"
)

var updateDocument = flag.Bool("update", false, "write openapi.json")

// answers are what paths below /headgate/v1 answer, and what each is for. Lines are objects one a line.
var answers = []struct {
	method, path, what, query string
	value                     any
	mime                      string
}{
	{"GET", "/status", "The whole picture", "", api.Status{}, ""},
	{"GET", "/balancers", "Balancers", "", []api.Balancer{}, ""},
	{"GET", "/balancers/{name}", "A balancer", "", api.Balancer{}, ""},
	{"GET", "/configs", "Configs", "", []api.Config{}, ""},
	{"GET", "/configs/{name...}", "A config", "", api.Config{}, ""},
	{"GET", "/nodes", "Nodes", "", []api.Node{}, ""},
	{"GET", "/nodes/{name...}", "A node", "", api.Node{}, ""},
	{"GET", "/export", "What is desired, as a file that apply takes", "", "", "application/yaml"},
	{"POST", "/apply", "Make what is desired match the balancers of a file", "name prune dry_run wait", api.ApplyResult{}, ""},
	{"GET", "/applied", "Wait until a generation is applied", "generation", api.Generations{}, ""},
	{"GET", "/flows", "Live flows", "config node client state sort limit", api.Flow{}, lines},
	{"GET", "/flows/count", "Live flows, counted by node and state", "config node client state", []api.FlowCount{}, ""},
	{"GET", "/sticky", "Stick entries", "config node client limit all", api.Stick{}, lines},
	{"DELETE", "/sticky", "Remove stick entries", "config node client all", api.StickRemoval{}, ""},
	{"POST", "/explain", "What would become of a packet, and why", "", api.Story{}, ""},
	{"GET", "/capture", "Packets as they come, and what becomes of them", "config node client reason snap sample rate", api.Captured{}, lines},
	{"GET", "/events", "What happened", "kind config node after limit follow", events.Event{}, lines},
	{"GET", "/place", "Where the maps are", "", api.Place{}, ""},
	{"GET", "/health", "Health of nodes", "config node", []api.NodeHealth{}, ""},
	{"GET", "/maps", "BPF maps", "", []api.Map{}, ""},
	{"GET", "/maps/{name}", "What a map holds", "", api.Entry{}, lines},
	{"GET", "/openapi.json", "This document", "", map[string]any{}, ""},
}

const lines = "application/x-ndjson"

// edits are the methods of balancers, configs and nodes by name.
var edits = map[string]string{"POST": "Add", "PATCH": "Change", "DELETE": "Remove"}

// maker makes the document.
type maker struct {
	*testing.T
	doc     *openapi3.T
	schemas openapi3.Schemas
}

func (m *maker) ref(name string) *openapi3.SchemaRef {
	return openapi3.NewSchemaRef("#/components/schemas/"+name, m.schemas[name].Value)
}

// ofType gives the schema of a Go type.
func (m *maker) ofType(v any) *openapi3.SchemaRef {
	ref, err := openapi3gen.NewSchemaRefForValue(v, m.schemas, openapi3gen.SchemaCustomizer(customize))
	if err != nil {
		m.Fatal(err)
	}
	return ref
}

var marshals = reflect.TypeFor[encoding.TextMarshaler]()

func customize(_ string, t reflect.Type, _ reflect.StructTag, s *openapi3.Schema) error {
	if t.Implements(marshals) {
		*s = *openapi3.NewStringSchema()
	}
	if t.Kind() == reflect.Slice || t.Kind() == reflect.Map || t.Kind() == reflect.Pointer {
		s.Nullable = true
	}
	if t.Kind() == reflect.Struct && s.Type.Is("object") {
		s.AdditionalProperties = openapi3.AdditionalProperties{Has: new(bool)}
		for key, property := range s.Properties {
			if what := said[t.Name()][key]; what != "" && property.Ref == "" {
				property.Value.Description = what
			}
		}
	}
	return nil
}

// object gives the schema of an object of version 4, in an answer or a request.
func (m *maker) object(properties []v4.Property, request bool) *openapi3.Schema {
	s := openapi3.NewObjectSchema()
	s.AdditionalProperties = openapi3.AdditionalProperties{Has: new(bool)}
	for _, p := range properties {
		v := &openapi3.Schema{Description: p.What, Nullable: p.Nullable, ReadOnly: p.ReadOnly}
		if p.Kind != "" {
			v.Type = &openapi3.Types{p.Kind}
		} else {
			v.AnyOf = openapi3.SchemaRefs{openapi3.NewFloat64Schema().NewRef(), openapi3.NewStringSchema().NewRef()}
		}
		if p.Kind == "array" {
			v.Items = openapi3.NewStringSchema().NewRef()
		}
		for _, w := range p.Words {
			v.Enum = append(v.Enum, w)
		}
		if request && (p.Min != 0 || p.Max != 0) { // a file may say what version 4 cannot
			v = v.WithMin(float64(p.Min)).WithMax(float64(p.Max))
		}
		s.Properties[p.Key] = v.NewRef()
		if !request && !p.Hidden {
			s.Required = append(s.Required, p.Key)
		}
	}
	return s
}

var parameter = regexp.MustCompile(`\{(\w+)(\.\.\.)?\}`)

// add describes an operation.
func (m *maker) add(method, path, what, query, mime string, answer, body *openapi3.SchemaRef) {
	op := openapi3.NewOperation()
	op.Summary = what
	for _, found := range parameter.FindAllStringSubmatch(path, -1) {
		schema := openapi3.NewStringSchema()
		if found[1] != "name" && found[1] != "region" {
			schema = openapi3.NewIntegerSchema()
		}
		op.AddParameter(openapi3.NewPathParameter(found[1]).WithSchema(schema))
	}
	for _, name := range strings.Fields(query) {
		op.AddParameter(openapi3.NewQueryParameter(name).WithSchema(openapi3.NewStringSchema()))
	}
	if mime == "" {
		mime = "application/json"
	}
	content := func(mime string, s *openapi3.SchemaRef) openapi3.Content {
		return openapi3.Content{mime: openapi3.NewMediaType().WithSchemaRef(s)}
	}
	if body != nil {
		sent := "application/json"
		if body.Value.Type.Is("string") {
			sent = "application/yaml"
		}
		op.RequestBody = &openapi3.RequestBodyRef{Value: openapi3.NewRequestBody().WithContent(content(sent, body))}
	}
	op.Responses = openapi3.NewResponses(
		openapi3.WithName("200", openapi3.NewResponse().WithDescription(what).WithContent(content(mime, answer))),
		openapi3.WithName("default", openapi3.NewResponse().WithDescription("Refused, with every reason").WithContent(content("application/json", m.ref("Errors")))),
	)
	m.doc.AddOperation(parameter.ReplaceAllString(path, "{$1}"), method, op)
}

// describe describes an operation of version 4: its answer is known by its path.
func (m *maker) describe(method, route string) {
	var name string
	switch last := route[strings.LastIndex(route, "/")+1:]; last {
	case "nodebalancers", "{id}":
		name = "NodeBalancer"
	case "configs", "{cid}", "rebuild":
		name = "NodeBalancerConfig"
	case "nodes", "{nid}":
		name = "NodeBalancerNode"
	}
	anything := openapi3.NewObjectSchema().NewRef()
	anything.Value.AdditionalProperties = openapi3.AdditionalProperties{Has: new(bool)}
	*anything.Value.AdditionalProperties.Has = true
	answer, body, query := anything, (*openapi3.SchemaRef)(nil), ""
	if name != "" {
		answer = m.ref(name)
	}
	collection := !strings.HasSuffix(route, "}") && !strings.HasSuffix(route, "stats") && !strings.HasSuffix(route, "profile")
	switch {
	case method == "GET" && collection:
		list := openapi3.NewObjectSchema().WithProperty("page", openapi3.NewIntegerSchema()).
			WithProperty("pages", openapi3.NewIntegerSchema()).WithProperty("results", openapi3.NewIntegerSchema())
		list.Properties["data"] = openapi3.NewArraySchema().NewRef()
		list.Properties["data"].Value.Items = answer
		list.Required = []string{"data", "page", "pages", "results"}
		answer, query = list.NewRef(), "page page_size"
	case method == "DELETE":
		answer, query = openapi3.NewObjectSchema().NewRef(), "wait"
	case method != "GET":
		body, query = m.ref(name+"Request"), "wait"
	}
	for _, prefix := range v4.Prefixes {
		m.add(method, prefix+route, strings.TrimSpace(method+" "+name), query, "", answer, body)
	}
}

func (m *maker) make() []byte {
	m.schemas = openapi3.Schemas{}
	m.doc = &openapi3.T{
		OpenAPI: "3.0.3", Paths: openapi3.NewPaths(), Components: &openapi3.Components{Schemas: m.schemas},
		Info:    &openapi3.Info{Title: "headgate", Version: "1", Description: "Its own API, and one that clients of Linode's NodeBalancers understand."},
		Servers: openapi3.Servers{{URL: "/"}},
	}
	m.schemas["Errors"] = m.ofType(struct {
		Errors []api.Refusal `json:"errors"`
	}{})
	for name, properties := range v4.Objects() {
		m.schemas[name] = m.object(properties, false).NewRef()
		inner := map[string]string{"NodeBalancer": "configs", "NodeBalancerConfig": "nodes"}[name]
		request := m.object(properties, true)
		if inner != "" {
			request.Properties[inner] = openapi3.NewArraySchema().WithItems(openapi3.NewObjectSchema()).NewRef()
		}
		m.schemas[name+"Request"] = request.NewRef()
	}
	values := openapi3.NewObjectSchema().NewRef()
	bodies := map[string]*openapi3.SchemaRef{"/explain": m.ofType(api.Question{}), "/apply": openapi3.NewStringSchema().NewRef()}
	for _, a := range answers {
		m.add(a.method, api.Prefix+a.path, a.what, a.query, a.mime, m.ofType(a.value), bodies[a.path])
	}
	for noun, name := range map[string]string{"balancer": "{name}", "config": "{name...}", "node": "{name...}"} {
		for method, verb := range edits {
			m.add(method, api.Prefix+"/"+noun+"s/"+name, verb+" a "+noun, "dry_run wait", "", m.ofType(api.ApplyResult{}), map[string]*openapi3.SchemaRef{"POST": values, "PATCH": values}[method])
		}
	}
	for route, methods := range v4.Routes() {
		for _, method := range methods {
			m.describe(method, route)
		}
	}
	data, err := json.MarshalIndent(m.doc, "", " ")
	if err != nil {
		m.Fatal(err)
	}
	return append(data, '\n')
}

func TestTheDocumentIsOfThisCode(t *testing.T) {
	m := &maker{T: t}
	data := m.make()
	if *updateDocument {
		if err := os.WriteFile("openapi.json", data, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if there, err := os.ReadFile("openapi.json"); err != nil || string(there) != string(data) {
		t.Errorf("openapi.json is not of this code (%v): go test ./pkg/api -update", err)
	}
	doc, err := openapi3.NewLoader().LoadFromData(data)
	if err == nil {
		err = doc.Validate(context.Background())
	}
	if err != nil {
		t.Fatal(err)
	}
	served := map[string][]string{}
	for path, methods := range api.Routes() {
		served[parameter.ReplaceAllString(path, "{$1}")] = methods
	}
	for path, methods := range v4.Routes() {
		for _, prefix := range v4.Prefixes {
			served[prefix+path] = methods
		}
	}
	for path, methods := range served {
		item := doc.Paths.Value(path)
		if item == nil {
			t.Errorf("%s is served and not described", path)
			continue
		}
		slices.Sort(methods)
		if got := slices.Sorted(maps.Keys(item.Operations())); !slices.Equal(got, methods) {
			t.Errorf("%s is described with %v, and serves %v", path, got, methods)
		}
	}
	if doc.Paths.Len() != len(served) {
		t.Errorf("%d paths are described, %d are served", doc.Paths.Len(), len(served))
	}
}
