package daemon

import (
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/headgate/headgate/pkg/api"
	"github.com/headgate/headgate/pkg/maps"
)

// stickyNodes is a file whose clients stick.
var stickyNodes = strings.Replace(twoNodes, "port: 80\n", "port: 80\n        stickiness: table\n", 1)

// withSticks makes three entries to the first node and one to the second.
func withSticks(t *testing.T, r *rig) (n1, n2 maps.NodeState) {
	t.Helper()
	n1, n2 = r.inMaps(t, "192.0.2.11:8080"), r.inMaps(t, "192.0.2.12:8080")
	for i, n := range []maps.NodeState{n1, n1, n1, n2} {
		if err := r.tables.AddStick(n.Service, stuckClient(i), n.ID, time.Minute, false); err != nil {
			t.Fatal(err)
		}
	}
	return n1, n2
}

func stuckClient(i int) netip.Addr { return netip.AddrFrom4([4]byte{198, 51, 100, byte(i)}) }

func TestStickEntriesAreFoundByConfigNodeAndClient(t *testing.T) {
	r := newRig(t, stickyNodes)
	withSticks(t, r)
	b := backendOf(r)
	for _, tt := range []struct {
		q    api.StickQuery
		want int
	}{
		{api.StickQuery{}, 4},
		{api.StickQuery{Config: "web/80"}, 4},
		{api.StickQuery{Node: "web/80/web-1"}, 3},
		{api.StickQuery{Node: "web/80/192.0.2.12:8080"}, 1},
		{api.StickQuery{Client: stuckClient(2)}, 1},
		{api.StickQuery{Client: netip.MustParseAddr("::ffff:198.51.100.2")}, 1},
		{api.StickQuery{Node: "web/80/web-2", Client: stuckClient(2)}, 0},
		{api.StickQuery{Limit: 2}, 2},
	} {
		n := 0
		for s, err := range b.Sticks(t.Context(), tt.q) {
			if err != nil || s.Config != "web/80" || !strings.HasPrefix(s.Node, "web/80/web-") || !s.Holds || s.AgeMS < 59000 || s.LeftMS > 29*60*1000 {
				t.Errorf("%+v: %+v, %v", tt.q, s, err)
			}
			n++
		}
		if n != tt.want {
			t.Errorf("%+v: %d entries, want %d", tt.q, n, tt.want)
		}
	}
	for _, q := range []api.StickQuery{{Config: "web/81"}, {Node: "web/80/web-9"}} {
		for _, err := range b.Sticks(t.Context(), q) {
			if err == nil || !strings.Contains(err.Error(), "have: web/80") {
				t.Errorf("%+v: %v", q, err)
			}
		}
		if _, err := b.RemoveSticks(t.Context(), q); err == nil || !strings.Contains(err.Error(), "have: web/80") {
			t.Errorf("remove %+v: %v", q, err)
		}
	}
}

// E12: how many clients stick to a node is to be seen, and follows at once when entries are taken away.
func TestE12StickEntriesAreCountedByNode(t *testing.T) {
	r := newRig(t, stickyNodes)
	withSticks(t, r)
	b := backendOf(r)
	entries := func(name string) uint64 {
		st, err := b.Status(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		n, err := st.Node(name)
		if err != nil {
			t.Fatal(err)
		}
		return n.StickEntries
	}
	if a, b := entries("web/80/web-1"), entries("web/80/web-2"); a != 3 || b != 1 {
		t.Errorf("%d and %d entries, want 3 and 1", a, b)
	}
	for _, step := range []struct {
		q             api.StickQuery
		removed, left int
	}{
		{api.StickQuery{Client: stuckClient(0)}, 1, 2},
		{api.StickQuery{Node: "web/80/web-1"}, 2, 0},
		{api.StickQuery{All: true}, 1, 0},
	} {
		if done, err := b.RemoveSticks(t.Context(), step.q); err != nil || done.Removed != step.removed {
			t.Errorf("remove %+v: %+v, %v; want %d", step.q, done, err, step.removed)
		}
		if got := entries("web/80/web-1"); got != uint64(step.left) {
			t.Errorf("after %+v %d entries are left, want %d", step.q, got, step.left)
		}
	}
	if _, err := b.RemoveSticks(t.Context(), api.StickQuery{Limit: 1}); err == nil || !strings.Contains(err.Error(), "name one, or say all") {
		t.Errorf("to remove nothing in particular: %v", err)
	}
}
