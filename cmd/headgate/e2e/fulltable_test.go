package e2e

import (
	"fmt"
	"regexp"
	"strings"
	"testing"

	"github.com/headgate/headgate/scripts/lab/peer"
)

// A table full of established flows: those go on, new ones are refused at once and with a reason, status
// warns, and with the end of others there is room again.
func TestAFullTableRefusesNewFlowsAndKeepsItsOwn(t *testing.T) {
	t.Parallel()
	const entries = 2048 // two a flow
	const held = 600     // in so small a table now and then one is refused from three quarters on
	s := newSite(t, 1, fmt.Sprintf("flow_table: {v4: %d, v6: %d}\n", entries, entries))
	s.servers()
	s.run(s.yaml(conf{port: 80, nodes: members(1, 8080, both)}))
	first := s.hold("tcp", 4, 80, held)
	more := s.startLoad(peer.Load{Network: "tcp", Address: s.vip(4, 80), Workers: 600, KeepOpen: true})
	r := s.pulse(more)
	if r.Failed == 0 || r.Failures["refused"]+r.Failures["reset"] != r.Failed || held+r.Open > entries/2 || held+r.Open < entries/2*8/10 {
		t.Errorf("%d flows and 600 more in a table for %d: %+v", held, entries/2, r)
	}
	t.Logf("%d flows in a table for %d, %d refused", held+r.Open, entries/2, r.Failed)
	if w := strings.Join(s.status().Warnings, "\n"); !strings.Contains(w, "IPv4 flow table is") {
		t.Errorf("status does not warn of a table that is full: %q", w)
	}
	if refused := s.status().Refused; refused == nil {
		t.Error("status tells of no refusals")
	}
	refused := r.Failures["refused"] // a reset may have come from the node, whose flow was not made in time
	if out := s.cli("maps", "dump", "reasons"); !regexp.MustCompile(fmt.Sprintf(`table_full\s+%d packets`, refused)).MatchString(out) {
		t.Errorf("want %d packets refused as table_full:\n%s", refused, out)
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
