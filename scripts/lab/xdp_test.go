package lab_test

import (
	"fmt"
	"net"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"github.com/cilium/ebpf/link"
	"github.com/headgate/headgate/scripts/lab"
)

// reflector is an XDP program that sends every frame back to where it came from: by XDP_TX, or by a redirect to
// the interface that it came in by.
func reflector(t *testing.T, redirect bool) *ebpf.Program {
	t.Helper()
	code := asm.Instructions{
		asm.LoadMem(asm.R6, asm.R1, 12, asm.Word), // ingress_ifindex
		asm.LoadMem(asm.R2, asm.R1, 0, asm.Word),  // data
		asm.LoadMem(asm.R3, asm.R1, 4, asm.Word),  // data_end
		asm.Mov.Reg(asm.R4, asm.R2),
		asm.Add.Imm(asm.R4, 14),
		asm.JGT.Reg(asm.R4, asm.R3, "pass"),
	}
	for i := int16(0); i < 6; i += 2 { // swap the MAC addresses
		code = append(code,
			asm.LoadMem(asm.R4, asm.R2, i, asm.Half), asm.LoadMem(asm.R5, asm.R2, i+6, asm.Half),
			asm.StoreMem(asm.R2, i, asm.R5, asm.Half), asm.StoreMem(asm.R2, i+6, asm.R4, asm.Half))
	}
	if redirect {
		code = append(code, asm.Mov.Reg(asm.R1, asm.R6), asm.Mov.Imm(asm.R2, 0), asm.FnRedirect.Call(), asm.Return())
	} else {
		code = append(code, asm.Mov.Imm(asm.R0, 3), asm.Return()) // XDP_TX
	}
	code = append(code, asm.Mov.Imm(asm.R0, 2).WithSymbol("pass"), asm.Return())
	return load(t, code)
}

func load(t *testing.T, code asm.Instructions) *ebpf.Program {
	t.Helper()
	prog, err := ebpf.NewProgram(&ebpf.ProgramSpec{Type: ebpf.XDP, License: "GPL", Instructions: code})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { prog.Close() })
	return prog
}

func attach(t *testing.T, ns *lab.Namespace, ifname string, prog *ebpf.Program) {
	t.Helper()
	index, err := ns.Index(ifname)
	if err != nil {
		t.Fatal(err)
	}
	err = ns.Do(func() error {
		attached, err := link.AttachXDP(link.XDPOptions{Program: prog, Interface: index, Flags: link.XDPDriverMode})
		if err == nil {
			t.Cleanup(func() { attached.Close() })
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if on, _, err := ns.XDP(ifname); err != nil || !on {
		t.Fatalf("program not seen on %s/%s: %v", ns.Name(), ifname, err)
	}
}

func received(t *testing.T, ns *lab.Namespace) (packets int) {
	t.Helper()
	out, err := ns.Run(t.Context(), "cat", "/proc/net/dev")
	if err != nil {
		t.Fatal(err)
	}
	_, line, _ := strings.Cut(out, "eth0:")
	var bytes int
	if _, err := fmt.Sscan(line, &bytes, &packets); err != nil {
		t.Fatal(err)
	}
	return packets
}

// What a program behind a veth sends arrives only at a peer that is prepared for it. The lab's are, for redirects;
// XDP_TX
// also needs a program on the peer, or the frames lie in its ring until something else wakes it.
func TestWhatXDPSendsReachesAPreparedPeer(t *testing.T) {
	for _, c := range []struct {
		name                  string
		redirect, gro, passer bool
		arrives               bool
	}{
		{"redirect, prepared", true, true, false, true},
		{"redirect, as veth comes", true, false, false, false},
		{"XDP_TX, program on the peer", false, true, true, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			s, err := lab.NewStar(newLab(t), 0)
			if err != nil {
				t.Fatal(err)
			}
			if err := s.Client.SetFeatures("eth0", map[string]bool{"rx-gro": c.gro}); err != nil {
				t.Fatal(err)
			}
			if c.passer {
				attach(t, s.Client, "eth0", load(t, asm.Instructions{asm.Mov.Imm(asm.R0, 2), asm.Return()}))
			}
			attach(t, s.Balancer, "client", reflector(t, c.redirect))
			before := received(t, s.Client)
			multicastTo(t, s.Client, 100)
			if c.arrives {
				within(t, 5*time.Second, "100 frames come back", func() bool { return received(t, s.Client)-before >= 100 })
			} else if got := received(t, s.Client) - before; got >= 100 { // the balancer's kernel may say something of its own
				t.Errorf("%d frames came back", got)
			}
		})
	}
}

// multicastTo sends datagrams that need no neighbour.
func multicastTo(t *testing.T, ns *lab.Namespace, count int) {
	t.Helper()
	err := ns.Do(func() error {
		c, err := net.Dial("udp4", "224.0.0.99:9")
		if err != nil {
			return err
		}
		defer c.Close()
		for range count {
			if _, err := c.Write([]byte("frame")); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// The checksums of the ends must be whole on the wire, or a program that forwards them forwards rubbish.
func TestPreparedEndsWriteTheirChecksums(t *testing.T) {
	l := newLab(t)
	s, err := lab.NewStar(l, 1)
	if err != nil {
		t.Fatal(err)
	}
	for _, ns := range []*lab.Namespace{s.Client, s.Nodes[0]} {
		features, err := ns.Features("eth0")
		if err != nil {
			t.Fatal(err)
		}
		if features["tx-checksum-ip-generic"] || !features["rx-gro"] {
			t.Errorf("%s: %v", ns.Name(), features)
		}
	}
	if _, err := os.Stat(s.Client.Path()); err != nil {
		t.Error(err)
	}
}
