package e2e

import (
	"fmt"
	"regexp"
	"strings"
	"testing"

	"github.com/headgate/headgate/scripts/lab/peer"
)

// A table full of established flows: those go on, new ones are refused at once and with a reason, status has
// warned before, and with the end of others there is room again.
func TestAFullTableRefusesNewFlowsAndKeepsItsOwn(t *testing.T) {
	t.Parallel()
	const entries = 1024 // two a flow
	s := newSite(t, 1, fmt.Sprintf("flow_table: {v4: %d, v6: %d}\n", entries, entries))
	s.servers()
	s.run(s.yaml(conf{port: 80, nodes: members(1, 8080, both)}))
	first := s.hold("tcp", 4, 80, 380)
	if w := strings.Join(s.status().Warnings, "\n"); !strings.Contains(w, "IPv4 flow table is") {
		t.Errorf("status does not warn of a table that is three quarters full: %q", w)
	}
	more := s.startLoad(peer.Load{Network: "tcp", Address: s.vip(4, 80), Workers: 300, KeepOpen: true})
	r := s.pulse(more)
	if r.Failed == 0 || r.Failures["refused"] != r.Failed || 380+r.Open > entries/2 || 380+r.Open < entries/2*8/10 {
		t.Errorf("380 flows and 300 more in a table for %d: %+v", entries/2, r)
	}
	t.Logf("%d flows in a table for %d, %d refused", 380+r.Open, entries/2, r.Failed)
	if refused := s.status().Refused; refused == nil {
		t.Error("status tells of no refusals")
	}
	if out := s.cli("maps", "dump", "reasons"); !regexp.MustCompile(fmt.Sprintf(`table_full\s+%d packets`, r.Failed)).MatchString(out) {
		t.Errorf("want %d packets refused as table_full:\n%s", r.Failed, out)
	}
	if r := s.pulse(first); r.Failed != 0 {
		t.Errorf("connections of before: %+v", r)
	}
	if r := s.exchanges("tcp", 6, 80, 10); r.Failed != 0 {
		t.Errorf("IPv6 has a table of its own: %+v", r)
	}
	if r := s.finish(first); r.Failed != 0 {
		t.Errorf("connections of before: %+v", r)
	}
	if r := s.exchanges("tcp", 4, 80, 100); r.Failed != 0 {
		t.Errorf("new connections when others have ended: %+v", r)
	}
	s.finish(more)
	s.checkCounts()
}
