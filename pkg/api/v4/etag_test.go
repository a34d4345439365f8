package v4

import (
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/headgate/headgate/pkg/lb"
)

func (b *bed) etag(path string) string {
	b.Helper()
	_, _, h := b.call("GET", path, "")
	if h.Get("ETag") == "" {
		b.Fatalf("%s has no ETag", path)
	}
	return h.Get("ETag")
}

func TestIfMatchRefusesWhatWasChangedMeanwhile(t *testing.T) {
	b := stocked(t)
	const nb, cfg, nd = "/v4/nodebalancers/1", "/v4/nodebalancers/1/configs/2", "/v4/nodebalancers/1/configs/2/nodes/3"
	for _, tt := range []struct{ method, path, body, by string }{
		{"PUT", nb, `{"label":"one"}`, nb}, {"PUT", cfg, `{"port":81}`, cfg}, {"PUT", nd, `{"weight":1}`, nd},
		{"POST", cfg + "/rebuild", `{"nodes":[{"id":3}]}`, cfg},
		{"DELETE", nd, "", nd}, {"DELETE", cfg, "", cfg}, {"DELETE", nb, "", nb},
	} {
		old := b.etag(tt.by)
		// Somebody else changes it.
		switch tt.by {
		case nb:
			b.want("PUT", nb, `{"tags":["`+strings.Trim(old, `"`)+`"]}`, 200, "")
		case cfg:
			b.want("PUT", cfg, `{"tcp_idle":`+map[bool]string{true: "60", false: "61"}[b.Get().Balancers[0].Configs[0].TCPIdle == 61*time.Second]+`}`, 200, "")
		case nd:
			b.want("PUT", nd, `{"label":"n-`+strings.Trim(old, `"`)[2:10]+`"}`, 200, "")
		}
		now := b.etag(tt.by)
		if old == now {
			t.Fatalf("%s: still %s", tt.by, old)
		}
		before := b.Get().Revision
		b.want(tt.method, tt.path, tt.body, 412, `{"errors":[{"reason":"it was changed meanwhile, its ETag is `+strings.ReplaceAll(now, `"`, `\"`)+`: read it again"}]}`, "If-Match", old)
		if b.Get().Revision != before {
			t.Errorf("%s %s changed something", tt.method, tt.path)
		}
		b.want(tt.method, tt.path, tt.body, 200, "", "If-Match", `"x", `+now)
	}
}

func TestAnyETagMatchesAStar(t *testing.T) {
	b := stocked(t)
	b.want("PUT", "/v4/nodebalancers/1", `{"label":"web"}`, 200, "", "If-Match", "*")
	b.want("PUT", "/v4/nodebalancers/1", `{"label":"api"}`, 412, "", "If-Match", "W/"+b.etag("/v4/nodebalancers/1")) // weak ones say too little
	b.want("PUT", "/v4/nodebalancers/9", `{"label":"api"}`, 404, "", "If-Match", "*")
}

// TestAnETagIsOfWhatWasDeclared changes everything else.
func TestAnETagIsOfWhatWasDeclared(t *testing.T) {
	b := stocked(t)
	paths := []string{"/v4/nodebalancers/1", "/v4/nodebalancers/1/configs/2", "/v4/nodebalancers/1/configs/2/nodes/3"}
	var before []string
	for _, p := range paths {
		before = append(before, b.etag(p))
	}
	b.health["192.0.2.11:80"], b.in, b.flows["192.0.2.11:80"] = lb.Up, 7e9, 3
	b.want("POST", "/v4/nodebalancers", `{"region":"local"}`, 200, "")
	for i, p := range paths {
		if got := b.etag(p); got != before[i] {
			t.Errorf("%s: %s became %s", p, before[i], got)
		}
	}
	// A config's covers its nodes, which its rebuild replaces; a balancer's does not cover its configs.
	b.want("PUT", paths[2], `{"weight":9}`, 200, "")
	if b.etag(paths[0]) != before[0] || b.etag(paths[1]) == before[1] || b.etag(paths[2]) == before[2] {
		t.Error("a change of a node is in its own and its config's")
	}
	_, _, h := b.call("PUT", paths[0], `{"label":"web"}`)
	if got := h.Get("ETag"); got != b.etag(paths[0]) || got == before[0] {
		t.Errorf("the answer to a change has %s", got)
	}
}

func TestAnswersNameTheGenerationThatTheyMadeAndTheOneApplied(t *testing.T) {
	b := stocked(t) // three changes
	b.stuck = 2
	want := func(method, path, body, generation, applied string) {
		t.Helper()
		_, _, h := b.call(method, path, body)
		if h.Get("X-Generation") != generation || h.Get("X-Applied-Generation") != applied {
			t.Errorf("%s %s: %s, applied %s", method, path, h.Get("X-Generation"), h.Get("X-Applied-Generation"))
		}
	}
	want("GET", "/v4/nodebalancers", "", "3", "2")
	want("GET", "/v4/nodebalancers/1", "", "3", "2")
	want("PUT", "/v4/nodebalancers/1", `{"label":"web"}`, "4", "2")
	want("PUT", "/v4/nodebalancers/1", `{"label":"web"}`, "4", "2") // nothing new
	want("DELETE", "/v4/nodebalancers/1", "", "5", "2")
	want("GET", "/v4/nodebalancers/1", "", "5", "2") // not found
	want("GET", "/v4/nothing", "", "5", "2")         // nor a path
	want("PATCH", "/v4/nodebalancers", "", "5", "2") // nor a method
	want("POST", "/v4/nodebalancers", "{", "5", "2") // refused
	want("GET", "/v4/regions", "", "5", "2")
}

func TestAChangeMayWaitUntilItIsApplied(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := stocked(t)
		start := time.Now()
		b.want("PUT", "/v4/nodebalancers/1?wait=applied", `{"label":"web"}`, 200, "")
		if took := time.Since(start); took != 0 {
			t.Errorf("it took %v", took)
		}
		for _, what := range []string{"?wait=aplied", "?wait=", "?wait"} {
			b.want("PUT", "/v4/nodebalancers/1"+what, `{"label":"not-this"}`, 400, "")
		}
		if got := b.Get(); got.Balancers[0].Label != "web" {
			t.Errorf("a wait that is no word changed it to %s", got.Balancers[0].Label)
		}
		b.stuck = 4
		b.want("PUT", "/v4/nodebalancers/1?wait=applied", `{"label":"api"}`, 504,
			`{"errors":[{"reason":"generation 5 is kept, but the data path still runs 4 after 5s"}]}`)
		if took := time.Since(start); took != 5*time.Second {
			t.Errorf("it took %v", took)
		}
		if got := b.Get(); got.Balancers[0].Label != "api" {
			t.Error("the change was not kept")
		}
		r := httptest.NewRequest("DELETE", "/v4/nodebalancers/1?wait=applied", nil)
		w := httptest.NewRecorder()
		b.server.ServeHTTP(w, r)
		if w.Code != 504 || w.Header().Get("X-Generation") != "6" {
			t.Errorf("%d, generation %s", w.Code, w.Header().Get("X-Generation"))
		}
	})
}
