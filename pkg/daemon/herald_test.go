package daemon

import (
	"bytes"
	"fmt"
	"log/slog"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/headgate/headgate/pkg/api"
	"github.com/headgate/headgate/pkg/events"
	"github.com/headgate/headgate/pkg/health"
	"github.com/headgate/headgate/pkg/lb"
	"github.com/headgate/headgate/pkg/maps"
)

// journal is a log that a test reads.
type journal struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (j *journal) Write(p []byte) (int, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.buf.Write(p)
}

// take gives the lines since the last take, without their times.
func (j *journal) take() []string {
	j.mu.Lock()
	defer j.mu.Unlock()
	text := strings.TrimSpace(j.buf.String())
	j.buf.Reset()
	if text == "" {
		return nil
	}
	return strings.Split(text, "\n")
}

func (j *journal) logger() *slog.Logger {
	return slog.New(slog.NewTextHandler(j, &slog.HandlerOptions{ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
		if a.Key == slog.TimeKey {
			return slog.Attr{}
		}
		return a
	}}))
}

// logged lets a running engine log to a journal.
func logged(t *testing.T, content string, test func(t *testing.T, r *rig, j *journal)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		r, j := newRig(t, content), &journal{}
		r.says.log = j.logger()
		test(t, r, j)
	})
}

func wantLines(t *testing.T, what string, j *journal, want ...string) {
	t.Helper()
	if got := j.take(); strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("%s: the log says\n%s\nwant\n%s", what, strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

func TestTheLogSaysWhatBecomesOfNodes(t *testing.T) {
	logged(t, twoNodes, func(t *testing.T, r *rig, j *journal) {
		found := func(h lb.Health, reason string) {
			r.state.SetHealth(health.ResultsOf(map[lb.NodeKey]health.Result{web1: {Key: web1, Health: h, Reason: reason, At: time.Now()}}))
			r.settle(false)
		}
		found(lb.Up, "")
		wantLines(t, "a first check", j, `level=INFO msg="web/80/web-1 is UP" event=health config=web/80 node=web/80/web-1 from=Unknown to=UP`)
		found(lb.Up, "")
		wantLines(t, "the same again", j)
		found(lb.Down, "connection refused")
		wantLines(t, "a failed check", j,
			`level=INFO msg="web/80/web-1 is DOWN: connection refused" event=health config=web/80 node=web/80/web-1 from=UP to=DOWN`,
			`level=INFO msg="web/80 (203.0.113.10): new flows are refused: nothing is eligible" event=tier config=web/80 from=primary to=none`)
		_, _ = r.store.Update(func(b []lb.Balancer) ([]lb.Balancer, error) {
			b[0].Configs[0].Nodes[1].Mode, b[0].Configs[0].Nodes[1].Weight = lb.Drain, 7
			return b, nil
		})
		r.takeDesired()
		r.settle(false)
		wantLines(t, "what people set", j,
			`level=INFO msg="web/80/web-2: mode accept → drain, weight 100 → 7" event=changed config=web/80 node=web/80/web-2 from=accept to=drain`)
	})
}

func TestManyChangesAtOnceAreOneLine(t *testing.T) {
	var nodes strings.Builder
	for i := range newsMost + 1 {
		fmt.Fprintf(&nodes, "          - {label: more-%d, address: \"192.0.2.%d:8080\"}\n", i, 100+i)
	}
	logged(t, twoNodes+nodes.String(), func(t *testing.T, r *rig, j *journal) {
		results := map[lb.NodeKey]health.Result{}
		for _, target := range r.checks.targets {
			results[target.Key] = health.Result{Key: target.Key, Health: lb.Down, Reason: "timeout", At: time.Now()}
		}
		r.checks.results = results
		r.state.SetHealth(health.ResultsOf(results))
		r.settle(false)
		r.everySecond(time.Now())
		wantLines(t, "a rack that goes away", j, "level=INFO msg=\"many things happened at once (`headgate events` lists them): 23 DOWN, 1 tier\"",
			`level=INFO msg="attached to eth0 in native mode" event=interface`)
		r.everySecond(time.Now())
		wantLines(t, "nothing more", j)
		results = map[lb.NodeKey]health.Result{}
		for key, res := range r.checks.results {
			results[key] = res
		}
		results[web1] = health.Result{Key: web1, Health: lb.Up, At: time.Now()}
		r.state.SetHealth(health.ResultsOf(results))
		r.settle(false)
		wantLines(t, "one node afterwards", j,
			`level=INFO msg="web/80/web-1 is UP" event=health config=web/80 node=web/80/web-1 from=DOWN to=UP`,
			`level=INFO msg="web/80 (203.0.113.10): the primaries take new flows again" event=tier config=web/80 from=none to=primary`)
	})
}

func TestTheLogSaysWhatAFileBrings(t *testing.T) {
	logged(t, twoNodes, func(t *testing.T, r *rig, j *journal) {
		changed := strings.NewReplacer("weight: 100", "weight: 7", "label: web-1", "label: web-9", "192.0.2.11", "192.0.2.19", "[eth0]", "[eth0, eth1]").Replace(twoNodes)
		r.write(t, changed)
		r.rereadFile()
		wantLines(t, "on SIGHUP", j,
			`level=WARN msg="`+r.path+`: interfaces was changed there and counts from the next start of the daemon" event=file`,
			`level=INFO msg="applied `+r.path+`: 1 added, 1 changed, 1 removed" event=file to=applied`,
			`level=INFO msg="web/80/web-9: added with address 192.0.2.19:8080, weight 50, mode accept" event=added config=web/80 node=web/80/web-9 to=accept`,
			`level=INFO msg="web/80/web-2: weight 100 → 7" event=changed config=web/80 node=web/80/web-2`,
			`level=INFO msg="web/80/web-1: removed (192.0.2.11:8080)" event=removed config=web/80 node=web/80/web-1 from=accept`)
		if _, err := backendOf(r).Apply(t.Context(), api.ApplyRequest{Name: "other.yaml", Data: []byte(strings.Replace(changed, "weight: 7", "weight: 8", 1))}); err != nil {
			t.Fatal(err)
		}
		wantLines(t, "by apply", j, `level=INFO msg="applied other.yaml, which was handed in: 0 added, 1 changed, 0 removed" event=file to=applied`)
	})
}

func TestTheLogSaysWhatWasTakenOver(t *testing.T) {
	r, j := newRig(t, twoNodes), &journal{}
	n := r.inMaps(t, "192.0.2.11:8080")
	if err := r.tables.AddFlow(maps.Flow{Protocol: lb.TCP, Class: maps.Established, NodeID: n.ID, Node: n.Address,
		Client: netip.MustParseAddrPort("198.51.100.7:40000"), VIP: netip.MustParseAddrPort("203.0.113.10:80"),
		Source: netip.MustParseAddrPort("10.0.0.1:1600")}); err != nil {
		t.Fatal(err)
	}
	d := &daemon{says: newChronicle(j.logger(), events.NewLog(nil, nil)), config: r.file.start, reader: r.tables.Reader()}
	d.tookOver()
	wantLines(t, "a restart", j, `level=INFO msg="took over what is pinned in /sys/fs/bpf/headgate with 1 flows" event=daemon to="took over"`)
}
