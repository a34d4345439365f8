package api

import (
	"context"
	"errors"
	"io"
	"iter"
	"log/slog"
	"net/netip"
	"path/filepath"
	"sync"
	"testing"

	"github.com/headgate/headgate/pkg/events"
)

// fakeBackend is a daemon of two nodes. It remembers what it was asked.
type fakeBackend struct {
	happened     []events.Event
	more         chan events.Event
	eventQuery   EventQuery
	healths      []NodeHealth
	healthQuery  HealthQuery
	mu           sync.Mutex
	gens         Generations
	applied      chan struct{} // closed: the data path runs what is desired
	edit         Edit
	request      ApplyRequest
	query        FlowQuery
	stuck        StickQuery
	captureQuery CaptureQuery
	captured     []Captured
	question     Question
	flows        []Flow
	failAt       int // Flows fails after so many; 0: never
	err          error
}

func (f *fakeBackend) Status(context.Context) (Status, error) {
	return Status{Source: FromDaemon, Generations: f.Generations(), Balancers: []Balancer{{Name: "web", Configs: []string{"web/80"}}}, Configs: []Config{{
		Name: "web/80", Balancer: "web", Protocol: "tcp", Status: "UP",
		Nodes: []Node{
			{Name: "web/80/web-1", Config: "web/80", Label: "web-1", Address: "192.0.2.11:8080", Lifecycle: Present, ID: 101, Entry: 1},
			{Name: "web/80/web-2", Config: "web/80", Label: "web-2", Address: "[2001:db8::2]:8080", Lifecycle: Present, ID: 102, Entry: 2},
			{Name: "web/80/twin", Config: "web/80", Label: "twin", Address: "192.0.2.13:8080", Lifecycle: Present, ID: 103, Entry: 3},
			{Name: "web/80/twin", Config: "web/80", Label: "twin", Address: "192.0.2.14:8080", Lifecycle: Present, ID: 104, Entry: 4},
		},
	}}}, f.err
}

func (f *fakeBackend) Flows(_ context.Context, q FlowQuery) iter.Seq2[Flow, error] {
	f.query = q
	return func(yield func(Flow, error) bool) {
		for i, flow := range f.flows {
			if f.failAt > 0 && i == f.failAt {
				yield(Flow{}, errors.New("the table went away"))
				return
			}
			if !yield(flow, nil) {
				return
			}
		}
	}
}

func (f *fakeBackend) CountFlows(_ context.Context, q FlowQuery) ([]FlowCount, error) {
	f.query = q
	return []FlowCount{{Node: "web/80/web-1", State: "udp", Flows: 3}}, nil
}

func (f *fakeBackend) Sticks(_ context.Context, q StickQuery) iter.Seq2[Stick, error] {
	f.stuck = q
	return func(yield func(Stick, error) bool) {
		for i := range 3 {
			if !yield(Stick{Node: "web/80/web-1", Client: netip.AddrFrom4([4]byte{198, 51, 100, byte(i)})}, nil) {
				return
			}
		}
	}
}

func (f *fakeBackend) RemoveSticks(_ context.Context, q StickQuery) (StickRemoval, error) {
	f.stuck = q
	return StickRemoval{Removed: 3}, f.err
}

func (f *fakeBackend) Capture(_ context.Context, q CaptureQuery) (iter.Seq2[Captured, error], error) {
	f.captureQuery = q
	return func(yield func(Captured, error) bool) {
		for _, p := range f.captured {
			if !yield(p, nil) {
				return
			}
		}
	}, f.err
}

func (f *fakeBackend) Maps(context.Context) ([]Map, error) { return []Map{{Name: "nodes"}}, nil }

func (f *fakeBackend) DumpMap(_ context.Context, name string) iter.Seq2[Entry, error] {
	return func(yield func(Entry, error) bool) {
		if name != "nodes" {
			yield(Entry{}, NotFound("map %s: no such map (have: nodes)", name))
			return
		}
		yield(Entry{Key: "1", Value: "web-1"}, nil)
	}
}

func (f *fakeBackend) Edit(_ context.Context, e Edit) (ApplyResult, error) {
	st, _ := f.Status(context.Background())
	if e.Kind == KindNode && e.Action != Add {
		if _, err := st.Node(e.Name); err != nil {
			return ApplyResult{}, err
		}
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.edit = e
	if !e.DryRun {
		f.gens.Desired++
	}
	return ApplyResult{Generations: f.gens, DryRun: e.DryRun, Plan: Plan{Steps: []Step{{Action: e.Action, Kind: e.Kind, Name: e.Name}}}}, nil
}

func (f *fakeBackend) Apply(_ context.Context, req ApplyRequest) (ApplyResult, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.request = req
	f.gens.Desired++
	return ApplyResult{Generations: f.gens, DryRun: req.DryRun, Plan: Plan{Steps: []Step{{Action: Add, Kind: "node", Name: "n"}}}}, nil
}

// Events yields what a test has put in; a follower gets one more with each value of f.more.
func (f *fakeBackend) Events(ctx context.Context, q EventQuery) iter.Seq2[events.Event, error] {
	f.mu.Lock()
	f.eventQuery = q
	f.mu.Unlock()
	return func(yield func(events.Event, error) bool) {
		for _, e := range f.happened {
			if !yield(e, nil) {
				return
			}
		}
		for q.Follow {
			select {
			case <-ctx.Done():
				return
			case e := <-f.more:
				if !yield(e, nil) {
					return
				}
			}
		}
	}
}

func (f *fakeBackend) Export(context.Context) ([]byte, error) { return []byte("balancers: []\n"), nil }

func (f *fakeBackend) WaitApplied(ctx context.Context, generation uint64) error {
	if generation == 0 {
		return nil
	}
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-f.applied:
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.gens.Applied = f.gens.Desired
	return nil
}

func (f *fakeBackend) Explain(_ context.Context, q Question) (Story, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.question = q
	return Story{Verdict: "tx", Steps: []Sentence{{"verdict", "sent"}}}, f.err
}

func (f *fakeBackend) Place() Place { return Place{BPFFS: "/sys/fs/bpf/x", MapID: 7} }
func (f *fakeBackend) Health(_ context.Context, q HealthQuery) ([]NodeHealth, error) {
	f.healthQuery = q
	return f.healths, nil
}

func (f *fakeBackend) Generations() Generations {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.gens
}

func newFake() *fakeBackend {
	applied := make(chan struct{})
	close(applied)
	return &fakeBackend{gens: Generations{Desired: 7, Applied: 5}, applied: applied}
}

// serve runs a server of the fake on a socket and gives a client of it.
func serve(t *testing.T, f *fakeBackend) *Client {
	t.Helper()
	path := filepath.Join(t.TempDir(), "s")
	l, err := Listen(path)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- NewServer(f, slog.New(slog.NewTextHandler(io.Discard, nil))).Serve(ctx, l) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("the server ended with %v", err)
		}
	})
	return NewClient(path)
}

func someFlow(i int) Flow {
	at := func(s string) netip.AddrPort { return netip.MustParseAddrPort(s) }
	return Flow{Protocol: "tcp", Client: at("198.51.100.7:40000"), VIP: at("203.0.113.10:80"), Source: at("10.0.0.1:1600"),
		Node: at("192.0.2.11:8080"), NodeName: "web/80/web-1", State: "established", AgeMS: int64(i), PacketsIn: 3, BytesOut: 1 << 40}
}
