package e2e

import (
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/headgate/headgate/scripts/lab"
	"github.com/headgate/headgate/scripts/lab/peer"
)

// figures are the samples of a scrape by their name with labels.
func (s *site) figures() map[string]float64 {
	s.t.Helper()
	text, err := s.star.Balancer.Run(s.t.Context(), "curl", "-sf", "http://127.0.0.1:9464/metrics")
	s.must(err)
	out := map[string]float64{}
	for line := range strings.Lines(text) {
		series, value, found := strings.Cut(strings.TrimSpace(line), "} ")
		if !found || strings.HasPrefix(line, "#") {
			continue
		}
		out[series+"}"], err = strconv.ParseFloat(value, 64)
		s.must(err)
	}
	return out
}

// counted starts to count, in a node's kernel, the packets and bytes of a port, and returns how to read them.
func (s *site) counted(node *lab.Namespace, match string) (read func(direction string) (packets, bytes float64)) {
	s.t.Helper()
	for _, args := range []string{
		"add table inet tally",
		"add chain inet tally in { type filter hook prerouting priority -300 ; }",
		"add chain inet tally out { type filter hook postrouting priority 300 ; }",
		"add counter inet tally in", "add counter inet tally out",
		fmt.Sprintf("add rule inet tally in iifname eth0 %s counter name in", strings.ReplaceAll(match, "PORT", "dport")),
		fmt.Sprintf("add rule inet tally out oifname eth0 %s counter name out", strings.ReplaceAll(match, "PORT", "sport")),
	} {
		_, err := node.Run(s.t.Context(), "nft", args)
		s.must(err)
	}
	return func(direction string) (packets, bytes float64) {
		out, err := node.Run(s.t.Context(), "nft", "list", "counter", "inet", "tally", direction)
		s.must(err)
		_, err = fmt.Sscanf(out[strings.Index(out, "packets"):], "packets %f bytes %f", &packets, &bytes)
		s.must(err)
		return packets, bytes
	}
}

// What the metrics say of each node is what the node's own kernel has seen, packet for packet and byte for byte.
func TestMetricsEqualWhatTheNodesHaveSeen(t *testing.T) {
	t.Parallel()
	s := newSite(t, 2, smallTable)
	s.servers()
	s.run(s.yaml(conf{port: 80, nodes: members(2, 8080, both, 3, 1)}, conf{port: 53, proto: "udp", nodes: members(2, 5353, both)}))
	var seen []func(string) (float64, float64)
	for _, n := range s.star.Nodes {
		seen = append(seen, s.counted(n, "meta l4proto { tcp, udp } th PORT { 8080, 5353 }"))
	}
	for _, family := range both {
		s.exchanges("tcp", family, 80, 40)
		s.load(peer.Load{Network: "udp", Address: s.vip(family, 53), Workers: 10, Count: 20})
	}
	for i := range s.star.Nodes {
		for _, direction := range []string{"in", "out"} {
			var said, want [2]float64
			// The last packets of a connection may still be on their way.
			for deadline := time.Now().Add(soon); time.Now().Before(deadline); time.Sleep(10 * time.Millisecond) {
				said = s.sumOf(i, direction)
				want[0], want[1] = seen[i](direction)
				if said == want {
					break
				}
			}
			if said != want || said[0] < 100 {
				t.Errorf("node %s, %s: the metrics have %v packets and bytes, its kernel %v", nodeName(i), direction, said, want)
			}
		}
	}
}

// sumOf adds up what the metrics say of node i, whatever its config: packets, bytes.
func (s *site) sumOf(i int, direction string) (sum [2]float64) {
	s.t.Helper()
	for series, v := range s.figures() {
		if !strings.Contains(series, fmt.Sprintf("direction=%q", direction)) ||
			!strings.Contains(series, fmt.Sprintf("node=%q", nodeLabel(i, 4))) && !strings.Contains(series, fmt.Sprintf("node=%q", nodeLabel(i, 6))) {
			continue
		}
		switch {
		case strings.HasPrefix(series, "headgate_node_packets_total"):
			sum[0] += v
		case strings.HasPrefix(series, "headgate_node_bytes_total"):
			sum[1] += v
		}
	}
	return sum
}

func TestAPortOfMetricsInUseIsRefused(t *testing.T) {
	t.Parallel()
	s := newSite(t, 0, smallTable+"metrics: {listen: \"127.0.0.1:7777\"}\n")
	p, err := s.star.Balancer.Start(lab.Command{Path: "ncat", Args: []string{"-lk", "127.0.0.1", "7777"}})
	s.must(err)
	defer p.Kill()
	poll(t, soon, "somebody listens", func() bool {
		_, err := s.star.Balancer.Run(t.Context(), "ncat", "-z", "127.0.0.1", "7777")
		return err == nil
	})
	s.configure("balancers: []\n")
	wantLine(t, s.refusal(0, "run", "-c", s.gate.File), "metrics.listen 127.0.0.1:7777: another program listens there", `or "" to serve no metrics`)
	s.untouched()
}

func TestMetricsCanBeOff(t *testing.T) {
	t.Parallel()
	s := newSite(t, 0, smallTable+"metrics: {listen: \"\"}\n")
	s.run("balancers: []\n")
	out, err := s.star.Balancer.Run(t.Context(), "ss", "-Hltn")
	s.must(err)
	if strings.TrimSpace(out) != "" {
		t.Errorf("it listens: %s", out)
	}
}
