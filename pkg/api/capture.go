package api

import (
	"context"
	"io"
	"iter"
	"net/http"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// Captures is what shows packets with what became of them. Only a running daemon does.
type Captures interface {
	// Capture begins a capture, which runs until ctx ends, and yields the packets. One runs at a time: another is
	// refused with status 409. Whoever gets the sequence must go through it.
	Capture(ctx context.Context, q CaptureQuery) (iter.Seq2[Captured, error], error)
}

// CaptureQuery selects packets; zero fields select all, or stand for the default.
type CaptureQuery struct {
	Config  string       // BALANCER/PORT[/udp]: packets of its flows, and new ones for it
	Node    string       // BALANCER/PORT[/udp]/NODE: packets of its flows
	Client  netip.Prefix // packets from clients with such an address, and to them
	Reasons []string     // why they met their fate, or fates: see Story
	Snap    int          // bytes kept of each frame; 0: CaptureSnap
	Sample  int          // one in so many packets; 0: each
	Rate    int          // packets a second of one CPU at most; 0: CaptureRate
}

// What holds where a CaptureQuery says nothing, and how little and how much of a frame can be kept.
const (
	CaptureSnap    = 256
	CaptureRate    = 1000
	CaptureSnapMin = 64
	CaptureSnapMax = 2048
)

// Captured is a packet as it came and as it left, or, without one, only how much of the capture was missed so far.
type Captured struct {
	In      *CapturedFrame `json:"in,omitempty"`
	Out     *CapturedFrame `json:"out,omitempty"`     // nil: it did not leave, or as it came
	Verdict string         `json:"verdict,omitempty"` // of XDP: pass, drop, tx or redirect
	Fate    string         `json:"fate,omitempty"`    // passed, forwarded, answered, refused or dropped
	Reason  string         `json:"reason,omitempty"`
	Why     string         `json:"why,omitempty"` // the reason in words
	Config  string         `json:"config,omitempty"`
	Node    string         `json:"node,omitempty"` // of its flow
	Skipped uint64         `json:"skipped"`        // packets so far that came while the rate was used up
	Lost    uint64         `json:"lost"`           // packets so far for which nobody read fast enough
}

// CapturedFrame is a frame at an interface.
type CapturedFrame struct {
	Time      time.Time `json:"time"`
	Interface string    `json:"interface"`
	Length    int       `json:"length"`
	Data      []byte    `json:"data"` // its beginning
}

// capture answers with one packet a line, as they come.
func (s *Server) capture(r *http.Request) (any, error) {
	q, err := captureQuery(r.URL.Query())
	if err != nil {
		return nil, err
	}
	packets, err := s.backend.Capture(r.Context(), q)
	if err != nil {
		return nil, err
	}
	return lines(func(w io.Writer) {
		enc := encoder(w)
		flush := func() {
			if f, ok := w.(http.Flusher); ok {
				f.Flush()
			}
		}
		flush() // whoever asked learns that the capture has begun
		for p, err := range packets {
			if err != nil {
				_ = enc.Encode(envelope{[]Refusal{{Reason: err.Error()}}})
				return
			}
			if enc.Encode(p) != nil {
				return // the client went away
			}
			flush()
		}
	}), nil
}

// captureQuery reads ?config=&node=&client=&reason=a,b&snap=&sample=&rate=.
func captureQuery(v url.Values) (q CaptureQuery, err error) {
	q = CaptureQuery{Config: v.Get("config"), Node: v.Get("node")}
	q.Reasons = strings.FieldsFunc(v.Get("reason"), func(r rune) bool { return r == ',' })
	if s := v.Get("client"); s != "" {
		if q.Client, err = ParseClients(s); err != nil {
			return q, BadRequest("client", "client %s: %v", s, err)
		}
	}
	for _, n := range []struct {
		key         string
		to          *int
		least, most int
	}{{"snap", &q.Snap, CaptureSnapMin, CaptureSnapMax}, {"sample", &q.Sample, 1, 1 << 30}, {"rate", &q.Rate, 1, 1 << 30}} {
		if s := v.Get(n.key); s != "" {
			if *n.to, err = strconv.Atoi(s); err != nil || *n.to < n.least || *n.to > n.most {
				return q, BadRequest(n.key, "%s %s: must be a number from %d to %d", n.key, s, n.least, n.most)
			}
		}
	}
	return q, nil
}

// ParseClients reads an address, or a prefix of addresses.
func ParseClients(s string) (netip.Prefix, error) {
	if !strings.Contains(s, "/") {
		a, err := netip.ParseAddr(s)
		if err != nil {
			return netip.Prefix{}, err
		}
		a = a.Unmap().WithZone("")
		return netip.PrefixFrom(a, a.BitLen()), nil
	}
	p, err := netip.ParsePrefix(s)
	return p.Masked(), err
}

// values is the reverse of captureQuery.
func (q CaptureQuery) values() url.Values {
	v := url.Values{}
	for key, s := range map[string]string{"config": q.Config, "node": q.Node, "reason": strings.Join(q.Reasons, ",")} {
		if s != "" {
			v.Set(key, s)
		}
	}
	if q.Client.IsValid() {
		v.Set("client", q.Client.String())
	}
	for key, n := range map[string]int{"snap": q.Snap, "sample": q.Sample, "rate": q.Rate} {
		if n != 0 {
			v.Set(key, strconv.Itoa(n))
		}
	}
	return v
}

// Capture implements Captures. It returns once the capture runs.
func (c *Client) Capture(ctx context.Context, q CaptureQuery) (iter.Seq2[Captured, error], error) {
	return openLines[Captured](ctx, c, "/capture", q.values())
}
