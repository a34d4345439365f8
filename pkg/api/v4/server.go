package v4

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"strconv"
	"time"

	"github.com/headgate/headgate/pkg/api"
	"github.com/headgate/headgate/pkg/lb"
	"github.com/headgate/headgate/pkg/store"
)

// Backend is what a Server serves.
type Backend interface {
	// Get returns what is desired.
	Get() store.Desired
	// Change changes that, as store.Store.Change does.
	Change(fn func(*store.Draft) error) (store.Desired, error)
	// Generations says what is desired and what the data path runs at this moment.
	Generations() api.Generations
	// WaitApplied returns once the data path runs that generation or a newer one, or the context ends.
	WaitApplied(ctx context.Context, generation uint64) error
	// Health is what status shows of a node.
	Health(balancer string, c *lb.Config, n *lb.Node) lb.Health
	// Counts are the live flows of a node and its stick entries.
	Counts(balancer *lb.Balancer, c *lb.Config, n *lb.Node) (flows, stickEntries uint64)
	// Transfer is the bytes that went through a balancer this month: from clients, and to them.
	Transfer(balancer int) (in, out uint64)
	// Stats are averages of five minutes each, oldest first, of the last 24 hours; none before the first is whole.
	Stats(balancer int) []Sample
}

// Sample is an average over some minutes.
type Sample struct {
	At          time.Time // its end
	Connections float64   // new flows a second
	In, Out     float64   // bits a second, from clients and to them
}

// Site is where a Server serves.
type Site struct {
	Region string
	Domain string  // of the hostnames of balancers
	Pool   lb.Pool // VIPs to give
}

// Server answers version 4. It is an http.Handler for /v4/ and /v4beta/.
type Server struct {
	backend Backend
	site    Site
	log     *slog.Logger
	mux     *http.ServeMux
}

// Prefixes are those of every path.
var Prefixes = []string{"/v4", "/v4beta"}

// waitApplied is how long ?wait=applied waits.
const waitApplied = 5 * time.Second

// New makes a server of that backend.
func New(b Backend, site Site, log *slog.Logger) *Server {
	s := &Server{backend: b, site: site, log: log, mux: http.NewServeMux()}
	for _, prefix := range Prefixes {
		for _, r := range s.routes() {
			s.mux.Handle(prefix+r.path, r.methods)
		}
	}
	s.mux.HandleFunc("/", func(w http.ResponseWriter, _ *http.Request) {
		s.headers(w, 0)
		api.Fail(w, notFound())
	})
	return s
}

// route is a path and what each method does there.
type route struct {
	path    string
	methods methods
}

func (s *Server) routes() []route {
	return []route{
		{"/nodebalancers", s.handle(map[string]handler{"GET": s.listBalancers, "POST": s.createBalancer})},
		{"/nodebalancers/types", s.handle(map[string]handler{"GET": s.listTypes})},
		{"/nodebalancers/{id}", s.handle(map[string]handler{"GET": s.getBalancer, "PUT": s.updateBalancer, "DELETE": s.deleteBalancer})},
		{"/nodebalancers/{id}/stats", s.handle(map[string]handler{"GET": s.getStats})},
		{"/nodebalancers/{id}/firewalls", s.handle(map[string]handler{"GET": s.listNothing})},
		{"/nodebalancers/{id}/vpcs", s.handle(map[string]handler{"GET": s.listNothing})},
		{"/nodebalancers/{id}/configs", s.handle(map[string]handler{"GET": s.listConfigs, "POST": s.createConfig})},
		{"/nodebalancers/{id}/configs/{cid}", s.handle(map[string]handler{"GET": s.getConfig, "PUT": s.updateConfig, "DELETE": s.deleteConfig})},
		{"/nodebalancers/{id}/configs/{cid}/rebuild", s.handle(map[string]handler{"POST": s.rebuildConfig})},
		{"/nodebalancers/{id}/configs/{cid}/nodes", s.handle(map[string]handler{"GET": s.listNodes, "POST": s.createNode})},
		{"/nodebalancers/{id}/configs/{cid}/nodes/{nid}", s.handle(map[string]handler{"GET": s.getNode, "PUT": s.updateNode, "DELETE": s.deleteNode})},
		{"/regions", s.handle(map[string]handler{"GET": s.listRegions})},
		{"/regions/{region}", s.handle(map[string]handler{"GET": s.getRegion})},
		{"/profile", s.handle(map[string]handler{"GET": s.getProfile})},
	}
}

// ServeHTTP answers one request.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) { s.mux.ServeHTTP(w, r) }

// answer is what a request is answered with.
type answer struct {
	body       any
	etag       string // empty: none
	generation uint64 // that the request made or saw
}

type handler func(r *http.Request) (answer, error)

// methods are what a path can do.
type methods struct {
	s  *Server
	by map[string]handler
}

func (s *Server) handle(by map[string]handler) methods { return methods{s, by} }

// ServeHTTP implements http.Handler.
func (m methods) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	method := r.Method
	if method == http.MethodHead {
		method = http.MethodGet
	}
	h, ok := m.by[method]
	if !ok {
		m.s.headers(w, 0)
		api.Fail(w, refuse(http.StatusMethodNotAllowed, "Method not allowed"))
		return
	}
	a, err := h(r)
	m.s.headers(w, a.generation)
	if err != nil {
		if !errors.As(err, new(*api.Error)) {
			m.s.log.Error("request failed", "method", r.Method, "path", r.URL.Path, "err", err)
		}
		api.Fail(w, err)
		return
	}
	if a.etag != "" {
		w.Header().Set("ETag", a.etag)
	}
	api.Write(w, a.body)
}

// headers name the generation that a request made or saw, and the one that the data path runs.
func (s *Server) headers(w http.ResponseWriter, generation uint64) {
	g := s.backend.Generations()
	if generation == 0 {
		generation = g.Desired
	}
	w.Header().Set(api.HeaderGeneration, strconv.FormatUint(generation, 10))
	w.Header().Set(api.HeaderApplied, strconv.FormatUint(g.Applied, 10))
}

func refuse(status int, reason string) *api.Error {
	return &api.Error{Status: status, Reasons: []api.Refusal{{Reason: reason}}}
}

func notFound() *api.Error { return refuse(http.StatusNotFound, "Not found") }

// pathID is an id in the path. What is no id is the id of nothing.
func pathID(r *http.Request, name string) int {
	s := r.PathValue(name)
	id, err := strconv.Atoi(s)
	if err != nil || id < 1 || strconv.Itoa(id) != s {
		return -1
	}
	return id
}
