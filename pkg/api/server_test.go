package api

import (
	"context"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
)

func do(f *fakeBackend, method, path, body string) *httptest.ResponseRecorder {
	w := httptest.NewRecorder()
	s := NewServer(f, slog.New(slog.NewTextHandler(io.Discard, nil)))
	s.ServeHTTP(w, httptest.NewRequest(method, Prefix+path, strings.NewReader(body)))
	return w
}

func TestValuesAreTextsNumbersAndDefaults(t *testing.T) {
	f := newFake()
	w := do(f, "PATCH", "/nodes/web/80/web-1?dry_run", `{"weight": 3, "mode": "drain", "odd": true, "override": null}`)
	text := func(s string) *string { return &s }
	want := Edit{Action: Change, Kind: KindNode, Name: "web/80/web-1", DryRun: true,
		Values: Values{"weight": text("3"), "mode": text("drain"), "odd": text("true"), "override": nil}}
	if diff := cmp.Diff(want, f.edit); diff != "" || w.Code != 200 {
		t.Errorf("%d %s\n%s", w.Code, w.Body, diff)
	}
}

func TestServerRefusals(t *testing.T) {
	for _, tt := range []struct {
		method, path, body string
		status             int
		reason             string
	}{
		{"GET", "/nothing", "", 404, "Not found"},
		{"DELETE", "/status", "", 405, "Method not allowed"},
		{"PUT", "/nodes/web/80/web-1", "", 405, "Method not allowed"},
		{"PATCH", "/nodes/web/80/web-1", "{", 400, "body"},
		{"PATCH", "/nodes/web/80/web-1", "[]", 400, "must be an object of keys and values"},
		{"PATCH", "/nodes/web/80/web-1", "null", 400, "must be an object of keys and values"},
		{"PATCH", "/nodes/web/80/web-1", `{"weight":{}}`, 400, "weight must be a text or a number"},
		{"DELETE", "/nodes/web/80/web-1", `{"weight":3}`, 400, "to remove takes none"},
		{"DELETE", "/configs", "", 405, "Method not allowed"},
		{"PATCH", "/nodes/web/80/web-1?wait=aplied", "{}", 400, `wait must be applied, or left out, not \"aplied\"`},
		{"POST", "/apply?wait=", "balancers: []", 400, "wait must be applied"},
		{"GET", "/flows?state=open", "", 400, "half_open, established, closing, udp"},
		{"GET", "/flows?client=host", "", 400, "must be an IP address"},
		{"GET", "/flows?limit=-1", "", 400, "must be a number from 0"},
		{"GET", "/applied?generation=x", "", 400, "must be a number"},
		{"GET", "/maps/nose", "", 404, "have: nodes"},
		{"GET", "/flows?client=%3Ca%26b%3E", "", 400, "<a&b>"},
	} {
		w := do(newFake(), tt.method, tt.path, tt.body)
		if w.Code != tt.status || !strings.HasPrefix(w.Body.String(), `{"errors":[{"reason":`) || !strings.Contains(w.Body.String(), tt.reason) {
			t.Errorf("%s %s: %d %s, want %d with %s", tt.method, tt.path, w.Code, w.Body, tt.status, tt.reason)
		}
		if ct := w.Header().Get("Content-Type"); ct != "application/json" {
			t.Errorf("%s %s: Content-Type %q", tt.method, tt.path, ct)
		}
	}
}

func TestEveryAnswerNamesTheGenerations(t *testing.T) {
	for _, path := range []string{"/status", "/balancers", "/flows", "/nothing"} {
		h := do(newFake(), "GET", path, "").Header()
		if h.Get(HeaderGeneration) != "7" || h.Get(HeaderApplied) != "5" {
			t.Errorf("%s: %v", path, h)
		}
	}
	if h := do(newFake(), "PATCH", "/nodes/web/80/web-1?wait=applied", "{}").Header(); h.Get(HeaderApplied) != "8" {
		t.Errorf("after waiting: %v", h)
	}
}

func TestWaitingEndsAfterFiveSecondsAndSaysThatTheChangeIsKept(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake()
		f.applied = make(chan struct{}) // never
		start := time.Now()
		w := do(f, "PATCH", "/nodes/web/80/web-1?wait=applied", "{}")
		if w.Code != http.StatusGatewayTimeout || time.Since(start) != waitApplied {
			t.Errorf("%d after %v", w.Code, time.Since(start))
		}
		if !strings.Contains(w.Body.String(), "generation 8 is kept, but the data path still runs 5") {
			t.Errorf("%s", w.Body)
		}
		if f.Generations().Desired != 8 {
			t.Error("the change was not kept")
		}
	})
}

// A path that is not written as it is meant is no path: clients of an API do not follow where a redirection leads.
func TestNobodyIsSentElsewhere(t *testing.T) {
	s := NewServer(newFake(), slog.New(slog.DiscardHandler))
	s.Mount("/v4", http.NotFoundHandler())
	for _, path := range []string{"//v4/x", "/v4//x", "/v4/./x", "/headgate/v1/../v1/status", "/headgate//v1/status", "/headgate/v1/status/"} {
		w := httptest.NewRecorder()
		r := httptest.NewRequest("GET", "/", nil)
		r.URL.Path = path
		s.ServeHTTP(w, r)
		if w.Code != http.StatusNotFound || w.Header().Get("Content-Type") != "application/json" {
			t.Errorf("%s: %d %v", path, w.Code, w.Header())
		}
	}
}

func TestADryRunWaitsForNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake()
		f.applied = make(chan struct{}) // never
		if w := do(f, "POST", "/apply?dry_run=1&wait=applied", "balancers: []"); w.Code != http.StatusOK {
			t.Errorf("%d %s", w.Code, w.Body)
		}
	})
}

// stubborn counts flows for longer than anybody waits, as a large table may.
type stubborn struct {
	*fakeBackend
	begun, ended chan struct{}
}

func (s *stubborn) CountFlows(context.Context, FlowQuery) ([]FlowCount, error) {
	close(s.begun)
	time.Sleep(1500 * time.Millisecond)
	close(s.ended)
	return nil, nil
}

// What a request reads is unmapped after Serve has returned.
func TestServeOutlivesEveryRequest(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
	l, err := Listen(path)
	if err != nil {
		t.Fatal(err)
	}
	b := &stubborn{newFake(), make(chan struct{}), make(chan struct{})}
	ctx, cancel := context.WithCancel(t.Context())
	served := make(chan error, 1)
	go func() { served <- NewServer(b, slog.New(slog.DiscardHandler)).Serve(ctx, l) }()
	go func() { _, _ = NewClient(path).CountFlows(t.Context(), FlowQuery{}) }()
	<-b.begun
	cancel()
	if err := <-served; err != nil {
		t.Error(err)
	}
	select {
	case <-b.ended:
	default:
		t.Error("Serve has returned while a request reads on")
	}
}
