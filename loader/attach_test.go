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
	a, b := veth(t)
	dir := pins(t)
	attachOnce(t, dir, loader.ModeGeneric, a)
	if err := netlink.LinkSetMTU(b, 9000); err != nil { // too large for native XDP at its peer
		t.Fatal(err)
	}
	d := open(t, dir, loader.ModeNative)
	defer d.Close()
	if _, err := d.Attach(a.Attrs().Index, "hg0"); err == nil || !strings.Contains(err.Error(), "hg0 in native mode") {
		t.Fatalf("attach in native mode: %v, want a refusal", err)
	}
	if mode := linkNamed(t, "hg0").Attrs().Xdp.AttachMode; mode != 2 { // XDP_ATTACHED_SKB
		t.Errorf("kernel says attach mode %d, want 2 as before", mode)
	}
	if info, err := loader.Pinned(dir); err != nil || len(info.Attachments) != 1 || info.Attachments[0].Mode != loader.ModeGeneric {
		t.Errorf("pinned: %+v, %v; want the generic attachment", info.Attachments, err)
	}
}

func TestGenericModeIsWarnedOfAfterARestartToo(t *testing.T) {
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
