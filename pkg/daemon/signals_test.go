package daemon

import (
	"net/netip"
	"regexp"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/headgate/headgate/pkg/events"
	"github.com/headgate/headgate/pkg/health"
	"github.com/headgate/headgate/pkg/lb"
	"github.com/headgate/headgate/pkg/maps"
)

const uncheckedNodes = `
interfaces: [eth0]
balancers:
  - label: web
    ipv4: 203.0.113.10
    configs:
      - port: 80
        nodes:
          - {label: web-1, address: "192.0.2.11:8080"}
          - {label: web-2, address: "192.0.2.12:8080"}
`

// reported has the data path report that a node has failed so many connections in a row.
func (r *rig) reported(t *testing.T, address string, kind maps.SignalKind, inARow uint32) {
	t.Helper()
	n := r.inMaps(t, address)
	r.tables.SetTrouble(n.ID, maps.Trouble{InARow: inARow})
	r.signals.take([]maps.Signal{{
		Node: n.ID, Address: netip.MustParseAddrPort(address), VIP: maps.VIP{Addr: netip.MustParseAddr("203.0.113.10"), Port: 80, Protocol: lb.TCP},
		Balancer: "web", Kind: kind, InARow: inARow,
	}}, time.Now())
	synctest.Wait()
}

func (r *rig) told(kind events.Kind) (texts []string) {
	for _, e := range r.says.book.Read(events.Filter{Kinds: []events.Kind{kind}}, 0) {
		texts = append(texts, e.Text)
	}
	return texts
}

func TestReportsEjectANodeThatNobodyChecks(t *testing.T) {
	running(t, uncheckedNodes, func(t *testing.T, r *rig) {
		if n := r.inMaps(t, "192.0.2.11:8080"); n.Status.Actions != maps.TakesNew|maps.Reports {
			t.Fatalf("the maps say %s", n.Status.Actions)
		}
		for inARow := range uint32(3) {
			r.reported(t, "192.0.2.11:8080", maps.Refused, 1+inARow)
		}
		n := r.inMaps(t, "192.0.2.11:8080")
		if n.Status.Health != lb.Down || n.Status.Actions != maps.Dead|maps.Reports {
			t.Errorf("after three in a row the maps say %+v", n.Status)
		}
		r.reported(t, "192.0.2.12:8080", maps.Unanswered, 3)
		if n := r.inMaps(t, "192.0.2.12:8080"); n.Status.Health != lb.Unknown || n.Status.Actions != maps.TakesNew|maps.Reports {
			t.Errorf("E26: of two both are out: the maps say %+v of the second", n.Status)
		}
		warnings := strings.Join(ejected(r.published.Load().view, time.Now()), "\n")
		if want := "web/80/web-1 is ejected for 10s more: 3 connections in a row failed, the last was refused\n" +
			"web/80/web-2 fails connections (3 connections in a row failed, the last was unanswered), but is not ejected: no more than half may be out for that"; warnings != want {
			t.Errorf("status warns\n%s\nwant\n%s", warnings, want)
		}
		time.Sleep(11 * time.Second)
		synctest.Wait()
		if n := r.inMaps(t, "192.0.2.11:8080"); n.Status.Health != lb.Unknown || n.Status.Actions&maps.TakesNew == 0 {
			t.Errorf("after ten seconds the maps say %+v", n.Status)
		}
		passive := strings.Join(r.told(events.Passive), "\n")
		for _, want := range []string{
			`web/80/web-1: a client's connection was refused`, `web/80/web-1: its ejection is over`,
			`web/80/web-2: 3 connections in a row failed, the last was unanswered(?m:$)`, `web/80/web-2: .*it is not ejected`,
		} {
			if len(regexp.MustCompile(want).FindAllString(passive, -1)) != 1 {
				t.Errorf("not once: %s in\n%s", want, passive)
			}
		}
		if got := r.told(events.Health); len(got) != 1 || got[0] != "web/80/web-1 is DOWN: ejected for 10s: 3 connections in a row failed, the last was refused" {
			t.Errorf("events of health: %q", got)
		}
	})
}

// Whoever sends SYNs that no server would answer does not get a node ejected that is well.
func TestANodeIsAskedBeforeItIsEjectedForSYNsWithoutAnAnswer(t *testing.T) {
	running(t, uncheckedNodes, func(t *testing.T, r *rig) {
		r.answering[web1.Address] = true
		r.reported(t, "192.0.2.11:8080", maps.Unanswered, 3)
		if out := r.signals.ejector.Ejections(time.Now()); len(out) != 0 {
			t.Errorf("ejected though it answers: %v", out)
		}
		r.reported(t, "192.0.2.11:8080", maps.Refused, 4)
		if out := r.signals.ejector.Ejections(time.Now()); len(out) != 0 {
			t.Errorf("ejected for one connection, the others being forgiven: %v", out)
		}
		r.answering[web1.Address] = false
		time.Sleep(askPause)
		r.reported(t, "192.0.2.11:8080", maps.Unanswered, 6)
		if _, out := r.signals.ejector.Ejections(time.Now())[web1]; !out {
			t.Error("not ejected though it does not answer")
		}
	})
}

func TestReportsHurryTheChecksOfANodeThatIsChecked(t *testing.T) {
	running(t, uncheckedNodes, func(t *testing.T, r *rig) {
		r.hurried[web1] = 0
		for inARow := range uint32(5) {
			r.reported(t, "192.0.2.11:8080", maps.Unreachable, 1+inARow)
		}
		if r.hurried[web1] != 5 || len(r.signals.ejector.Ejections(time.Now())) != 0 {
			t.Errorf("hurried %d times, ejected %v", r.hurried[web1], r.signals.ejector.Ejections(time.Now()))
		}
		if got := r.told(events.Passive); len(got) != 1 || got[0] != "web/80/web-1: a client's connection did not reach the node; the node is checked at once" {
			t.Errorf("told: %q", got)
		}
	})
}

// A node that is spared, because others are out, must not go out later though it is well by then.
func TestEjectionEndsWhenTheNodeTakesConnections(t *testing.T) {
	running(t, uncheckedNodes, func(t *testing.T, r *rig) {
		r.reported(t, "192.0.2.11:8080", maps.Refused, 3)
		r.reported(t, "192.0.2.12:8080", maps.Refused, 3)
		r.tables.SetTrouble(r.inMaps(t, "192.0.2.12:8080").ID, maps.Trouble{})
		time.Sleep(2 * time.Second)
		synctest.Wait()
		all := r.signals.ejector.Ejections(time.Now())
		if _, one := all[web1]; !one || len(all) != 1 {
			t.Errorf("ejected: %v", all)
		}
	})
}

// Of four connections that fail at the same moment the first one is reported.
func TestWhatReportsLeaveOutCounts(t *testing.T) {
	running(t, uncheckedNodes, func(t *testing.T, r *rig) {
		r.reported(t, "192.0.2.11:8080", maps.Unanswered, 1)
		r.tables.SetTrouble(r.inMaps(t, "192.0.2.11:8080").ID, maps.Trouble{InARow: 4})
		time.Sleep(1500 * time.Millisecond)
		synctest.Wait()
		if e := r.signals.ejector.Ejections(time.Now())[web1]; e.Failure.InARow != 4 {
			t.Errorf("ejected: %+v", e)
		}
	})
}

func TestReportsOfNodesThatAreGoneAreForgotten(t *testing.T) {
	running(t, uncheckedNodes, func(t *testing.T, r *rig) {
		r.reported(t, "192.0.2.11:8080", maps.Refused, 1)
		if f, seen := r.signals.last(web1); !seen || f.How != "refused" || f.InARow != 1 {
			t.Errorf("last: %+v", f)
		}
		gone := web1
		gone.Address = netip.MustParseAddrPort("192.0.2.99:80")
		r.signals.note(r.inMaps(t, "192.0.2.12:8080").ID, health.Failure{Key: gone, At: time.Now()}, false)
		time.Sleep(2 * time.Second)
		synctest.Wait()
		if _, seen := r.signals.last(gone); seen {
			t.Error("a node that is not there is remembered")
		}
		if _, seen := r.signals.last(web1); !seen {
			t.Error("one that is there is forgotten")
		}
	})
}
