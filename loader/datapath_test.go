package loader_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"github.com/cilium/ebpf/link"
	"github.com/headgate/headgate/loader"
	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"
)

// pins returns a directory on the bpf filesystem that ends with the test.
func pins(t *testing.T) string {
	t.Helper()
	var fs unix.Statfs_t
	if unix.Statfs("/sys/fs/bpf", &fs); fs.Type != unix.BPF_FS_MAGIC {
		if err := unix.Mount("bpf", "/sys/fs/bpf", "bpf", 0, ""); err != nil {
			t.Fatalf("mount a bpf filesystem: %v", err)
		}
	}
	dir, err := os.MkdirTemp("/sys/fs/bpf", "hgtest")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return filepath.Join(dir, "headgate")
}

// veth moves the test into a network namespace of its own and returns a pair of interfaces there.
func veth(t *testing.T) (a, b netlink.Link) {
	t.Helper()
	runtime.LockOSThread() // never unlocked: the thread ends with the test, and its namespace too
	if _, err := netns.New(); err != nil {
		t.Fatalf("network namespace: %v", err)
	}
	if err := netlink.LinkAdd(&netlink.Veth{LinkAttrs: netlink.LinkAttrs{Name: "hg0"}, PeerName: "hg1"}); err != nil {
		t.Fatal(err)
	}
	return linkNamed(t, "hg0"), linkNamed(t, "hg1")
}

func linkNamed(t *testing.T, name string) netlink.Link {
	t.Helper()
	l, err := netlink.LinkByName(name)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func open(t *testing.T, dir, mode string) *loader.Datapath {
	t.Helper()
	d, err := loader.Open(loader.Options{Dir: dir, FlowsV4: 4096, FlowsV6: 1024, Mode: mode})
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func TestSecondOpenSaysWhoHoldsThePins(t *testing.T) {
	t.Parallel()
	dir := pins(t)
	d := open(t, dir, loader.ModeAuto)
	_, err := loader.Open(loader.Options{Dir: dir})
	var held *loader.HeldError
	if !errors.As(err, &held) || held.PID != os.Getpid() {
		t.Fatalf("second Open: %v, want a HeldError of process %d", err, os.Getpid())
	}
	if _, err := loader.Remove(dir); !errors.As(err, &held) {
		t.Errorf("Remove beside a daemon: %v, want a HeldError", err)
	}
	d.Close()
	open(t, dir, loader.ModeAuto).Close()
}

func TestTablesSurviveTheDaemon(t *testing.T) {
	t.Parallel()
	dir := pins(t)
	d := open(t, dir, loader.ModeAuto)
	if d.TakenOver() {
		t.Error("new tables pass for taken over")
	}
	label := loader.NodeInfo{Weight: 77}
	if err := d.Maps().NodesInfo.Put(uint32(3), label); err != nil {
		t.Fatal(err)
	}
	d.Close()

	d, err := loader.Open(loader.Options{Dir: dir, FlowsV4: 1 << 20, FlowsV6: 1024})
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	var got loader.NodeInfo
	if err := d.Maps().NodesInfo.Lookup(uint32(3), &got); err != nil || got.Weight != 77 {
		t.Errorf("after a restart: weight %d, %v; want 77", got.Weight, err)
	}
	if !d.TakenOver() || len(d.Warnings()) != 1 || !strings.Contains(d.Warnings()[0], "flows4 keeps its 4096 entries, though 1048576 are") {
		t.Errorf("taken over %v, warnings %q; want one of the size of flows4", d.TakenOver(), d.Warnings())
	}
}

func TestForeignLayoutIsRefusedUntouched(t *testing.T) {
	t.Parallel()
	dir := pins(t)
	d := open(t, dir, loader.ModeAuto)
	var meta loader.Meta
	if err := d.Maps().Meta.Lookup(uint32(0), &meta); err != nil {
		t.Fatal(err)
	}
	meta.Schema = 99
	if err := d.Maps().Meta.Put(uint32(0), meta); err != nil {
		t.Fatal(err)
	}
	d.Close()
	if err := os.Remove(filepath.Join(dir, "maps", "sticks")); err != nil { // it may have other maps, too
		t.Fatal(err)
	}
	_, err := loader.Open(loader.Options{Dir: dir})
	var schema *loader.SchemaError
	if !errors.As(err, &schema) || schema.Pinned != 99 {
		t.Fatalf("Open on layout 99: %v, want a SchemaError", err)
	}
	if _, err := os.Stat(filepath.Join(dir, "maps", "flows4")); err != nil {
		t.Errorf("the refused tables are gone: %v", err)
	}
}

func TestAttachTakesOverAndRemoveLeavesNoTrace(t *testing.T) {
	t.Parallel()
	a, b := veth(t)
	dir := pins(t)
	d := open(t, dir, loader.ModeAuto)
	for _, l := range []netlink.Link{a, b} {
		got, err := d.Attach(l.Attrs().Index, l.Attrs().Name)
		if err != nil || got.Mode != loader.ModeNative || got.Warning != "" {
			t.Fatalf("attach to %s: %+v, %v; want native without a warning", l.Attrs().Name, got, err)
		}
	}
	first := linkNamed(t, "hg0").Attrs().Xdp.ProgId
	d.Close()
	if id := linkNamed(t, "hg0").Attrs().Xdp.ProgId; id != first {
		t.Fatalf("after Close program %d is attached, want %d still", id, first)
	}

	d = open(t, dir, loader.ModeAuto)
	if _, err := d.Attach(a.Attrs().Index, "hg0"); err != nil {
		t.Fatal(err)
	}
	if id := linkNamed(t, "hg0").Attrs().Xdp.ProgId; id == first || id == 0 {
		t.Errorf("after the restart program %d is attached, want a new one", id)
	}
	if err := d.Prune([]int{a.Attrs().Index}); err != nil {
		t.Fatal(err)
	}
	if linkNamed(t, "hg1").Attrs().Xdp.Attached {
		t.Error("hg1 is still attached after Prune")
	}
	d.Close()

	done, err := loader.Remove(dir)
	if err != nil || len(done) != 2 {
		t.Errorf("Remove: %q, %v; want a link and the maps", done, err)
	}
	if linkNamed(t, "hg0").Attrs().Xdp.Attached {
		t.Error("hg0 is still attached after Remove")
	}
	if _, err := os.Stat(dir); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("%s is still there: %v", dir, err)
	}
	if _, err := loader.Remove(dir); !errors.Is(err, loader.ErrNotPinned) {
		t.Errorf("second Remove: %v, want ErrNotPinned", err)
	}
}

func TestModeChangeReattaches(t *testing.T) {
	t.Parallel()
	a, _ := veth(t)
	dir := pins(t)
	d := open(t, dir, loader.ModeNative)
	if _, err := d.Attach(a.Attrs().Index, "hg0"); err != nil {
		t.Fatal(err)
	}
	d.Close()
	d = open(t, dir, loader.ModeGeneric)
	defer d.Close()
	got, err := d.Attach(a.Attrs().Index, "hg0")
	if err != nil || got.Mode != loader.ModeGeneric {
		t.Fatalf("attach: %+v, %v; want generic", got, err)
	}
	if mode := linkNamed(t, "hg0").Attrs().Xdp.AttachMode; mode != 2 { // XDP_ATTACHED_SKB
		t.Errorf("kernel says attach mode %d, want 2", mode)
	}
}

func TestAnotherProgramIsLeftAloneAndNamed(t *testing.T) {
	t.Parallel()
	a, _ := veth(t)
	index := a.Attrs().Index
	other := passing(t, "somebodys", 0)
	l, err := link.AttachXDP(link.XDPOptions{Program: other, Interface: index, Flags: link.XDPDriverMode})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	id := linkNamed(t, "hg0").Attrs().Xdp.ProgId
	dir := pins(t)
	for _, mode := range []string{loader.ModeAuto, loader.ModeNative, loader.ModeGeneric} {
		d, err := loader.Open(loader.Options{Dir: dir, Mode: mode, ProgramOn: func(i int) (uint32, bool) { return id, i == index }})
		if err != nil {
			t.Fatal(err)
		}
		_, err = d.Attach(index, "hg0")
		if want := fmt.Sprintf("attach to hg0: another XDP program (somebodys, id %d) is attached there", id); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("attach in mode %s beside another program: %v; want %q", mode, err, want)
		}
		d.Close()
	}
	if now := linkNamed(t, "hg0").Attrs().Xdp; now.ProgId != id || now.AttachMode != 1 { // XDP_ATTACHED_DRV
		t.Errorf("on the interface is %+v, want program %d still", now, id)
	}
}

// passing loads a program that lets everything pass.
func passing(t *testing.T, name string, flags uint32) *ebpf.Program {
	t.Helper()
	p, err := ebpf.NewProgram(&ebpf.ProgramSpec{
		Name: name, Type: ebpf.XDP, Flags: flags, License: "GPL",
		Instructions: asm.Instructions{asm.Mov.Imm(asm.R0, 2), asm.Return()}, // XDP_PASS
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.Close() })
	return p
}

// A driver that knows no frames of several buffers is like veth for a program that does not either.
func TestAnMTUTooLargeForTheDriverIsSaidWithWhatToSet(t *testing.T) {
	t.Parallel()
	a, b := veth(t)
	for _, l := range []netlink.Link{a, b} {
		if err := netlink.LinkSetMTU(l, 9000); err != nil {
			t.Fatal(err)
		}
	}
	dir := pins(t)
	d := open(t, dir, loader.ModeNative)
	loader.Replace(d, passing(t, "one_buffer", 0))
	_, err := d.Attach(a.Attrs().Index, "hg0")
	if err == nil || !strings.Contains(err.Error(), "for its MTU of 9000: set it to 3498 at most, ip link set dev hg0 mtu 3498") {
		t.Errorf("attach in native mode: %v", err)
	}
	d.Close()
	d = open(t, dir, loader.ModeAuto)
	defer d.Close()
	loader.Replace(d, passing(t, "one_buffer", 0))
	got, err := d.Attach(a.Attrs().Index, "hg0")
	if err != nil || got.Mode != loader.ModeGeneric || !strings.Contains(got.Warning, "ip link set dev hg0 mtu 3498") {
		t.Errorf("attach in mode auto: %+v, %v", got, err)
	}
	if _, err := loader.Remove(dir); err == nil {
		t.Error("removed beside a daemon")
	}
	// What it says helps.
	for _, l := range []netlink.Link{a, b} {
		if err := netlink.LinkSetMTU(l, 3498); err != nil {
			t.Fatal(err)
		}
	}
	d.Close()
	if _, err := loader.Remove(dir); err != nil {
		t.Fatal(err)
	}
	d = open(t, dir, loader.ModeNative)
	defer d.Close()
	loader.Replace(d, passing(t, "one_buffer", 0))
	if got, err := d.Attach(a.Attrs().Index, "hg0"); err != nil || got.Mode != loader.ModeNative {
		t.Errorf("attach with an MTU of 3498: %+v, %v", got, err)
	}
}

func TestDirectoryMustBeOnBPFFS(t *testing.T) {
	_, err := loader.Open(loader.Options{Dir: filepath.Join(t.TempDir(), "pins")})
	if err == nil || !strings.Contains(err.Error(), "not on a bpf filesystem: mount one") {
		t.Errorf("Open on an ordinary directory: %v", err)
	}
}

func TestSweepVisitsAndAnswers(t *testing.T) {
	t.Parallel()
	d := open(t, pins(t), loader.ModeAuto)
	defer d.Close()
	for _, family := range []int{4, 6} {
		if removed, err := d.Sweep(family, 100, 3000); err != nil || removed != 0 {
			t.Errorf("sweep of an empty table %d: %d, %v; want 0", family, removed, err)
		}
	}
}
