package api

import (
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
)

func TestStickEntriesAreListedAndTakenAway(t *testing.T) {
	f := newFake()
	c := serve(t, f)
	q := StickQuery{Config: "web/80", Node: "web/80/web-1", Client: netip.MustParseAddr("2001:db8::1"), Limit: 9, All: true}
	n := 0
	for s, err := range c.Sticks(t.Context(), q) {
		if err != nil || s.Node != "web/80/web-1" || s.Client != netip.AddrFrom4([4]byte{198, 51, 100, byte(n)}) {
			t.Errorf("entry %d: %+v, %v", n, s, err)
		}
		n++
	}
	if n != 3 || f.stuck != q {
		t.Errorf("%d entries; the backend was asked %+v", n, f.stuck)
	}
	f.stuck = StickQuery{}
	if done, err := c.RemoveSticks(t.Context(), q); err != nil || done.Removed != 3 || f.stuck != q {
		t.Errorf("removed %+v, %v; the backend was asked %+v", done, err, f.stuck)
	}
	f.err = BadRequest("", "name one")
	if _, err := c.RemoveSticks(t.Context(), StickQuery{}); err == nil || err.Error() != "name one" {
		t.Errorf("what the backend refuses: %v", err)
	}
}

func TestStickQueriesThatMakeNoSenseAreRefused(t *testing.T) {
	s := NewServer(newFake(), slog.New(slog.DiscardHandler))
	for query, want := range map[string]string{
		"client=nobody": `client \"nobody\": must be an IP address`, "limit=-1": `limit \"-1\": must be a number from 0`, "limit=x": "must be a number",
	} {
		for _, method := range []string{http.MethodGet, http.MethodDelete} {
			w := httptest.NewRecorder()
			s.ServeHTTP(w, httptest.NewRequest(method, Prefix+"/sticky?"+query, nil))
			if w.Code != http.StatusBadRequest || !strings.Contains(w.Body.String(), want) {
				t.Errorf("%s %s: %d %s", method, query, w.Code, w.Body)
			}
		}
	}
}
