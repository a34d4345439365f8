package api

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"strconv"
	"time"

	"github.com/headgate/headgate/pkg/httpd"
)

// Limits of the server.
const (
	maxBody     = 64 << 20        // bytes of a request: a file with 10,000 nodes has about 1 MB
	waitApplied = 5 * time.Second // for ?wait=applied
)

// Backend is what a Server serves.
type Backend interface {
	Look
	Control
	Eventful
	Checked
}

// Server answers the API over a unix socket.
type Server struct {
	backend Backend
	log     *slog.Logger
	mux     *http.ServeMux
}

// NewServer makes a server of that backend. It listens nowhere until Serve.
func NewServer(b Backend, log *slog.Logger) *Server {
	s := &Server{backend: b, log: log, mux: http.NewServeMux()}
	for path, methods := range map[string]map[string]handler{
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
		"/events":            {"GET": s.events},
		"/place":             {"GET": s.place},
		"/health":            {"GET": s.health},
		"/maps":              {"GET": s.maps},
		"/maps/{name}":       {"GET": s.dumpMap},
	} {
		s.handle(path, methods)
	}
	s.mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		s.fail(w, NotFound("Not found"))
	})
	return s
}

// noun is what can be done with one thing by its name.
func (s *Server) noun(kind Kind, show handler) map[string]handler {
	return map[string]handler{
		http.MethodGet: show, http.MethodPost: s.edit(Add, kind), http.MethodPatch: s.edit(Change, kind), http.MethodDelete: s.edit(Remove, kind),
	}
}

// ServeHTTP answers one request.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	r.Body = http.MaxBytesReader(w, r.Body, maxBody)
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

func (s *Server) write(w http.ResponseWriter, v any) {
	s.generations(w)
	switch v := v.(type) {
	case []byte:
		w.Header().Set("Content-Type", "application/yaml")
		_, _ = w.Write(v) // a client that went away needs no answer
	case lines:
		w.Header().Set("Content-Type", "application/x-ndjson")
		v(w)
	default:
		w.Header().Set("Content-Type", "application/json")
		_ = encoder(w).Encode(v)
	}
}

func (s *Server) fail(w http.ResponseWriter, err error) {
	var refusal *Error
	if !errors.As(err, &refusal) {
		refusal = refuse(http.StatusInternalServerError, "", "%v", err)
		s.log.Error("request failed", "err", err)
	}
	s.generations(w)
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(refusal.Status)
	_ = encoder(w).Encode(envelope{refusal.Reasons})
}

func (s *Server) generations(w http.ResponseWriter) {
	g := s.backend.Generations()
	w.Header().Set(HeaderGeneration, strconv.FormatUint(g.Desired, 10))
	w.Header().Set(HeaderApplied, strconv.FormatUint(g.Applied, 10))
}
