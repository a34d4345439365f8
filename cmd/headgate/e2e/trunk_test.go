package e2e

import (
	"encoding/binary"
	"net/netip"
	"strings"
	"testing"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"github.com/cilium/ebpf/link"

	"github.com/headgate/headgate/scripts/lab"
)

// trunk is a site whose client and node are each behind a switch that has them in a VLAN, and the balancer on a
// trunk port:
//
//	user ─ (star's client) ═ balancer ═ (star's node) ─ server
//
// The switches are XDP programs: not every kernel has VLAN devices, and what those would do is what the test is
// about. They put tags on what the station sends, and let what the balancer sends through to it only with the
// same tags, which they take off. Address resolution goes through without tags, as in a native VLAN, because the
// balancer's kernel is to take part in it without a VLAN device.
type trunk struct {
	*site
	user, server *lab.Namespace
}

// Hosts of the stations in the star's subnets 0 and 1.
var (
	userAddr   = map[int]netip.Prefix{4: netip.MustParsePrefix("10.77.0.50/24"), 6: netip.MustParsePrefix("fd77::50/64")}
	serverAddr = map[int]netip.Prefix{4: netip.MustParsePrefix("10.77.1.50/24"), 6: netip.MustParsePrefix("fd77:0:0:1::50/64")}
)

func newTrunk(t *testing.T) *trunk {
	t.Helper()
	s := newSite(t, 1, smallTable)
	k := &trunk{site: s}
	k.user = k.station("user", s.star.Client, userAddr, 0)
	k.server = k.station("server", s.star.Nodes[0], serverAddr, 1)
	return k
}

// station makes a namespace behind a switch, in a subnet of the star and with the balancer as its gateway.
func (k *trunk) station(name string, behind *lab.Namespace, addrs map[int]netip.Prefix, subnet int) *lab.Namespace {
	k.t.Helper()
	ns, err := k.star.Lab.Namespace(name)
	k.must(err)
	k.must(k.star.Lab.Connect(lab.Port{Namespace: ns, Name: "eth0", Addresses: []netip.Prefix{addrs[4], addrs[6]}},
		lab.Port{Namespace: behind, Name: "station"}))
	k.must(ns.PrepareForXDP("eth0"))
	for family, all := range map[int]string{4: "0.0.0.0/0", 6: "::/0"} {
		k.must(ns.AddRoute(netip.MustParsePrefix(all), k.star.BalancerAddr(subnet, family), "eth0"))
	}
	return ns
}

// tag has a switch put tags on, none for a plain wire, until the next call for that switch.
func (k *trunk) tag(behind *lab.Namespace, tags []uint32) (undo func()) {
	k.t.Helper()
	station, err := behind.Index("station")
	k.must(err)
	uplink, err := behind.Index("eth0")
	k.must(err)
	var links []link.Link
	for _, p := range []struct {
		at, to int
		code   asm.Instructions
	}{{station, uplink, pushTags(tags)}, {uplink, station, popTags(tags)}} {
		code := append(p.code, asm.Mov.Imm(asm.R1, int32(p.to)).WithSymbol("on"), asm.Mov.Imm(asm.R2, 0), asm.FnRedirect.Call(), asm.Return(),
			asm.Mov.Imm(asm.R0, 1).WithSymbol("drop"), asm.Return())
		prog, err := ebpf.NewProgram(&ebpf.ProgramSpec{Name: "trunk", Type: ebpf.XDP, License: "GPL", Instructions: code})
		k.must(err)
		k.must(behind.Do(func() error {
			l, err := link.AttachXDP(link.XDPOptions{Program: prog, Interface: p.at, Flags: link.XDPDriverMode})
			links = append(links, l)
			return err
		}))
		k.must(prog.Close())
	}
	return func() {
		for _, l := range links {
			// A process that is just being started holds all that is open here for a moment: to close the link
			// may not be the end of it.
			k.must(l.Detach())
			k.must(l.Close())
		}
	}
}

const macBytes = 12 // of both addresses

// frame goes on at `drop` unless a frame has so many bytes; R6 is the context, R2 the frame.
func frame(bytes int32) asm.Instructions {
	return asm.Instructions{
		asm.LoadMem(asm.R2, asm.R6, 0, asm.Word),
		asm.LoadMem(asm.R3, asm.R6, 4, asm.Word),
		asm.Mov.Reg(asm.R4, asm.R2),
		asm.Add.Imm(asm.R4, bytes),
		asm.JGT.Reg(asm.R4, asm.R3, "drop"),
	}
}

// resolution goes on at `on` with ARP and messages of neighbour discovery.
func resolution() (code asm.Instructions) {
	code = append(code, asm.Mov.Reg(asm.R6, asm.R1))
	code = append(code, frame(macBytes+2)...)
	code = append(code,
		asm.LoadMem(asm.R5, asm.R2, macBytes, asm.Half),
		asm.JEq.Imm(asm.R5, wire16(0x0806), "on"),
		asm.JNE.Imm(asm.R5, wire16(0x86dd), "other"))
	code = append(code, frame(14+40+1)...)
	return append(code,
		asm.LoadMem(asm.R5, asm.R2, 14+6, asm.Byte),
		asm.JNE.Imm(asm.R5, 58, "other"),
		asm.LoadMem(asm.R5, asm.R2, 14+40, asm.Byte),
		asm.JLT.Imm(asm.R5, 133, "other"),
		asm.JLE.Imm(asm.R5, 137, "on"),
		asm.Mov.Imm(asm.R0, 0).WithSymbol("other"))
}

func wire16(v uint16) int32 {
	return int32(binary.NativeEndian.Uint16(binary.BigEndian.AppendUint16(nil, v)))
}

func wire32(v uint32) int32 {
	return int32(binary.NativeEndian.Uint32(binary.BigEndian.AppendUint32(nil, v)))
}

// move shifts the beginning of a frame by some bytes, the MAC addresses with it.
func move(bytes int32) (code asm.Instructions) {
	code = append(code, frame(macBytes)...)
	code = append(code,
		asm.LoadMem(asm.R7, asm.R2, 0, asm.DWord), asm.LoadMem(asm.R8, asm.R2, 8, asm.Word),
		asm.Mov.Reg(asm.R1, asm.R6), asm.Mov.Imm(asm.R2, bytes), asm.FnXdpAdjustHead.Call(), asm.JNE.Imm(asm.R0, 0, "drop"))
	code = append(code, frame(macBytes+8)...)
	return append(code, asm.StoreMem(asm.R2, 0, asm.R7, asm.DWord), asm.StoreMem(asm.R2, 8, asm.R8, asm.Word))
}

func pushTags(tags []uint32) asm.Instructions {
	code := append(resolution(), move(int32(-4*len(tags)))...)
	for i, tag := range tags {
		code = append(code, asm.StoreImm(asm.R2, int16(macBytes+4*i), int64(wire32(tag)), asm.Word))
	}
	return code
}

func popTags(tags []uint32) asm.Instructions {
	code := append(resolution(), frame(int32(macBytes+4*len(tags)+2))...)
	for i, tag := range tags {
		code = append(code, asm.LoadMem(asm.R5, asm.R2, int16(macBytes+4*i), asm.Word), asm.JNE.Imm32(asm.R5, wire32(tag), "drop"))
	}
	code = append(code, // no other tag behind them
		asm.LoadMem(asm.R5, asm.R2, int16(macBytes+4*len(tags)), asm.Half),
		asm.JEq.Imm(asm.R5, wire16(0x8100), "drop"), asm.JEq.Imm(asm.R5, wire16(0x88a8), "drop"))
	return append(code, move(int32(4*len(tags)))...)
}

// run runs a command at the user's.
func (k *trunk) userRuns(args ...string) string {
	k.t.Helper()
	out, err := k.user.Run(k.t.Context(), args[0], args[1:]...)
	if err != nil {
		k.t.Errorf("%s: %v", strings.Join(args, " "), err)
	}
	return out
}
