package api

import (
	"errors"
	"net/http"
	"net/netip"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestCaptureGoesThroughWhole(t *testing.T) {
	in := &CapturedFrame{Time: time.Unix(1_700_000_000, 5).UTC(), Interface: "eth0", Length: 60, Data: []byte{1, 2, 255}}
	f := &fakeBackend{captured: []Captured{
		{In: in, Out: &CapturedFrame{Time: in.Time, Interface: "eth1", Length: 60}, Verdict: "redirect", Fate: "forwarded", Reason: "new_flow", Config: "web/80", Node: "web/80/web-1"},
		{Skipped: 3, Lost: 4},
	}}
	c := serve(t, f)
	want := CaptureQuery{
		Config: "web/80", Node: "web/80/web-1", Client: netip.MustParsePrefix("198.51.100.0/24"), Reasons: []string{"dropped", "no_port"}, Snap: 100, Sample: 7, Rate: 5,
	}
	packets, err := c.Capture(t.Context(), want)
	if err != nil {
		t.Fatal(err)
	}
	var got []Captured
	for p, err := range packets {
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, p)
	}
	if diff := cmp.Diff(f.captured, got); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff(want, f.captureQuery, cmp.Comparer(func(a, b netip.Prefix) bool { return a == b })); diff != "" {
		t.Error(diff)
	}
}

func TestCaptureIsRefusedBeforeItBegins(t *testing.T) {
	f := &fakeBackend{err: Conflict("a capture runs already")}
	c := serve(t, f)
	for _, q := range []CaptureQuery{{}, {Snap: 1}, {Sample: -1}, {Rate: -1}} {
		_, err := c.Capture(t.Context(), q)
		var refusal *Error
		if !errors.As(err, &refusal) || (refusal.Status != http.StatusBadRequest && q.Snap|q.Sample|q.Rate != 0) {
			t.Errorf("%+v: %v", q, err)
		}
	}
}

func TestClientsAreAnAddressOrAPrefix(t *testing.T) {
	for text, want := range map[string]string{
		"198.51.100.7": "198.51.100.7/32", "198.51.100.7/24": "198.51.100.0/24", "2001:db8::7": "2001:db8::7/128", "::ffff:198.51.100.7": "198.51.100.7/32",
		"198.51.100": "invalid Prefix", "198.51.100.0/33": "invalid Prefix", "web-1": "invalid Prefix",
	} {
		if got, err := ParseClients(text); got.String() != want || (err != nil) != (want == "invalid Prefix") {
			t.Errorf("%s: %s, %v; want %s", text, got, err, want)
		}
	}
}
