package e2e

import (
	"strings"
	"testing"
	"time"

	"github.com/headgate/headgate/pkg/api"
	"github.com/headgate/headgate/scripts/lab/peer"
)

func TestRejectDuringADownload(t *testing.T) {
	t.Parallel()
	for _, family := range both {
		s := newSite(t, 3, smallTable)
		s.servers()
		s.run(s.yaml(conf{port: 80, extra: quickCheck, nodes: members(3, 8080, both)}))
		download, err := peer.StartDownload(t.Context(), s.star.Client, s.vip(family, 80), 8<<20, 3*time.Second)
		s.must(err)
		label := nodeLabel(int(download.Node()[0]-'a'), family)
		s.set("web/80/"+label, "--mode", "reject")
		r := s.exchanges("tcp", family, 80, 100)
		if r.Failed != 0 || r.Nodes[download.Node()] != 0 || r.Done != 100 {
			t.Errorf("new connections while %s is in reject: %+v", label, r)
		}
		n := s.node("web/80/" + label)
		if n.Health != "DOWN" || !strings.Contains(n.Reason, "admin") || n.ActiveFlows != 1 {
			t.Errorf("status of %s: health %s, reason %q, %d flows", label, n.Health, n.Reason, n.ActiveFlows)
		}
		if out := s.cli("status"); !strings.Contains(out, "DOWN (admin)") {
			t.Errorf("status does not say DOWN (admin):\n%s", out)
		}
		if !download.Running() {
			t.Fatal("the download ended before it could be disturbed")
		}
		if err := download.Wait(t.Context()); err != nil {
			t.Error(err)
		}
		s.nodeEventually("web/80/"+label, "has no flow left", func(n api.Node) bool { return n.ActiveFlows == 0 })
	}
}

func TestUntilDrainedWaitsForTheLastFlow(t *testing.T) {
	t.Parallel()
	s := newSite(t, 2, smallTable)
	s.servers()
	s.run(s.yaml(conf{port: 80, nodes: members(2, 8080, both)}))
	download, err := peer.StartDownload(t.Context(), s.star.Client, s.vip(4, 80), 1<<20, 2*time.Second)
	s.must(err)
	node := "web/80/" + nodeLabel(int(download.Node()[0]-'a'), 4)
	begin := time.Now()
	out := s.cli("node", "set", node, "--mode", "drain", "--until-drained", "--timeout", "30s")
	if download.Running() && time.Since(begin) < 500*time.Millisecond {
		t.Errorf("--until-drained returned after %v with the download running: %s", time.Since(begin), out)
	}
	if err := download.Wait(t.Context()); err != nil {
		t.Error(err)
	}
}
