package api

import (
	"context"
	"log/slog"
	"net"
	"net/http"
	"path"
	"strings"
	"time"

	"github.com/headgate/headgate/pkg/httpd"
)

// waitApplied is how long ?wait=applied waits.
const waitApplied = 5 * time.Second

// Backend is what a Server serves.
type Backend interface {
	Look
	Control
	Eventful
	Checked
	Captures
}

// Server answers the API.
type Server struct {
	backend Backend
	log     *slog.Logger
	mux     *http.ServeMux
}

// NewServer makes a server of that backend. It listens nowhere until Serve.
func NewServer(b Backend, log *slog.Logger) *Server {
	s := &Server{backend: b, log: log, mux: http.NewServeMux()}
	for path, methods := range s.routes() {
		s.handle(path, methods)
	}
	s.mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		s.fail(w, NotFound("Not found"))
	})
	return s
}

// routes are what each path below Prefix does for each method.
func (s *Server) routes() map[string]map[string]handler {
	return map[string]map[string]handler{
		"/status":            {"GET": s.status},
		"/balancers":         {"GET": s.balancers},
		"/balancers/{name}":  s.noun(KindBalancer, s.balancer),
		"/configs":           {"GET": s.configs},
		"/configs/{name...}": s.noun(KindConfig, s.config),
		"/nodes":             {"GET": s.nodes},
		"/nodes/{name...}":   s.noun(KindNode, s.node),
		"/export":            {"GET": s.export},
		"/apply":             {"POST": s.apply},
		"/applied":           {"GET": s.applied},
		"/flows":             {"GET": s.flows},
		"/flows/count":       {"GET": s.countFlows},
		"/sticky":            {"GET": s.sticks, "DELETE": s.removeSticks},
		"/explain":           {"POST": s.explain},
		"/capture":           {"GET": s.capture},
		"/events":            {"GET": s.events},
		"/place":             {"GET": s.place},
		"/health":            {"GET": s.health},
		"/maps":              {"GET": s.maps},
		"/maps/{name}":       {"GET": s.dumpMap},
		"/openapi.json":      {"GET": s.openapi},
	}
}

// noun is what can be done with one thing by its name.
func (s *Server) noun(kind Kind, show handler) map[string]handler {
	return map[string]handler{
		http.MethodGet: show, http.MethodPost: s.edit(Add, kind), http.MethodPatch: s.edit(Change, kind), http.MethodDelete: s.edit(Remove, kind),
	}
}

// Mount lets another handler answer what is below a prefix such as /v4.
func (s *Server) Mount(prefix string, h http.Handler) {
	s.mux.Handle(prefix+"/", h)
}

// ServeHTTP answers one request.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if httpd.HeaderTooLarge(r) {
		s.fail(w, refuse(http.StatusRequestHeaderFieldsTooLarge, "", "The header is too large: it may have %d bytes", httpd.MaxHeader))
		return
	}
	ours := strings.HasPrefix(r.URL.Path, Prefix+"/") // where a name that ends with a slash is refused with words
	if clean := path.Clean(r.URL.Path); clean != r.URL.Path && !(ours && clean+"/" == r.URL.Path) {
		s.fail(w, NotFound("Not found")) // the mux would send the client elsewhere, and clients of an API do not go
		return
	}
	s.mux.ServeHTTP(w, r)
}

// Serve answers on the listener until the context ends; see httpd.Serve.
func (s *Server) Serve(ctx context.Context, l net.Listener) error {
	return httpd.Serve(ctx, l, s, s.log)
}

// handler gives the answer: a value for JSON, []byte for YAML as it is, or lines.
type handler func(r *http.Request) (any, error)

// handle registers the methods of a path; other methods get 405 with the envelope.
func (s *Server) handle(path string, methods map[string]handler) {
	s.mux.HandleFunc(Prefix+path, func(w http.ResponseWriter, r *http.Request) {
		h, ok := methods[r.Method]
		if !ok {
			s.fail(w, refuse(http.StatusMethodNotAllowed, "", "Method not allowed"))
			return
		}
		v, err := h(r)
		if err != nil {
			s.fail(w, err)
			return
		}
		s.write(w, v)
	})
}
