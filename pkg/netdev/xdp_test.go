package netdev

import (
	"testing"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	ebpflink "github.com/cilium/ebpf/link"
	"github.com/vishvananda/netlink"
)

// An index means another interface in another namespace: only the program tells them apart.
func TestALinkIsNamedByItsIndexAndItsProgram(t *testing.T) {
	a, b := newHost(t), newHost(t)
	cable(t, a, "hg0", b, "hg1")
	program := must(ebpf.NewProgram(&ebpf.ProgramSpec{
		Type:         ebpf.XDP,
		Instructions: asm.Instructions{asm.Mov.Imm(asm.R0, 2), asm.Return()}, // XDP_PASS
	}))(t)
	defer program.Close()
	id, _ := must(program.Info())(t).ID()
	a.do(t, func() {
		index := must(netlink.LinkByName("hg0"))(t).Attrs().Index
		if name, ok := XDPLinkName(index, uint32(id)); ok {
			t.Errorf("%s runs no program", name)
		}
		attached := must(ebpflink.AttachXDP(ebpflink.XDPOptions{Program: program, Interface: index, Flags: ebpflink.XDPGenericMode}))(t)
		defer attached.Close()
		if name, ok := XDPLinkName(index, uint32(id)); !ok || name != "hg0" {
			t.Errorf("%q, %v", name, ok)
		}
		for what, ask := range map[string][2]int{
			"another program": {index, int(id) + 1}, "no program": {index, 0}, "no such link": {index + 1000, int(id)},
		} {
			if name, ok := XDPLinkName(ask[0], uint32(ask[1])); ok {
				t.Errorf("%s: named %s", what, name)
			}
		}
	})
}
