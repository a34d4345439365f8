package e2e

import (
	"fmt"
	"strings"
	"testing"

	"github.com/headgate/headgate/scripts/lab"
	"github.com/headgate/headgate/scripts/lab/peer"
)

// TestABalancerIsMadeAndUnmadeByCommandsAlone starts with nothing, and real clients follow each command.
func TestABalancerIsMadeAndUnmadeByCommandsAlone(t *testing.T) {
	t.Parallel()
	s := newSite(t, 3, smallTable)
	s.servers()
	s.run("balancers: []\n")
	s.cli("balancer", "add", "web", "--ipv4", s.star.VIP(4).String(), "--ipv6", s.star.VIP(6).String())
	s.cli("config", "add", "web/80")
	for i := range 2 {
		for _, family := range both {
			address := fmt.Sprintf("%s:8080", s.star.NodeAddr(i+1, family))
			if family == 6 {
				address = fmt.Sprintf("[%s]:8080", s.star.NodeAddr(i+1, family))
			}
			s.cli("node", "add", "web/80/"+nodeLabel(i, family), "--address", address, "--wait")
		}
	}
	wantShares(t, "over IPv4", s.exchanges("tcp", 4, 80, 4), map[string]int{"a": 2, "b": 2})
	wantShares(t, "over IPv6", s.exchanges("tcp", 6, 80, 4), map[string]int{"a": 2, "b": 2})
	for _, line := range []string{"balancer show web", "config show web/80", "config list", "balancer list"} {
		if out := s.cli(strings.Fields(line)...); !strings.Contains(out, "web/80") && !strings.Contains(out, s.star.VIP(4).String()) {
			t.Errorf("%s:\n%s", line, out)
		}
	}
	exported := s.cli("export")
	if out := s.cli("node", "remove", "web/80/"+nodeLabel(0, 4), "--dry-run"); !strings.Contains(out, "remove") || s.cli("export") != exported {
		t.Errorf("a dry run:\n%s", out)
	}

	// A node is removed under its clients: they go on (E18), and the command waits for their end.
	held := s.hold("tcp", 4, 80, 4)
	removed := s.startCLI("node", "remove", "web/80/"+nodeLabel(0, 4), "--yes", "--until-drained")
	poll(t, soon, "the command says what is left", func() bool { return strings.Contains(removed.Stderr(), "2 flows left") })
	wantShares(t, "without the node that was removed", s.exchanges("tcp", 4, 80, 3), map[string]int{"b": 3})
	if r := s.pulse(held); r.Failed != 0 || r.Nodes["a"] != 4 {
		t.Errorf("connections to the node that was removed: %+v", r)
	}
	s.finish(held)
	<-removed.Done()
	if out := removed.Stdout(); removed.Err() != nil || !strings.Contains(out, "removed and drained") {
		t.Errorf("%v: %s %s", removed.Err(), out, removed.Stderr())
	}

	s.cli("config", "set", "web/80", "--on-no-backend", "drop", "--tcp-idle", "2h", "--wait")
	s.cli("balancer", "set", "web", "--label", "www", "--wait")
	if out := s.cli("config", "show", "www/80"); !strings.Contains(out, "on_no_backend    drop") || !strings.Contains(out, "tcp_idle         2h") {
		t.Errorf("config show:\n%s", out)
	}
	wantShares(t, "under another label", s.exchanges("tcp", 4, 80, 2), map[string]int{"b": 2})
	s.cli("balancer", "remove", "www", "--yes", "--wait")
	if out := s.cli("export"); out != "balancers: []\n" {
		t.Errorf("after removing all:\n%s", out)
	}
	if r := s.load(peer.Load{Network: "tcp", Address: s.vip(4, 80), Workers: 1, Count: 1, Timeout: soon / 10}); r.Failed != 1 {
		t.Errorf("what is removed still answers: %+v", r)
	}
}

// startCLI starts a command and returns while it runs.
func (s *site) startCLI(args ...string) *lab.Process {
	s.t.Helper()
	p, err := s.gate.Namespace.Start(lab.Command{
		Path: s.gate.Binary, Args: args, Stdin: strings.NewReader(""),
		Env: []string{"HEADGATE_SOCKET=" + s.gate.Socket, "HEADGATE_BPFFS=" + s.gate.BPFFS},
	})
	s.must(err)
	return p
}
