package e2e

import (
	"strings"
	"testing"

	"github.com/headgate/headgate/pkg/api"
	"github.com/headgate/headgate/pkg/events"
	"github.com/headgate/headgate/scripts/lab/peer"
)

// TestE12ADrainedNodeSaysWhoStillSticks follows a node in drain whose clients stick to it: first its flows end, and
// then, once they are let go, its clients. What is left is said in each place where one would look.
func TestE12ADrainedNodeSaysWhoStillSticks(t *testing.T) {
	t.Parallel()
	s := newSite(t, 2, smallTable)
	clients, _, err := s.star.AddClients(4)
	s.must(err)
	s.servers()
	s.run(s.yaml(conf{port: 80, extra: "stickiness: table\n" + quickCheck, nodes: members(2, 8080, []int{4})}))
	// Two of four stick to each node; those of node a have a connection, too.
	const node = "web/80/node-a"
	visit := func(count int) peer.Report {
		t.Helper()
		return s.load(peer.Load{Network: "tcp", Address: s.vip(4, 80), Sources: clients, Workers: len(clients), Count: count})
	}
	wantShares(t, "four clients", visit(1), map[string]int{"a": 2, "b": 2})
	held := s.startLoad(peer.Load{Network: "tcp", Address: s.vip(4, 80), Sources: clients, Workers: len(clients), KeepOpen: true})
	s.pulse(held)
	s.set(node, "--mode", "drain")
	s.nodeEventually(node, "shows what is left", func(n api.Node) bool {
		return n.ActiveFlows == 2 && n.StickEntries == 2 && n.OldestFlowMS != nil && !n.TakesNew
	})
	waits := s.startCLI("node", "set", node, "--mode", "drain", "--until-drained")
	poll(t, soon, "the command says what is left", func() bool { return strings.Contains(waits.Stderr(), "2 flows and 2 stick entries left") })

	s.finish(held)
	poll(t, soon, "and until when", func() bool {
		return strings.Contains(waits.Stderr(), "2 stick entries left, the last until ") &&
			strings.Contains(waits.Stderr(), "unless its client comes again (`headgate sticky remove --node "+node+"` lets them go)")
	})
	s.says(node, "no flow is left; still stuck to it, and free to come again: 2 clients")
	if out := s.cli("status"); !strings.Contains(out, "no flows, 2 stick entries left") {
		t.Errorf("status:\n%s", out)
	}
	shown := strings.Join(strings.Fields(s.cli("node", "show", node)), " ")
	for _, want := range []string{
		"new flows no: mode drain, but for clients that stick to it", "active flows 0 stick entries 2", "deadline none: flows go on to their natural end oldest flow none",
	} {
		if !strings.Contains(shown, want) {
			t.Errorf("node show: %q is not in %q", want, shown)
		}
	}
	if out := s.cli("node", "set", node, "--mode", "drain", "--until-drained", "--flows-only"); !strings.Contains(out, node+": no flow is left; 2 stick entries may bring others") {
		t.Errorf("for flows alone: %s", out)
	}
	if _, err := s.gate.CLI(t.Context(), "node", "set", node, "--mode", "drain", "--until-drained", "--timeout", "1ms"); err == nil ||
		!strings.Contains(err.Error(), "2 stick entries left when time was up; what was set stays") {
		t.Errorf("with a timeout: %v", err)
	}
	wantShares(t, "those who stick come again", visit(1), map[string]int{"a": 2, "b": 2})
	select {
	case <-waits.Done():
		t.Fatalf("the command does not wait for those who stick: %s", waits.Stdout())
	default:
	}

	s.cli("sticky", "remove", "--node", node)
	<-waits.Done()
	if out := waits.Stdout(); waits.Err() != nil || !strings.HasSuffix(out, node+": drained\n") {
		t.Errorf("%v: %s %s", waits.Err(), out, waits.Stderr())
	}
	s.says(node, "drained, no client sticks to it any more")
	if out := s.cli("status"); !strings.Contains(out, "  drained\n") {
		t.Errorf("status:\n%s", out)
	}
	wantShares(t, "nobody sticks any more", visit(1), map[string]int{"b": 4})
}

// says waits for an event of kind drained about a node in drain.
func (s *site) says(node, what string) {
	s.t.Helper()
	poll(s.t, soon, "an event says "+what, func() bool {
		var list []events.Event
		s.must(s.gate.JSON(s.t.Context(), &list, "events", "--kind", "drained", "--node", node))
		return len(list) > 0 && list[len(list)-1].Text == node+" (drain): "+what
	})
}
