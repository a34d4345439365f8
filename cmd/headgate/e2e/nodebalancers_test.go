package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net"
	"net/http"
	"slices"
	"testing"
	"time"

	"github.com/linode/linodego"

	"github.com/headgate/headgate/pkg/api"
)

// linode is a client of the NodeBalancer API that knows nothing of Headgate, pointed at its socket.
type linode struct {
	*linodego.Client
	s      *site
	took   []time.Duration // from a change's answer until the data path ran it
	answer http.Header     // of the last request
}

// RoundTrip remembers the header of the answer.
func (l *linode) roundTrip(next http.RoundTripper) http.RoundTripper {
	return roundTripper(func(r *http.Request) (*http.Response, error) {
		resp, err := next.RoundTrip(r)
		if err == nil {
			l.answer = resp.Header
		}
		return resp, err
	})
}

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

func newLinode(s *site) *linode {
	l := &linode{s: s}
	dial := func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "unix", s.gate.Socket)
	}
	c := linodego.NewClient(&http.Client{Transport: l.roundTrip(&http.Transport{DialContext: dial})})
	c.SetBaseURL("http://headgate")
	l.Client = &c
	return l
}

// applied waits until the data path runs what the last change made, and notes how long that took.
func (l *linode) applied() {
	l.s.t.Helper()
	begin := time.Now()
	var generation uint64
	_, err := fmt.Sscan(l.answer.Get(api.HeaderGeneration), &generation)
	l.s.must(err)
	l.s.must(api.NewClient(l.s.gate.Socket).WaitApplied(l.s.t.Context(), generation))
	l.took = append(l.took, time.Since(begin))
}

// wantNodes says that new connections, or sessions, go to these nodes and no others.
func (l *linode) wantNodes(what, network string, port int, want ...string) {
	l.s.t.Helper()
	l.applied()
	r := l.s.exchanges(network, 4, port, 12)
	got := slices.Sorted(maps.Keys(r.Nodes))
	if r.Failed != 0 || !slices.Equal(got, want) {
		l.s.t.Errorf("%s: want %v, got %v, %d failed: %v", what, want, r.Nodes, r.Failed, r.Failures)
	}
}

func TestLinodegoDrivesRealTraffic(t *testing.T) {
	s := newSite(t, 3, smallTable+"vip_pool: [203.0.113.10, \"2001:db8::10\"]\nregion: edge\n")
	s.servers()
	s.run("balancers: []\n")
	l := newLinode(s)
	ctx := t.Context()
	node := func(i int) linodego.NodeBalancerNodeCreateOptions {
		return linodego.NodeBalancerNodeCreateOptions{Address: fmt.Sprintf("%s:8080", s.star.NodeAddr(i+1, 4)), Label: "node-" + nodeName(i)}
	}

	nb, err := l.CreateNodeBalancer(ctx, linodego.NodeBalancerCreateOptions{
		Region: "edge",
		Configs: []*linodego.NodeBalancerConfigCreateOptions{{
			Port: 80, Protocol: linodego.ProtocolTCP, Check: linodego.CheckHTTP, CheckPath: "/", CheckInterval: 2, CheckTimeout: 1,
			Nodes: []linodego.NodeBalancerNodeCreateOptions{node(0), node(1)},
		}},
	})
	s.must(err)
	if *nb.IPv4 != s.star.VIP(4).String() || *nb.IPv6 != s.star.VIP(6).String() {
		t.Fatalf("the VIPs are %s and %s", *nb.IPv4, *nb.IPv6)
	}
	l.wantNodes("a balancer that was made whole", "tcp", 80, "a", "b")
	configs, err := l.ListNodeBalancerConfigs(ctx, nb.ID, nil)
	s.must(err)
	cfg := configs[0]
	nodes, err := l.ListNodeBalancerNodes(ctx, nb.ID, cfg.ID, nil)
	s.must(err)

	// What was answered is sent back with one thing changed, as clients do.
	change := nodes[0].GetUpdateOptions()
	change.Mode = linodego.ModeDrain
	_, err = l.UpdateNodeBalancerNode(ctx, nb.ID, cfg.ID, nodes[0].ID, change)
	s.must(err)
	l.wantNodes("a is drained", "tcp", 80, "b")
	third, err := l.CreateNodeBalancerNode(ctx, nb.ID, cfg.ID, node(2))
	s.must(err)
	s.healthy(l, nb.ID, cfg.ID, third.ID)
	l.wantNodes("c is new", "tcp", 80, "b", "c")
	s.must(l.DeleteNodeBalancerNode(ctx, nb.ID, cfg.ID, nodes[1].ID))
	l.wantNodes("b is gone", "tcp", 80, "c")

	port := cfg.GetUpdateOptions()
	port.Port = 81
	_, err = l.UpdateNodeBalancerConfig(ctx, nb.ID, cfg.ID, port)
	s.must(err)
	s.healthy(l, nb.ID, cfg.ID, third.ID)
	l.wantNodes("the port is another", "tcp", 81, "c")
	if r := s.exchanges("tcp", 4, 80, 3); r.Done != 0 {
		t.Errorf("the old port still serves: %+v", r)
	}

	again := cfg.GetRebuildOptions()
	again.Port, again.Check, again.CheckPath = 80, linodego.CheckNone, ""
	again.Nodes = []linodego.NodeBalancerConfigRebuildNodeOptions{
		{NodeBalancerNodeCreateOptions: node(0)}, {NodeBalancerNodeCreateOptions: node(2), ID: third.ID},
	}
	_, err = l.RebuildNodeBalancerConfig(ctx, nb.ID, cfg.ID, again)
	s.must(err)
	l.wantNodes("rebuilt", "tcp", 80, "a", "c")

	udp, err := l.CreateNodeBalancerConfig(ctx, nb.ID, linodego.NodeBalancerConfigCreateOptions{
		Port: 53, Protocol: linodego.ProtocolUDP,
		Nodes: []linodego.NodeBalancerNodeCreateOptions{{Address: fmt.Sprintf("%s:5353", s.star.NodeAddr(2, 4)), Label: "dns"}},
	})
	s.must(err)
	l.wantNodes("UDP beside TCP", "udp", 53, "b")

	// What was answered outlives the daemon, whole.
	before := s.desired(l, nb.ID)
	s.must(s.gate.Kill())
	s.start()
	if after := s.desired(l, nb.ID); after != before {
		t.Errorf("after kill -9:\n%s\nbefore:\n%s", after, before)
	}
	if r := s.exchanges("tcp", 4, 80, 12); r.Failed != 0 {
		t.Errorf("after kill -9: %+v", r)
	}

	s.must(l.DeleteNodeBalancerConfig(ctx, nb.ID, udp.ID))
	l.applied()
	if r := s.exchanges("udp", 4, 53, 2); r.Done != 0 {
		t.Errorf("a config that is gone serves: %+v", r)
	}
	s.transferred(l, nb.ID)
	s.must(l.DeleteNodeBalancer(ctx, nb.ID))
	l.applied()
	if r := s.exchanges("tcp", 4, 80, 3); r.Done != 0 {
		t.Errorf("a balancer that is gone serves: %+v", r)
	}
	if _, err := l.GetNodeBalancer(ctx, nb.ID); !linodego.IsNotFound(err) {
		t.Errorf("it is still there: %v", err)
	}
	t.Run("E20 a change takes effect in under 100 ms", func(t *testing.T) {
		slices.Sort(l.took)
		t.Logf("from the answer to applied: %v", l.took)
		if half := l.took[len(l.took)/2]; half > 100*time.Millisecond {
			t.Errorf("half of all changes took %v or more to be applied", half)
		}
	})
}

// healthy waits until a node is UP, as the API says.
func (s *site) healthy(l *linode, balancer, config, node int) {
	s.t.Helper()
	poll(s.t, soon, "the node is UP", func() bool {
		n, err := l.GetNodeBalancerNode(s.t.Context(), balancer, config, node)
		s.must(err)
		return n.Status == "UP"
	})
}

// desired is all that a client finds of a balancer, but for what moves.
func (s *site) desired(l *linode, balancer int) string {
	s.t.Helper()
	nb, err := l.GetNodeBalancer(s.t.Context(), balancer)
	s.must(err)
	nb.Transfer = linodego.NodeBalancerTransfer{}
	configs, err := l.ListNodeBalancerConfigs(s.t.Context(), balancer, nil)
	s.must(err)
	all := []any{nb}
	for _, c := range configs {
		c.NodesStatus = nil
		nodes, err := l.ListNodeBalancerNodes(s.t.Context(), balancer, c.ID, nil)
		s.must(err)
		for i := range nodes {
			nodes[i].Status = ""
		}
		all = append(all, c, nodes)
	}
	data, err := json.Marshal(all)
	s.must(err)
	return string(data)
}

// transferred waits until what went through the balancer is counted.
func (s *site) transferred(l *linode, balancer int) {
	s.t.Helper()
	poll(s.t, soon, "the transfer is counted", func() bool {
		nb, err := l.GetNodeBalancer(s.t.Context(), balancer)
		s.must(err)
		return *nb.Transfer.In > 0 && *nb.Transfer.Out > 0
	})
}
