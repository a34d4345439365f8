package main

import (
	"bytes"
	"context"
	"io"
	"iter"
	"log/slog"
	"net/netip"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/headgate/headgate/pkg/api"
	"github.com/headgate/headgate/pkg/events"
	"github.com/headgate/headgate/pkg/lb"
)

// fakeDaemon answers the API with what a test has put in.
type fakeDaemon struct {
	mu           sync.Mutex
	status       api.Status
	flows        []api.Flow
	counts       []api.FlowCount
	maps         []api.Map
	question     api.Question
	story        api.Story
	applied      api.ApplyResult
	asked        api.FlowQuery
	sticks       []api.Stick
	stuck        api.StickQuery
	request      api.ApplyRequest
	edits        []api.Edit
	events       api.EventQuery
	happened     []events.Event
	healths      []api.NodeHealth
	health       api.HealthQuery
	drain        []uint64 // active flows of the first node, one Status after the other
	release      []uint64 // and its stick entries
	captured     []api.Captured
	goesOn       bool // a capture does, when it has shown these
	captureQuery api.CaptureQuery

	captureRefused error // nil: it is not
}

func (f *fakeDaemon) Status(context.Context) (api.Status, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.drain) > 0 {
		f.status.Configs[0].Nodes[0].ActiveFlows = f.drain[0]
		f.drain = f.drain[1:]
	}
	if len(f.release) > 0 {
		f.status.Configs[0].Nodes[0].StickEntries = f.release[0]
		f.release = f.release[1:]
	}
	return f.status, nil
}

func (f *fakeDaemon) Flows(_ context.Context, q api.FlowQuery) iter.Seq2[api.Flow, error] {
	f.asked = q
	return func(yield func(api.Flow, error) bool) {
		for _, flow := range f.flows {
			if !yield(flow, nil) {
				return
			}
		}
	}
}

func (f *fakeDaemon) CountFlows(_ context.Context, q api.FlowQuery) ([]api.FlowCount, error) {
	f.asked = q
	return f.counts, nil
}

func (f *fakeDaemon) Sticks(_ context.Context, q api.StickQuery) iter.Seq2[api.Stick, error] {
	f.stuck = q
	return func(yield func(api.Stick, error) bool) {
		for _, s := range f.sticks {
			if !yield(s, nil) {
				return
			}
		}
	}
}

func (f *fakeDaemon) RemoveSticks(_ context.Context, q api.StickQuery) (api.StickRemoval, error) {
	f.stuck = q
	return api.StickRemoval{Removed: len(f.sticks)}, nil
}

func (f *fakeDaemon) Maps(context.Context) ([]api.Map, error) { return f.maps, nil }

func (f *fakeDaemon) DumpMap(_ context.Context, name string) iter.Seq2[api.Entry, error] {
	return func(yield func(api.Entry, error) bool) { yield(api.Entry{Key: "1", Value: "of " + name}, nil) }
}

func (f *fakeDaemon) Edit(_ context.Context, e api.Edit) (api.ApplyResult, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if e.DryRun {
		res := f.applied
		res.DryRun = true
		return res, nil
	}
	f.edits = append(f.edits, e)
	if e.Kind == api.KindNode && e.Action != api.Add {
		if err := f.edit(e); err != nil {
			return api.ApplyResult{}, err
		}
	}
	return api.ApplyResult{Generations: api.Generations{Desired: 8, Applied: 7}}, nil
}

// edit changes a node so that it can drain.
func (f *fakeDaemon) edit(e api.Edit) error {
	node, err := f.status.Node(e.Name)
	if err != nil {
		return err
	}
	for i := range f.status.Configs[0].Nodes {
		n := &f.status.Configs[0].Nodes[i]
		switch mode := e.Values["mode"]; {
		case n.Name != node.Name:
		case e.Action == api.Remove:
			n.Lifecycle, n.TakesNew = api.Removed, false
		case mode != nil:
			n.Mode, n.TakesNew = *mode, *mode == "accept"
		}
	}
	return nil
}

func (f *fakeDaemon) Apply(_ context.Context, req api.ApplyRequest) (api.ApplyResult, error) {
	f.request = req
	return f.applied, nil
}

func (f *fakeDaemon) Health(_ context.Context, q api.HealthQuery) ([]api.NodeHealth, error) {
	f.health = q
	return f.healths, nil
}

func (f *fakeDaemon) Events(_ context.Context, q api.EventQuery) iter.Seq2[events.Event, error] {
	f.events = q
	return func(yield func(events.Event, error) bool) {
		for _, e := range events.Select(f.happened, q.Filter, q.Limit) {
			if !yield(e, nil) {
				return
			}
		}
	}
}

func (f *fakeDaemon) Export(context.Context) ([]byte, error)    { return []byte("balancers: []\n"), nil }
func (f *fakeDaemon) WaitApplied(context.Context, uint64) error { return nil }
func (f *fakeDaemon) Explain(_ context.Context, q api.Question) (api.Story, error) {
	f.question = q
	return f.story, nil
}

func (f *fakeDaemon) Place() api.Place             { return api.Place{BPFFS: "/none"} }
func (f *fakeDaemon) Generations() api.Generations { return api.Generations{Desired: 8, Applied: 8} }

// outcome is what a command did.
type outcome struct {
	code        int
	out, stderr string
}

// command runs a command in process, on a terminal of the usual width.
func command(t *testing.T, args ...string) outcome {
	t.Helper()
	return commandIn(t, env{stdin: strings.NewReader("")}, args...)
}

func commandIn(t *testing.T, e env, args ...string) outcome {
	t.Helper()
	var out, stderr bytes.Buffer
	e.stdout, e.stderr = terminal{&out, usualColumns}, &stderr
	code := run(t.Context(), e, args)
	return outcome{code, out.String(), stderr.String()}
}

// daemonOn serves the fake and points the commands to it.
func daemonOn(t *testing.T, f *fakeDaemon) {
	t.Helper()
	socket := filepath.Join(t.TempDir(), "s")
	l, err := api.Listen(socket)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- api.NewServer(f, slog.New(slog.NewTextHandler(io.Discard, nil))).Serve(ctx, l) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("the fake daemon ended with %v", err)
		}
	})
	t.Setenv("HEADGATE_SOCKET", socket)
}

// noDaemon points the commands to nothing.
func noDaemon(t *testing.T) {
	t.Helper()
	t.Setenv("HEADGATE_SOCKET", filepath.Join(t.TempDir(), "none"))
	t.Setenv("HEADGATE_BPFFS", filepath.Join(t.TempDir(), "none"))
}

func ref[T any](v T) *T { return &v }

func addr(s string) netip.AddrPort { return netip.MustParseAddrPort(s) }

// someConfig has a default and something else of every form.
var someConfig = func() lb.Config {
	c := lb.Config{Port: 80, Check: lb.Check{Type: lb.CheckConnection, Port: 8081, Interval: 2 * time.Second}}
	c.SetDefaults()
	return c
}()

// busy is a daemon with something of everything to see.
func busy() *fakeDaemon {
	now := time.Now()
	return &fakeDaemon{
		status: api.Status{
			Source: api.FromDaemon, Version: "1.2.3", PID: 42, StartedAt: ref(now.Add(-3 * time.Hour)),
			Generations: api.Generations{Desired: 8, Applied: 7}, BPFFS: "/sys/fs/bpf/headgate",
			File:        &api.FileStatus{Path: "/etc/headgate.yaml", ReadAt: now.Add(-90 * time.Second), Faults: []string{"bad"}},
			Interfaces:  []api.Interface{{Name: "eth0", Index: 2, Mode: "native"}, {Name: "eth1"}},
			ActiveFlows: 1234567,
			Balancers: []api.Balancer{
				{Name: "web", Addresses: []string{"203.0.113.10", "2001:db8::10"}, Status: api.BalancerPartly, ActiveFlows: 13, Configs: []string{"web/80"},
					Settings: api.Settings{"label": "web", "ipv4": "203.0.113.10", "ipv6": "2001:db8::10"}},
				{Name: "a-label-of-thirty-two-characters", Addresses: []string{"198.51.100.250", "2001:db8:1000:2000:3000:4000:5000:6000"}, Status: api.BalancerEmpty, Configs: []string{},
					Settings: api.Settings{"label": "a-label-of-thirty-two-characters", "ipv4": "198.51.100.250", "ipv6": "2001:db8:1000:2000:3000:4000:5000:6000"}},
			},
			Configs: []api.Config{{
				Name: "web/80", Balancer: "web", Settings: api.SettingsOf(&someConfig, lb.ConfigFields), Addresses: []string{"203.0.113.10", "2001:db8::10"}, Protocol: "tcp", Status: "UP", Refusing: []string{"2001:db8::10"},
				Refused: []api.Reason{{Name: "flow_unknown", Packets: 17, Why: "it is a TCP segment without SYN, and belongs to no flow"}},
				Nodes: []api.Node{
					{Name: "web/80/web-1", Config: "web/80", Label: "web-1", Address: "192.0.2.11:8080", Mode: "accept", Weight: 50, Health: "UP",
						TakesNew: true, Why: "takes new flows: UP", Lifecycle: api.Present, ID: 101, Entry: 1, ActiveFlows: 12, Flows: 3000,
						NewPerSecond: ref(3.14), BytesPerSecond: ref(1.5e6), CheckedAt: ref(now.Add(-2 * time.Second)), NextHop: "02:00:00:00:00:01 on eth0, directly"},
					{Name: "web/80/web-2", Config: "web/80", Label: "web-2", Address: "192.0.2.12:8080", Mode: "reject", Weight: 255, Health: "DOWN",
						Reason: "admin", Why: "takes no new flows: mode reject", Lifecycle: api.Present, ID: 102, Entry: 2, ActiveFlows: 1},
					{Name: "web/80/web-3", Config: "web/80", Label: "web-3", Address: "[2001:db8:1:2:3:4:5:6]:8080", Mode: "accept", Weight: 1, Health: "Unknown",
						Lifecycle: api.Present, ID: 103, Entry: 3, Unreachable: "no route to 2001:db8:1:2:3:4:5:6"},
				},
			}},
			Refused:  []api.Reason{{Name: "flow_unknown", Packets: 17}, {Name: "table_full", Packets: 2048}},
			Removals: []api.FlowEnd{{Name: "swept", State: "established", Flows: 5}, {Name: "room", State: "half_open", Flows: 90000}},
			Warnings: []string{"interface eth1 is gone: the program is attached again when it is back"},
		},
		flows: []api.Flow{{Protocol: "tcp", Client: addr("198.51.100.7:40000"), VIP: addr("203.0.113.10:80"), Node: addr("192.0.2.11:8080"),
			NodeName: "web/80/web-1", State: "established", AgeMS: 61000, IdleMS: 250, PacketsIn: 1000, PacketsOut: 234, BytesIn: 5e6, BytesOut: 1}},
		counts: []api.FlowCount{{Node: "web/80/web-1", State: "established", Flows: 12}, {Node: "web/80/web-1", State: "udp", Flows: 1}, {Node: "web/80/web-2", State: "closing", Flows: 3}},
		sticks: []api.Stick{
			{Config: "web/80", Client: netip.MustParseAddr("198.51.100.7"), Node: "web/80/web-1", Address: addr("192.0.2.11:8080"), Holds: true, AgeMS: 61000, LeftMS: 1739000},
			{Config: "dns/53/udp", Client: netip.MustParseAddr("2001:db8::7"), Node: "dns/53/udp/ns-1", Address: addr("[2001:db8:1::53]:53"), AgeMS: 250, LeftMS: 1799000},
		},
		maps: []api.Map{{Name: "nodes", What: "nodes by id; who writes", Entries: 32768, Used: 328, Bytes: 2097152}, {Name: "meta", What: "one", Entries: 1, Used: 1, Bytes: 64}},
	}
}
