package api

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

func TestClientGetsWhatTheBackendSays(t *testing.T) {
	f := newFake()
	c := serve(t, f)
	ctx := t.Context()
	want, _ := f.Status(ctx)
	got, err := c.Status(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got, cmpopts.EquateEmpty()); diff != "" {
		t.Errorf("status (-backend +client)\n%s", diff)
	}
	if maps, err := c.Maps(ctx); err != nil || len(maps) != 1 || maps[0].Name != "nodes" {
		t.Errorf("maps: %v, %v", maps, err)
	}
	if data, err := c.Export(ctx); err != nil || string(data) != "balancers: []\n" {
		t.Errorf("export: %q, %v", data, err)
	}
	if nodes, err := c.Nodes(ctx); err != nil || len(nodes) != 4 {
		t.Errorf("nodes: %v, %v", nodes, err)
	}
	for entry, err := range c.DumpMap(ctx, "nodes") {
		if err != nil || entry.Key != "1" {
			t.Errorf("dump: %v, %v", entry, err)
		}
	}
	if place, err := c.Place(ctx); err != nil || place != f.Place() {
		t.Errorf("place: %v, %v", place, err)
	}
	if err := c.Ping(ctx); err != nil {
		t.Errorf("ping: %v", err)
	}
}

func TestNodesAreFoundByLabelAndByAddress(t *testing.T) {
	c := serve(t, newFake())
	for _, name := range []string{"web/80/web-2", "web/80/tcp/web-2", "web/80/[2001:db8::2]:8080"} {
		if n, err := c.Node(t.Context(), name); err != nil || n.Entry != 2 {
			t.Errorf("%s: %+v, %v", name, n, err)
		}
	}
}

func TestUnknownNodesAreRefusedWithThoseThereAre(t *testing.T) {
	c := serve(t, newFake())
	for name, want := range map[string]string{
		"web/80/web-9": "have: web/80/web-1, web/80/web-2",
		"web/81/web-1": "have: web/80/web-1",
		"web/80/twin":  "name one by its address (have: web/80/192.0.2.13:8080, web/80/192.0.2.14:8080)",
		"web-1":        "BALANCER/PORT/NODE",
		"web/80/a b%/": "BALANCER/PORT/NODE",
	} {
		_, err := c.Node(t.Context(), name)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q in it", name, err, want)
		}
		var refused *Error
		if !errors.As(err, &refused) || refused.Status/100 != 4 {
			t.Errorf("%s: %#v is no refusal", name, err)
		}
	}
}

func TestAnEditSendsOnlyWhatIsSet(t *testing.T) {
	f := newFake()
	c := serve(t, f)
	mode := "drain"
	for _, e := range []Edit{
		{Action: Change, Kind: KindNode, Name: "web/80/web-1", Values: Values{"mode": &mode, "weight": nil}},
		{Action: Add, Kind: KindConfig, Name: "web/53/udp", Values: Values{"check": &mode}, DryRun: true},
		{Action: Add, Kind: KindBalancer, Name: "dns"},
		{Action: Remove, Kind: KindNode, Name: "web/80/[2001:db8::2]:8080"},
	} {
		res, err := c.Edit(t.Context(), e)
		if err != nil || res.DryRun != e.DryRun || res.Plan.Steps[0].Name != e.Name {
			t.Fatalf("%+v: %+v, %v", e, res, err)
		}
		if diff := cmp.Diff(e, f.edit); diff != "" {
			t.Errorf("the backend was told (-want +got)\n%s", diff)
		}
		if err := c.WaitApplied(t.Context(), res.Desired); err != nil {
			t.Errorf("wait: %v", err)
		}
	}
	if f.gens.Desired != 10 {
		t.Errorf("generation %d: a dry run makes none", f.gens.Desired)
	}
}

func TestOneThingIsFoundByItsName(t *testing.T) {
	f := newFake()
	if config, err := serve(t, f).Config(t.Context(), "web/80/tcp"); err != nil || config.Name != "web/80" || len(config.Nodes) != 4 {
		t.Errorf("%+v, %v", config, err)
	}
	for path, want := range map[string]string{
		"/balancers": `[{"name":"web"`, "/balancers/web": `{"name":"web"`, "/configs": `[{"name":"web/80"`, "/configs/web/80": `{"name":"web/80"`,
		"/balancers/x": "x: no such balancer (have: web)", "/configs/web/81": "web/81: no such config (have: web/80)", "/configs/web": "not the name of a config",
	} {
		if w := do(f, "GET", path, ""); !strings.Contains(w.Body.String(), want) {
			t.Errorf("%s: %d %s, want %q in it", path, w.Code, w.Body, want)
		}
	}
}

func TestApplySendsTheFileAndItsOptions(t *testing.T) {
	f := newFake()
	c := serve(t, f)
	req := ApplyRequest{Name: "a b.yaml", Data: []byte("balancers: []"), Prune: true, Wait: true}
	res, err := c.Apply(t.Context(), req)
	if err != nil {
		t.Fatal(err)
	}
	if res.Applied != res.Desired || res.Desired != 8 {
		t.Errorf("with wait: %+v", res.Generations)
	}
	req.Wait = false // the server's own part
	if diff := cmp.Diff(req, f.request); diff != "" {
		t.Errorf("the backend was told (-want +got)\n%s", diff)
	}
	if res, err = c.Apply(t.Context(), ApplyRequest{DryRun: true}); err != nil || !res.DryRun || !f.request.DryRun {
		t.Errorf("dry run: %+v, %v", res, err)
	}
}

func TestFlowsComeOneByOne(t *testing.T) {
	f := newFake()
	for i := range 5000 {
		f.flows = append(f.flows, someFlow(i))
	}
	c := serve(t, f)
	q := FlowQuery{Config: "web/80", Node: "web/80/web-1", State: "udp", Sort: "age", Client: netip.MustParseAddr("2001:db8::1"), Limit: 9}
	var got []Flow
	for flow, err := range c.Flows(t.Context(), q) {
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, flow)
	}
	if diff := cmp.Diff(f.flows, got, cmp.Comparer(func(a, b netip.AddrPort) bool { return a == b })); diff != "" {
		t.Errorf("flows (-sent +got)\n%s", diff)
	}
	if f.query != q {
		t.Errorf("the backend was asked %+v", f.query)
	}
	for range c.Flows(t.Context(), q) {
		break // a reader that has enough
	}
	if counts, err := c.CountFlows(t.Context(), q); err != nil || len(counts) != 1 || counts[0].Flows != 3 {
		t.Errorf("count: %v, %v", counts, err)
	}
}

func TestAnErrorAmongFlowsReachesTheReader(t *testing.T) {
	f := newFake()
	f.flows, f.failAt = []Flow{someFlow(1), someFlow(2)}, 1
	n := 0
	var last error
	for _, err := range serve(t, f).Flows(t.Context(), FlowQuery{}) {
		if last = err; err == nil {
			n++
		}
	}
	if n != 1 || last == nil || !strings.Contains(last.Error(), "the table went away") {
		t.Errorf("%d flows, then %v", n, last)
	}
}

func TestNoDaemonIsAnErrorThatSaysWhatToDo(t *testing.T) {
	socket := filepath.Join(t.TempDir(), "none")
	_, err := NewClient(socket).Status(t.Context())
	var gone *NotRunningError
	if !errors.As(err, &gone) {
		t.Fatalf("%v", err)
	}
	for _, part := range []string{socket, "headgate run -c FILE", "--socket"} {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("%q lacks %q", err, part)
		}
	}
	if strings.Contains(err.Error(), "\n") {
		t.Errorf("%q is more than a line", err)
	}
}

func TestEveryAnswerOfARefusalIsKept(t *testing.T) {
	e := &Error{Status: http.StatusBadRequest, Reasons: []Refusal{{"a", "x"}, {"b", "y"}}}
	f := newFake()
	f.err = e
	_, err := serve(t, f).Status(context.Background())
	if diff := cmp.Diff(error(e), err); diff != "" {
		t.Errorf("(-sent +got)\n%s", diff)
	}
	if err.Error() != "a\nb" {
		t.Errorf("%q: want a line for each", err)
	}
}

func TestADaemonThatIsStoppedIsNotWaitedForForEver(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
	l, err := Listen(path) // takes connections, but nobody answers
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	c := NewClient(path)
	transport := c.http.Transport.(*http.Transport)
	if transport.ResponseHeaderTimeout != answerWithin {
		t.Error("it waits for ever")
	}
	transport.ResponseHeaderTimeout = 20 * time.Millisecond
	if _, err := c.Export(t.Context()); err == nil || !strings.Contains(err.Error(), "the daemon on "+path+" does not answer") {
		t.Errorf("%v", err)
	}
}

// A daemon that is killed with a request in its hands has made the change, or has not.
func TestWhoAsksADaemonThatDiesIsToldWhatThatMeans(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			_, _ = conn.Read(make([]byte, 1))
			conn.Close() // with the rest of the request unread, as the kernel does for a process that was killed
		}
	}()
	c := NewClient(path)
	died := "the daemon on " + path + " ended before it "
	if _, err := c.Status(t.Context()); err == nil || err.Error() != died+"had answered" {
		t.Errorf("who looks is told: %v", err)
	}
	if _, err := c.Apply(t.Context(), ApplyRequest{Data: []byte("balancers: []")}); err == nil || !strings.HasPrefix(err.Error(), died+"answered: the change is made whole or not at all") {
		t.Errorf("who changes is told: %v", err)
	}
}

// A list that breaks off is no list of all.
func TestALinesAnswerThatBreaksOffIsAnError(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	line, err := json.Marshal(someFlow(1))
	if err != nil {
		t.Fatal(err)
	}
	go http.Serve(l, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprintf(w, "%s\n", line)
		http.NewResponseController(w).Flush()
		panic(http.ErrAbortHandler) // the connection ends, the answer does not
	}))
	flows := 0
	var last error
	for _, err := range NewClient(path).Flows(t.Context(), FlowQuery{}) {
		if last = err; err == nil {
			flows++
		}
	}
	if flows != 1 || last == nil || last.Error() != "the daemon on "+path+" ended before it had answered" {
		t.Errorf("%d flows, then %v", flows, last)
	}
}
