package e2e

import (
	"net/netip"
	"strings"
	"testing"

	"github.com/headgate/headgate/pkg/api"
)

// explain asks what would become of a packet.
func (s *site) explain(args ...string) (story api.Story, text string) {
	s.t.Helper()
	s.must(s.gate.JSON(s.t.Context(), &story, append([]string{"explain"}, args...)...))
	for _, step := range story.Steps {
		text += step.Stage + ": " + step.Text + "\n"
	}
	return story, text
}

// wantStory checks the outcome, and that the sentences say these things in this order.
func wantStory(t *testing.T, what string, story api.Story, text, fate, reason string, says ...string) {
	t.Helper()
	if story.Fate != fate || story.Reason != reason {
		t.Errorf("%s: %s (%s), want %s (%s)", what, story.Fate, story.Reason, fate, reason)
	}
	rest := text
	for _, want := range says {
		_, after, found := strings.Cut(rest, want)
		if !found {
			t.Errorf("%s: %q is not said, or not in its place:\n%s", what, want, text)
			return
		}
		rest = after
	}
}

// What explain tells comes true: the node, the source port, the way; and asking leaves no trace.
func TestExplainTellsWhatComesTrue(t *testing.T) {
	t.Parallel()
	s := newSite(t, 2, smallTable)
	s.servers()
	s.run(s.yaml(conf{port: 80, nodes: members(2, 8080, both, 3, 1)}, conf{port: 53, proto: "udp", nodes: members(2, 5353, both)}))
	for _, family := range both {
		client := netip.AddrPortFrom(s.star.ClientAddr(family), 40000).String()
		flow := []string{"--src", client, "--dst", s.vip(family, 80)}
		for range 3 {
			story, text := s.explain(flow...)
			if _, again := s.explain(flow...); text != again {
				t.Fatalf("IPv%d: asking has changed the answer:\n%s\n%s", family, text, again)
			}
			wantStory(t, "new connection", story, text, "forwarded", "new_flow", "TCP SYN from "+client, "comes in by client", "a new one is made",
				"web/80 serves "+s.vip(family, 80), "candidate: web/80/node", story.Node+" (", "next hop", "by node", "verdict: forwarded")
			r := s.exchanges("tcp", family, 80, 1)
			if !story.NewFlow || r.Nodes[story.Node[len(story.Node)-1:]] != 1 {
				t.Errorf("IPv%d: told %s, got %v", family, story.Node, r.Nodes)
			}
			var flows []api.Flow
			s.must(s.gate.JSON(t.Context(), &flows, "flows", "--node", story.Node, "--sort", "age"))
			if last := flows[len(flows)-1]; last.Source != story.Flow.Source || last.Node != story.Flow.Node {
				t.Errorf("IPv%d: told %s > %s, got %s > %s", family, story.Flow.Source, story.Flow.Node, last.Source, last.Node)
			}
		}
	}
	s.explainsWhatExists()
	s.must(s.gate.Kill())
	story, text := s.explain("--src", "198.51.100.9:1", "--dst", s.vip(4, 80))
	wantStory(t, "without a daemon", story, text, "forwarded", "new_flow", "web/80 serves", "verdict")
}

// explainsWhatExists asks about packets of a flow that lives, of both directions, about ICMP and fragments, and
// about packets that are refused.
func (s *site) explainsWhatExists() {
	t := s.t
	t.Helper()
	held := s.hold("tcp", 4, 80, 1)
	defer s.finish(held)
	var flows []api.Flow
	s.must(s.gate.JSON(t.Context(), &flows, "flows", "--state", "established"))
	f := flows[0]
	there := []string{"--src", f.Client.String(), "--dst", f.VIP.String()}
	for _, c := range []struct {
		what         string
		args         []string
		fate, reason string
		says         []string
	}{
		{"packet of a flow", append(there, "--flags", "ack"), "forwarded", "forwarded",
			[]string{"established", "from the client to the node", "rewrite: TCP ACK from " + f.Source.String() + " to " + f.Node.String(), "it belongs to a flow"}},
		{"reply", []string{"--src", f.Node.String(), "--dst", f.Source.String(), "--flags", "ack", "--interface", "node1"}, "forwarded", "replied",
			[]string{"comes in by node1", "from the node to the client", "rewrite: TCP ACK from " + f.VIP.String() + " to " + f.Client.String(), "by client"}},
		{"its end", append(there, "--flags", "rst"), "forwarded", "forwarded", []string{"the packet makes it closing"}},
		{"too big, says a router", append(there, "--error"), "forwarded", "icmp_translated",
			[]string{"ICMP unreachable code 4", "about TCP ACK from " + f.VIP.String(), "established", "rewrite: ICMP unreachable code 4", "about TCP ACK from " + f.Node.String()}},
		{"too big, about nothing", []string{"--src", "198.51.100.9:1", "--dst", s.vip(4, 80), "--error"}, "passed", "icmp_unknown", []string{"none that the error is about", "to the kernel"}},
		{"ping", []string{"--proto", "icmp", "--src", "198.51.100.9", "--dst", s.star.VIP(4).String()}, "answered", "echo_answered", []string{"ICMP echo", "answer: ICMP echo-reply"}},
		{"stray", []string{"--src", "198.51.100.9:1", "--dst", s.vip(4, 80), "--flags", "ack"}, "refused", "flow_unknown", []string{"without SYN", ""}},
		{"another port", []string{"--src", "198.51.100.9:1", "--dst", s.vip(4, 81)}, "passed", "no_config", []string{"none serves " + s.vip(4, 81) + "/tcp; there are web/80, web/53/udp at this address", "no config serves"}},
		{"another address", []string{"--src", "198.51.100.9:1", "--dst", "192.0.2.77:80"}, "passed", "not_ours", []string{"neither a VIP nor"}},
		{"last hop", append(there, "--flags", "ack", "--ttl", "1"), "passed", "ttl_expired", []string{"TTL 1", "its TTL ends here"}},
		{"hex", []string{"--hex", "02 00 00 00 00 01 02:00:00:00:00:02 0806 0001"}, "passed", "not_ip", []string{"neither IPv4 nor IPv6"}},
	} {
		story, text := s.explain(c.args...)
		wantStory(t, c.what, story, text, c.fate, c.reason, c.says...)
	}
	for _, which := range []string{"first", "later"} {
		story, text := s.explain("--proto", "udp", "--src", "198.51.100.9:1", "--dst", s.vip(4, 53), "--fragment", which)
		if !strings.Contains(text, "fragment at ") || story.Verdict == "" {
			t.Errorf("%s fragment: %s", which, text)
		}
	}
	s.set("web/53/udp/node-a", "--mode", "reject")
	s.set("web/53/udp/node-b", "--mode", "drain")
	story, text := s.explain("--proto", "udp", "--src", "198.51.100.9:1", "--dst", s.vip(4, 53))
	wantStory(t, "nobody left", story, text, "refused", "no_backend", "it is DOWN there", "web/53/udp/node-a", "mode reject", "web/53/udp/node-b", "mode drain",
		"answer: ICMP unreachable code 3", "no node takes new flows")
}
