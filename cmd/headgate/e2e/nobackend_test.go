package e2e

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/headgate/headgate/pkg/api"
	"github.com/headgate/headgate/scripts/lab"
	"github.com/headgate/headgate/scripts/lab/peer"
)

// E1: what a client sees when there is nobody to send to.
func TestE1NothingToSendTo(t *testing.T) {
	t.Parallel()
	s := newSite(t, 1, smallTable)
	s.servers()
	// The check's port is closed: DOWN, although the node would answer.
	check := quickCheck + fmt.Sprintf("check_port: %d\n", checkPort)
	s.run(s.yaml(
		conf{port: 80, extra: check + "on_no_backend: reset\n", nodes: members(1, 8080, both)},
		conf{port: 81, extra: check + "on_no_backend: drop\n", nodes: members(1, 8080, both)},
		conf{port: 82, extra: check + "on_no_backend: open\n", nodes: members(1, 8080, both)},
		conf{port: 53, proto: "udp", extra: check + "on_no_backend: reset\n", nodes: members(1, 5353, both)},
		conf{port: 54, proto: "udp", extra: check + "on_no_backend: drop\n", nodes: members(1, 5353, both)},
		conf{port: 55, proto: "udp", extra: check + "on_no_backend: open\n", nodes: members(1, 5353, both)},
	))
	for _, family := range both {
		for _, c := range []struct {
			network string
			port    int
			want    string // kind of failure; empty: it works
		}{
			{"tcp", 80, "refused"}, {"tcp", 81, "timeout"}, {"tcp", 82, ""},
			{"udp", 53, "refused"}, {"udp", 54, "timeout"}, {"udp", 55, ""},
		} {
			r := s.load(peer.Load{Network: c.network, Address: s.vip(family, c.port), Workers: 5, Count: 1, Timeout: 500 * time.Millisecond})
			if c.want == "" && r.Done != 5 || c.want != "" && r.Failures[c.want] != 5 {
				t.Errorf("%s port %d over IPv%d: want %q, got %+v", c.network, c.port, family, c.want, r)
			}
		}
	}
	s.tellsWhatItRefuses()
}

// tellsWhatItRefuses looks at the refusals of each config of TestE1NothingToSendTo: by the commands and the API.
func (s *site) tellsWhatItRefuses() {
	s.t.Helper()
	for name, want := range map[string]string{
		"web/80":     `(?m)^ +10  no_backend +no node takes new flows$`, // five of each family
		"web/81":     `(?m)^ +\d+  no_backend_dropped +no node takes new flows, and on_no_backend is drop$`,
		"web/53/udp": `(?m)^ +10  no_backend +no node takes new flows$`,
	} {
		if out := s.cli("config", "show", name); !regexp.MustCompile(want).MatchString(out) {
			s.t.Errorf("config show %s has not %s:\n%s", name, want, out)
		}
	}
	if out := s.cli("config", "show", "web/82"); strings.Contains(out, "refused or dropped") {
		s.t.Errorf("nothing was refused of web/82:\n%s", out)
	}
	if out := s.cli("status"); !regexp.MustCompile(`(?m)^  refused or dropped so far: no_backend 10$`).MatchString(out) {
		s.t.Errorf("status does not tell what web/80 refused:\n%s", out)
	}
	for _, c := range s.status().Configs {
		if i := slices.IndexFunc(c.Refused, func(r api.Reason) bool { return r.Name == "no_backend" && r.Packets == 10 && r.Why != "" }); (i >= 0) != (c.Name == "web/80" || c.Name == "web/53/udp") {
			s.t.Errorf("the API says of %s: %+v", c.Name, c.Refused)
		}
	}
}

// E10: connections of a node that goes DOWN are kept, or reset where the config says so.
func TestE10ConnectionsOfADownNode(t *testing.T) {
	t.Parallel()
	s := newSite(t, 2, smallTable)
	s.servers()
	var listeners []*lab.Process
	for _, ns := range s.star.Nodes {
		p, err := peer.StartListener(ns, fmt.Sprintf("[::]:%d", checkPort))
		s.must(err)
		listeners = append(listeners, p)
	}
	check := quickCheck + fmt.Sprintf("check_port: %d\n", checkPort)
	s.run(s.yaml(
		conf{port: 80, extra: check + "on_down: keep\n", nodes: members(2, 8080, both)},
		conf{port: 81, extra: check + "on_down: reset\n", nodes: members(2, 8080, both)},
	))
	for _, family := range both {
		kept, reset := s.hold("tcp", family, 80, 2), s.hold("tcp", family, 81, 2)
		s.must(listeners[0].Kill())
		for _, port := range []int{80, 81} {
			name := fmt.Sprintf("web/%d/%s", port, nodeLabel(0, family))
			s.eventually(name+" is DOWN", s.applied(name, "DOWN"))
		}
		if r := s.pulse(kept); r.Failed != 0 || r.Nodes["a"] != 2 {
			t.Errorf("IPv%d, on_down keep: %+v", family, r)
		}
		if r := s.pulse(reset); r.Failures["reset"] != 1 || r.Nodes["b"] != 2 {
			t.Errorf("IPv%d, on_down reset: %+v", family, r)
		}
		p, err := peer.StartListener(s.star.Nodes[0], fmt.Sprintf("[::]:%d", checkPort))
		s.must(err)
		listeners[0] = p
		for _, port := range []int{80, 81} {
			name := fmt.Sprintf("web/%d/%s", port, nodeLabel(0, 6))
			s.eventually(name+" is UP", s.applied(name, "UP"))
		}
	}
}
