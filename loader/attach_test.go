package loader_test

import (
	"strings"
	"testing"

	"github.com/vishvananda/netlink"

	"github.com/headgate/headgate/loader"
)

// attachOnce attaches hg0 as an earlier daemon did that has ended since then.
func attachOnce(t *testing.T, dir, mode string, l netlink.Link) {
	t.Helper()
	d := open(t, dir, mode)
	defer d.Close()
	if _, err := d.Attach(l.Attrs().Index, l.Attrs().Name); err != nil {
		t.Fatal(err)
	}
}

func TestChangeOfModeThatFailsLeavesTheInterfaceServed(t *testing.T) {
	t.Parallel()
	veth(t) // for a network namespace of our own
	lo, dir := linkNamed(t, "lo"), pins(t)
	attachOnce(t, dir, loader.ModeGeneric, lo)
	d := open(t, dir, loader.ModeNative)
	defer d.Close()
	if _, err := d.Attach(lo.Attrs().Index, "lo"); err == nil || !strings.Contains(err.Error(), "lo in native mode: its driver knows no native XDP") ||
		!strings.Contains(err.Error(), "xdp_mode: auto") {
		t.Fatalf("attach in native mode to a driver that knows none: %v, want a refusal that says what to set", err)
	}
	if mode := linkNamed(t, "lo").Attrs().Xdp.AttachMode; mode != 2 { // XDP_ATTACHED_SKB
		t.Errorf("kernel says attach mode %d, want 2 as before", mode)
	}
	if info, err := loader.Pinned(dir); err != nil || len(info.Attachments) != 1 || info.Attachments[0].Mode != loader.ModeGeneric {
		t.Errorf("pinned: %+v, %v; want the generic attachment", info.Attachments, err)
	}
}

func TestGenericModeIsWarnedOfAfterARestartToo(t *testing.T) {
	t.Parallel()
	a, _ := veth(t)
	dir := pins(t)
	attachOnce(t, dir, loader.ModeGeneric, a)
	d := open(t, dir, loader.ModeAuto)
	defer d.Close()
	got, err := d.Attach(a.Attrs().Index, "hg0")
	if err != nil || got.Mode != loader.ModeGeneric || !strings.Contains(got.Warning, "hg0 runs in generic mode") {
		t.Errorf("attach: %+v, %v; want generic with a warning", got, err)
	}
}
