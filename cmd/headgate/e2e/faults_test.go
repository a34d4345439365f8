package e2e

import (
	"fmt"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/headgate/headgate/pkg/api"
	"github.com/headgate/headgate/pkg/events"
	"github.com/headgate/headgate/scripts/lab/peer"
)

// What a server does wrong that is there and answers.
func TestIllServersAreFoundAndComeBack(t *testing.T) {
	t.Parallel()
	w := newWard(t, 2, 80, 81, 82)
	for _, fault := range []struct {
		port         int
		behave, well string
		reason       string
	}{
		{80, "status 500", "ok", "status 500"},
		{80, "hang", "ok", "no answer within 150ms"},
		{80, "slow 250ms", "ok", "no answer within 150ms"},
		{81, "half", "ok", "the body breaks off after 2 bytes"},
		{81, "trickle", "ok", "no answer within 150ms"},
		{82, "cert " + w.expired, "cert " + w.good, "the certificate expired"},
	} {
		w.part(strings.Fields(fault.behave)[0], func() {
			w.behave(fault.behave)
			w.down(fault.port, fault.reason)
			w.behave(fault.well)
			w.up(fault.port)
		})
	}
}

// What goes wrong around a server.
func TestLostServersAreFoundAndComeBack(t *testing.T) {
	t.Parallel()
	w := newWard(t, 2, 80)
	node := w.star.Nodes[0]
	nft := func(rules string) {
		w.t.Helper()
		_, err := node.Run(w.t.Context(), "nft", rules)
		w.must(err)
	}
	filter := func(verdict string) string {
		return fmt.Sprintf("add table ip fault; add chain ip fault in { type filter hook input priority 0; }; "+
			"add rule ip fault in tcp dport %d %s", patientHTTP, verdict)
	}
	const unfilter = "delete table ip fault"
	for _, fault := range []struct {
		name          string
		inflict, mend func()
		reason        string
	}{
		{"frozen", func() { w.must(w.patients[0].Signal(syscall.SIGSTOP)) }, func() { w.must(w.patients[0].Signal(syscall.SIGCONT)) }, "no answer within 150ms"},
		{"port filtered", func() { nft(filter("drop")) }, func() { nft(unfilter) }, "no answer within 150ms"},
		{"port rejected", func() { nft(filter("reject with icmp type host-prohibited")) }, func() { nft(unfilter) }, "no route to host"},
		{"link down", func() { w.must(w.star.Balancer.LinkDown(node.Name())) }, func() { w.must(w.star.Balancer.LinkUp(node.Name())) }, ""},
		{"killed", func() { w.must(w.patients[0].Kill()) }, func() {
			p, err := peer.StartPatient(node, peer.PatientOptions{HTTP: fmt.Sprintf("[::]:%d", patientHTTP)})
			w.must(err)
			w.patients[0] = p
		}, "connection refused"},
	} {
		w.part(fault.name, func() {
			fault.inflict()
			w.down(80, fault.reason)
			fault.mend()
			w.up(80)
		})
	}
}

// What is no fault: an answer just in time, one failure now and then, half of the packets lost.
func TestNodesThatAreNotQuiteIllStay(t *testing.T) {
	t.Parallel()
	w := newWard(t, 2, 80)
	name := patientNode(80)
	stays := func(health string, fails bool) {
		w.t.Helper()
		failed, succeeded := 0, 0
		for _, r := range w.checkedSince(name, time.Now(), 10) {
			if r.OK {
				succeeded++
			} else {
				failed++
			}
		}
		if fails != (failed > 2) || succeeded < 3 {
			w.t.Errorf("%d checks succeeded, %d failed", succeeded, failed)
		}
		if n := w.node(name); n.Health != health {
			w.t.Errorf("the node is %s (%s), want %s", n.Health, n.Reason, health)
		}
	}
	w.part("slow answers in time", func() {
		w.behave("slow 50ms")
		stays("UP", false)
	})
	w.part("every second SYN lost", func() {
		w.behave("ok")
		_, err := w.star.Nodes[0].Run(w.t.Context(), "nft", fmt.Sprintf("add table ip fault; add chain ip fault in { type filter hook input priority 0; }; "+
			"add rule ip fault in tcp dport %d tcp flags syn / syn,ack numgen inc mod 2 0 drop", patientHTTP))
		w.must(err)
		stays("UP", true)
		_, err = w.star.Nodes[0].Run(w.t.Context(), "nft", "delete table ip fault")
		w.must(err)
	})
	w.part("flapping", func() {
		w.behave("flap")
		stays("UP", true)
		w.behave("status 500")
		w.down(80, "status 500")
		w.behave("flap") // a node that is DOWN has to answer twice in a row
		stays("DOWN", true)
	})
}

// The balancer loses its own link to all nodes. From here nobody serves, so new connections are refused at
// once, and clients can turn elsewhere; what was established waits for the link.
func TestLostUplinkRefusesAtOnceAndComesBack(t *testing.T) {
	t.Parallel()
	w := newWard(t, 2, 80)
	held := w.hold("tcp", 4, 80, 4)
	for _, ns := range w.star.Nodes {
		w.must(w.star.Balancer.LinkDown(ns.Name()))
	}
	w.eventually("the config is DOWN", func(st api.Status) bool {
		c, err := api.FindConfig(st.Configs, "web/80")
		w.must(err)
		return c.Status == "DOWN" && st.Applied == st.Desired
	})
	if r := w.load(peer.Load{Network: "tcp", Address: w.vip(4, 80), Workers: 5, Count: 1, Timeout: time.Second}); r.Failures["refused"] != 5 {
		t.Errorf("new connections: %+v", r)
	}
	for _, ns := range w.star.Nodes {
		w.must(w.star.Balancer.LinkUp(ns.Name()))
	}
	w.up(80)
	if r := w.pulse(held); r.Failed != 0 {
		t.Errorf("connections from before: %+v", r)
	}
}

// E14: health survives the daemon. No node flaps because it came back, also after kill -9; what is older than two
// intervals is not believed.
func TestE14HealthOutlivesTheDaemon(t *testing.T) {
	t.Parallel()
	w := newWard(t, 2, 80)
	w.behave("status 500")
	w.down(80, "status 500")
	// A longer interval: whoever starts again within twice that believes what was known.
	file, err := os.ReadFile(w.gate.File)
	w.must(err)
	long := strings.Replace(string(file), "check_interval: 200ms", "check_interval: 20s", 1)
	w.must(os.WriteFile(w.gate.File, []byte(long), 0o600))
	w.must(w.gate.Reload())
	w.eventually("the interval is longer", func(api.Status) bool { return w.examine(patientNode(80)).IntervalMS == 20_000 })
	for _, end := range []struct {
		name string
		do   func() error
	}{{"kill -9", w.gate.Kill}, {"stop", w.gate.Stop}} {
		w.part(end.name, func() {
			w.settle()
			before := w.healthEvents()
			w.must(end.do())
			w.start()
			if got := w.healths(); got != "DOWN UP" {
				w.t.Errorf("right after the start: %s, want DOWN UP", got)
			}
			if r := w.exchanges("tcp", 4, 80, 6); r.Failed != 0 || r.Nodes["b"] != 6 {
				w.t.Errorf("new connections: %+v", r)
			}
			if after := w.healthEvents(); len(after) != len(before) {
				w.t.Errorf("came with the start: %v", after[len(before):])
			}
		})
	}
	w.part("too old", func() {
		w.must(os.WriteFile(w.gate.File, []byte(strings.Replace(long, "check_interval: 20s", "check_interval: 200ms", 1)), 0o600))
		w.must(w.gate.Kill())
		end := time.Now().Add(500 * time.Millisecond)
		poll(w.t, soon, "two intervals are over", func() bool { return time.Now().After(end) })
		w.behave("hang")
		w.start()
		if n := w.node(patientNode(80)); n.Health != "Unknown" {
			w.t.Errorf("after two intervals it is %s (%s), want Unknown", n.Health, n.Reason)
		}
		w.down(80, "no answer")
	})
}

// healths are those of the nodes of the first config, in order.
func (s *site) healths() string {
	s.t.Helper()
	var all []string
	for _, n := range s.status().Configs[0].Nodes {
		all = append(all, n.Health)
	}
	return strings.Join(all, " ")
}

// healthEvents are all that there were.
func (s *site) healthEvents() (texts []string) {
	s.t.Helper()
	var list []events.Event
	s.must(s.gate.JSON(s.t.Context(), &list, "events", "--kind", "health", "--limit", "0"))
	for _, e := range list {
		texts = append(texts, e.Text)
	}
	return texts
}
