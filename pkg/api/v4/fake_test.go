package v4

import (
	"context"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/headgate/headgate/pkg/api"
	"github.com/headgate/headgate/pkg/lb"
	"github.com/headgate/headgate/pkg/store"
)

// fake is a backend in memory. What is desired is applied at once, unless it is stuck.
type fake struct {
	mu      sync.Mutex
	desired store.Desired
	stuck   uint64               // generation that stays applied; 0: none
	full    error                // what Change fails with
	health  map[string]lb.Health // by address
	flows   map[string]uint64
	in, out uint64
	samples []Sample
}

func (f *fake) Get() store.Desired {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.desired
}

func (f *fake) Change(fn func(*store.Draft) error) (store.Desired, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	d := store.NewDraft(f.desired, time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC))
	if err := fn(d); err != nil {
		return store.Desired{}, err
	}
	if f.full != nil {
		return store.Desired{}, f.full
	}
	next, err := d.Finish()
	if err == nil {
		f.desired = next
	}
	return next, err
}

func (f *fake) Generations() api.Generations {
	f.mu.Lock()
	defer f.mu.Unlock()
	g := api.Generations{Desired: f.desired.Revision, Applied: f.desired.Revision}
	if f.stuck != 0 {
		g.Applied = f.stuck
	}
	return g
}

func (f *fake) WaitApplied(ctx context.Context, generation uint64) error {
	if f.Generations().Applied >= generation {
		return nil
	}
	<-ctx.Done()
	return ctx.Err()
}

func (f *fake) Health(_ string, _ *lb.Config, n *lb.Node) lb.Health {
	if h, ok := f.health[n.Address.String()]; ok {
		return h
	}
	return lb.Unknown
}

func (f *fake) Counts(_ *lb.Balancer, _ *lb.Config, n *lb.Node) (uint64, uint64) {
	return f.flows[n.Address.String()], 0
}

func (f *fake) Transfer(int) (in, out uint64) { return f.in, f.out }
func (f *fake) Stats(int) []Sample            { return f.samples }

var testSite = Site{
	Region: "local", Domain: "headgate.internal",
	Pool: lb.Pool{
		Prefixes: []netip.Prefix{netip.MustParsePrefix("203.0.113.0/28"), netip.MustParsePrefix("2001:db8:1::/64")},
		Shunned:  []netip.Addr{netip.MustParseAddr("203.0.113.2")},
	},
}

// bed is a server over a fake.
type bed struct {
	*testing.T
	*fake
	server *Server
}

func newBed(t *testing.T) *bed {
	f := &fake{health: map[string]lb.Health{}, flows: map[string]uint64{}}
	return &bed{t, f, New(f, testSite, slog.New(slog.NewTextHandler(io.Discard, nil)))}
}

// call makes a request and gives status and body. Headers are pairs of name and value.
func (b *bed) call(method, path, body string, headers ...string) (int, string, http.Header) {
	b.Helper()
	r := httptest.NewRequest(method, path, strings.NewReader(body))
	for i := 0; i+1 < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	w := httptest.NewRecorder()
	b.server.ServeHTTP(w, r)
	if got := w.Header().Get("Content-Type"); got != "application/json" {
		b.Errorf("%s %s: Content-Type %q", method, path, got)
	}
	if method != http.MethodHead {
		b.described(method, path, w.Code, w.Body.String())
	}
	return w.Code, strings.TrimSuffix(w.Body.String(), "\n"), w.Header()
}

// want makes a request and compares the answer. A body that is empty is not compared.
func (b *bed) want(method, path, body string, status int, answer string, headers ...string) string {
	b.Helper()
	code, got, _ := b.call(method, path, body, headers...)
	if code != status || answer != "" && got != answer {
		b.Errorf("%s %s %s:\ngot  %d %s\nwant %d %s", method, path, body, code, got, status, answer)
	}
	return got
}
