package loader_test

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/link"
	"github.com/vishvananda/netlink"

	"github.com/headgate/headgate/loader"
)

// older is the data path of an earlier release, pinned and attached, whose daemon has ended.
type older struct {
	t      *testing.T
	dir    string
	layout int
	link   netlink.Link
	prog   uint32 // that was attached
	tables map[string]*ebpf.Map
}

// eachOlder runs a test with the data path of each layout that was released before this one.
func eachOlder(t *testing.T, test func(*testing.T, *older)) {
	t.Helper()
	for layout := 1; layout < loader.Schema; layout++ {
		t.Run(fmt.Sprintf("layout %d", layout), func(t *testing.T) { test(t, newOlder(t, layout)) })
	}
}

func newOlder(t *testing.T, layout int) *older {
	t.Helper()
	o := &older{t: t, dir: pins(t), layout: layout}
	o.link, _ = veth(t)
	spec := releasedObject(t, layout)
	if spec == nil {
		t.Fatalf("no release of layout %d is kept", layout)
	}
	o.size(spec)
	coll, err := ebpf.NewCollection(spec)
	o.must(err)
	t.Cleanup(coll.Close)
	o.tables = coll.Maps
	o.must(o.tables["meta"].Put(uint32(0), loader.Meta{Schema: uint32(layout), Hz: 250, Secret: [3]uint64{1, 3, 5}}))
	o.must(o.tables["nodes_info"].Put(uint32(3), loader.NodeInfo{Weight: 77})) // as it was in all layouts
	o.pin(coll)
	o.prog = o.attached()
	return o
}

// size gives the tables sizes other than they have by themselves.
func (o *older) size(spec *ebpf.CollectionSpec) {
	o.t.Helper()
	for name, entries := range map[string]uint32{"flows4": 4096 / 8, "flows6": 1024 / 8, "sticks": 4096, "throttles": 4096} {
		if spec.Maps[name] != nil {
			spec.Maps[name].MaxEntries = entries
		}
	}
	for name, value := range map[string]any{
		"hz": uint32(250), "secret0": uint64(1), "secret1": uint64(3), "secret2": uint64(5),
		"flows4_mask": uint32(4096/8 - 1), "flows6_mask": uint32(1024/8 - 1),
	} {
		o.must(spec.Variables[name].Set(value))
	}
}

// pin attaches the program and pins it with its maps, as a daemon does.
func (o *older) pin(coll *ebpf.Collection) {
	o.t.Helper()
	for _, sub := range []string{"maps", "links"} {
		o.must(os.MkdirAll(filepath.Join(o.dir, sub), 0o700))
	}
	for name, m := range coll.Maps {
		if name[0] != '.' {
			o.must(m.Pin(filepath.Join(o.dir, "maps", name)))
		}
	}
	index := o.link.Attrs().Index
	l, err := link.AttachXDP(link.XDPOptions{Program: coll.Programs["headgate"], Interface: index, Flags: link.XDPDriverMode})
	o.must(err)
	o.must(l.Pin(fmt.Sprintf("%s/links/%d-native", o.dir, index)))
	o.must(l.Close())
}

func (o *older) must(err error) {
	o.t.Helper()
	if err != nil {
		o.t.Fatal(err)
	}
}

func (o *older) attached() uint32 {
	o.t.Helper()
	return linkNamed(o.t, "hg0").Attrs().Xdp.ProgId
}

// count has the old program's table say how many flows node 3 has: its first 64 bits in all layouts.
func (o *older) count(active uint64) {
	o.t.Helper()
	live := make([]byte, o.tables["nodes_live"].ValueSize())
	binary.NativeEndian.PutUint64(live, active)
	o.must(o.tables["nodes_live"].Put(uint32(3), live))
}

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
	t.Parallel()
	eachOlder(t, testTakenOverWhenComplete)
}

func testTakenOverWhenComplete(t *testing.T, o *older) {
	o.count(5)
	d := o.upgrade()
	defer d.Close()
	if !d.TakenOver() || active(t, d.Maps().NodesLive) != 5 {
		t.Errorf("taken over: %v, with %d active flows; want 5", d.TakenOver(), active(t, d.Maps().NodesLive))
	}
	o.count(9)                          // four more by the old program
	putActive(t, d.Maps().NodesLive, 3) // two fewer by the new one, on another interface
	if _, err := d.Capture(everything); !errors.Is(err, loader.ErrUpgrading) || o.attached() != o.prog {
		t.Errorf("a capture before the tables are complete: %v", err)
	}
	if err := d.Complete(); err != nil {
		t.Fatal(err)
	}
	if got := active(t, d.Maps().NodesLive); got != 7 {
		t.Errorf("%d active flows, want 5 + 4 - 2", got)
	}
	o.taken(d)
}

func TestAnUpgradeThatComesToNothingLeavesTheOldDataPath(t *testing.T) {
	t.Parallel()
	eachOlder(t, testComesToNothing)
}

func testComesToNothing(t *testing.T, o *older) {
	if err := o.upgrade().Close(); err != nil {
		t.Fatal(err)
	}
	if got := o.attached(); got != o.prog {
		t.Errorf("program %d is attached, want %d still", got, o.prog)
	}
	o.tidy()
	if _, err := loader.OpenMaps(o.dir); err == nil || !strings.Contains(err.Error(), fmt.Sprintf("have layout %d", o.layout)) || !strings.Contains(err.Error(), "`headgate run` takes them over") {
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
	t.Parallel()
	eachOlder(t, testKilledHalfWay)
}

func testKilledHalfWay(t *testing.T, o *older) {
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
	t.Parallel()
	dir := pins(t)
	if err := os.MkdirAll(filepath.Join(dir, "maps"), 0o700); err != nil {
		t.Fatal(err)
	}
	_, err := loader.Open(loader.Options{Dir: dir})
	if err == nil || !strings.Contains(err.Error(), "not headgate's tables") {
		t.Errorf("a directory without meta: %v", err)
	}
}
