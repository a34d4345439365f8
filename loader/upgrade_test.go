package loader_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/cilium/ebpf"
	"github.com/vishvananda/netlink"

	"github.com/headgate/headgate/loader"
)

// older is a data path whose tables say that their layout is the first one. Apart from that they are of this
// build; cmd/headgate/e2e has those of real releases.
type older struct {
	t      *testing.T
	dir    string
	link   netlink.Link
	prog   uint32               // that was attached
	tables map[string]*ebpf.Map // that the program attached uses
}

func newOlder(t *testing.T) *older {
	t.Helper()
	o := &older{t: t, dir: pins(t), tables: map[string]*ebpf.Map{}}
	o.link, _ = veth(t)
	d := open(t, o.dir, loader.ModeNative)
	if _, err := d.Attach(o.link.Attrs().Index, "hg0"); err != nil {
		t.Fatal(err)
	}
	if err := d.Maps().NodesInfo.Put(uint32(3), loader.NodeInfo{Weight: 77}); err != nil {
		t.Fatal(err)
	}
	var meta loader.Meta
	if err := d.Maps().Meta.Lookup(uint32(0), &meta); err != nil {
		t.Fatal(err)
	}
	meta.Schema = 1
	if err := d.Maps().Meta.Put(uint32(0), meta); err != nil {
		t.Fatal(err)
	}
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"nodes_live", "flows4"} {
		m, err := ebpf.LoadPinnedMap(filepath.Join(o.dir, "maps", name), nil)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { m.Close() })
		o.tables[name] = m
	}
	o.prog = o.attached()
	return o
}

func (o *older) attached() uint32 {
	o.t.Helper()
	return linkNamed(o.t, "hg0").Attrs().Xdp.ProgId
}

// count has the old program's table say how many flows node 3 has.
func (o *older) count(active uint64) { putActive(o.t, o.tables["nodes_live"], active) }

func putActive(t *testing.T, m *ebpf.Map, active uint64) {
	t.Helper()
	if err := m.Put(uint32(3), loader.NodeLive{Active: active}); err != nil {
		t.Fatal(err)
	}
}

func active(t *testing.T, m *ebpf.Map) uint64 {
	t.Helper()
	var live loader.NodeLive
	if err := m.Lookup(uint32(3), &live); err != nil {
		t.Fatal(err)
	}
	return live.Active
}

// upgrade opens the pins with this build and attaches, which switches nothing yet.
func (o *older) upgrade() *loader.Datapath {
	o.t.Helper()
	d := open(o.t, o.dir, loader.ModeAuto)
	if _, err := d.Attach(o.link.Attrs().Index, "hg0"); err != nil {
		o.t.Fatal(err)
	}
	if got := o.attached(); got != o.prog {
		o.t.Fatalf("program %d is attached before the tables are complete, want %d still", got, o.prog)
	}
	return d
}

// taken checks that this build has taken all over.
func (o *older) taken(d *loader.Datapath) {
	o.t.Helper()
	if got := o.attached(); got == o.prog || got == 0 {
		o.t.Errorf("program %d is attached, want a new one", got)
	}
	info, err := loader.Pinned(o.dir)
	if err != nil || info.Schema != loader.Schema || info.FlowsV4 != 4096 {
		o.t.Errorf("pinned: %+v, %v", info, err)
	}
	var label loader.NodeInfo
	if err := d.Maps().NodesInfo.Lookup(uint32(3), &label); err != nil || label.Weight != 77 {
		o.t.Errorf("node 3 has weight %d, %v; want 77", label.Weight, err)
	}
	before, _ := o.tables["flows4"].Info()
	now, _ := d.Maps().Flows4.Info()
	if was, _ := before.ID(); was != 0 {
		if is, _ := now.ID(); is != was {
			o.t.Errorf("the flows are in map %d, were in %d", is, was)
		}
	}
	o.tidy()
}

// tidy checks that nothing is left beside tables and links.
func (o *older) tidy() {
	o.t.Helper()
	entries, err := os.ReadDir(o.dir)
	if err != nil || len(entries) != 2 {
		o.t.Errorf("in the directory of pins: %v, %v; want links and maps", entries, err)
	}
}

func TestAnOlderLayoutIsTakenOverWhenItsTablesAreComplete(t *testing.T) {
	o := newOlder(t)
	o.count(5)
	d := o.upgrade()
	defer d.Close()
	if !d.TakenOver() || active(t, d.Maps().NodesLive) != 5 {
		t.Errorf("taken over: %v, with %d active flows; want 5", d.TakenOver(), active(t, d.Maps().NodesLive))
	}
	o.count(9)                          // four more by the old program
	putActive(t, d.Maps().NodesLive, 3) // two fewer by the new one, on another interface
	if err := d.Complete(); err != nil {
		t.Fatal(err)
	}
	if got := active(t, d.Maps().NodesLive); got != 7 {
		t.Errorf("%d active flows, want 5 + 4 - 2", got)
	}
	o.taken(d)
}

func TestAnUpgradeThatComesToNothingLeavesTheOldDataPath(t *testing.T) {
	o := newOlder(t)
	if err := o.upgrade().Close(); err != nil {
		t.Fatal(err)
	}
	if got := o.attached(); got != o.prog {
		t.Errorf("program %d is attached, want %d still", got, o.prog)
	}
	o.tidy()
	if _, err := loader.OpenMaps(o.dir); err == nil || !strings.Contains(err.Error(), "have layout 1") || !strings.Contains(err.Error(), "`headgate run` takes them over") {
		t.Errorf("maps of the old layout: %v", err)
	}
	d := o.upgrade() // and the next one does
	defer d.Close()
	if err := d.Complete(); err != nil {
		t.Fatal(err)
	}
	o.taken(d)
}

func TestAnUpgradeThatIsKilledHalfWayGoesOn(t *testing.T) {
	o := newOlder(t)
	o.count(5)
	d := o.upgrade()
	if err := loader.Place(d); err != nil { // killed after it: the old program counts on
		t.Fatal(err)
	}
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
	o.count(6)
	d = o.upgrade()
	defer d.Close()
	if err := d.Complete(); err != nil {
		t.Fatal(err)
	}
	if got := active(t, d.Maps().NodesLive); got != 6 {
		t.Errorf("%d active flows, want 6", got)
	}
	o.taken(d)
}

func TestTablesOfSomebodyElseAreRefusedUntouched(t *testing.T) {
	dir := pins(t)
	if err := os.MkdirAll(filepath.Join(dir, "maps"), 0o700); err != nil {
		t.Fatal(err)
	}
	_, err := loader.Open(loader.Options{Dir: dir})
	if err == nil || !strings.Contains(err.Error(), "not headgate's tables") {
		t.Errorf("a directory without meta: %v", err)
	}
}
