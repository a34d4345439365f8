package metrics

import (
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/headgate/headgate/pkg/lb"
	"github.com/headgate/headgate/pkg/maps"
)

// A drain can be followed by metrics alone: flows, clients that stick, the oldest flow and the deadline.
func TestE12MetricsTellHowADrainGoes(t *testing.T) {
	f := someTables(t)
	must := func(errs ...error) {
		t.Helper()
		for _, err := range errs {
			if err != nil {
				t.Fatal(err)
			}
		}
	}
	ends := time.Now().Add(5 * time.Minute)
	flow := func(id uint32, port uint16, age time.Duration) error {
		return f.AddFlow(maps.Flow{
			Protocol: lb.TCP, Class: maps.Established, NodeID: id, Age: age, Client: netip.AddrPortFrom(netip.MustParseAddr("198.51.100.9"), port),
			VIP: netip.AddrPortFrom(vip4, 80), Source: netip.AddrPortFrom(netip.MustParseAddr("10.0.0.1"), port), Node: netip.MustParseAddrPort("192.0.2.12:8080"),
		})
	}
	n, err := f.ReadNode(2)
	n.Status.Mode, n.Status.Actions = lb.Drain, n.Status.Actions|maps.HasDeadline
	must(err, f.WriteStatus(2, n.Status), f.WriteDeadline(2, f.Moment(ends)),
		flow(2, 5000, time.Minute), flow(2, 5001, time.Hour), flow(4, 5002, 2*time.Minute), flow(5, 5003, 3*time.Minute))
	s := someSources(t)
	s.Maps = f.Reader()
	text := scrape(t, s)

	drained := `address="192.0.2.12:8080",config="web/80",lifecycle="present",node="web-2"`
	removed := `address="192.0.2.11:8080",config="web/80",lifecycle="removed",node="web-1"` // twice
	near := func(name string, want, most float64) {
		t.Helper()
		if got := value(t, text, name); got < want-most || got > want+most {
			t.Errorf("%s: %v, want %v", name, got, want)
		}
	}
	near("headgate_node_active_flows{"+drained+"}", 2, 0)
	near("headgate_node_oldest_flow_age_seconds{"+drained+"}", 3600, 60)
	near("headgate_node_oldest_flow_age_seconds{"+removed+"}", 180, 60)
	near("headgate_node_deadline_timestamp_seconds{"+drained+"}", float64(ends.Unix()), 2)
	for _, family := range []string{"oldest_flow_age", "deadline_timestamp"} {
		if strings.Contains(text, "headgate_node_"+family+`_seconds{address="192.0.2.11:8080",config="web/80",lifecycle="present"`) {
			t.Errorf("a node that takes new flows has a %s", family)
		}
	}
}
