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

// reflector is an XDP program that sends every frame back to where it came from.
func reflector(t *testing.T) *ebpf.Program {
	t.Helper()
	prog, err := ebpf.NewProgram(&ebpf.ProgramSpec{Name: "reflect", Type: ebpf.XDP, License: "GPL", Instructions: asm.Instructions{
		asm.LoadMem(asm.R2, asm.R1, 0, asm.Word), // data
		asm.LoadMem(asm.R3, asm.R1, 4, asm.Word), // data_end
		asm.Mov.Reg(asm.R4, asm.R2),
		asm.Add.Imm(asm.R4, 14),
		asm.JGT.Reg(asm.R4, asm.R3, "out"),
		// Swap the MAC addresses, two bytes at a time.
		asm.LoadMem(asm.R4, asm.R2, 0, asm.Half), asm.LoadMem(asm.R5, asm.R2, 6, asm.Half),
		asm.StoreMem(asm.R2, 0, asm.R5, asm.Half), asm.StoreMem(asm.R2, 6, asm.R4, asm.Half),
		asm.LoadMem(asm.R4, asm.R2, 2, asm.Half), asm.LoadMem(asm.R5, asm.R2, 8, asm.Half),
		asm.StoreMem(asm.R2, 2, asm.R5, asm.Half), asm.StoreMem(asm.R2, 8, asm.R4, asm.Half),
		asm.LoadMem(asm.R4, asm.R2, 4, asm.Half), asm.LoadMem(asm.R5, asm.R2, 10, asm.Half),
		asm.StoreMem(asm.R2, 4, asm.R5, asm.Half), asm.StoreMem(asm.R2, 10, asm.R4, asm.Half),
		asm.Mov.Imm(asm.R0, 3), // XDP_TX
		asm.Return(),
		asm.Mov.Imm(asm.R0, 2).WithSymbol("out"), // XDP_PASS
		asm.Return(),
	}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { prog.Close() })
	return prog
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

// What a program behind a veth transmits arrives only at a peer that is prepared for it; the lab's are.
func TestNativeXDPReachesAPreparedPeer(t *testing.T) {
	for _, prepared := range []bool{true, false} {
		t.Run(fmt.Sprintf("prepared=%v", prepared), func(t *testing.T) {
			l := newLab(t)
			s, err := lab.NewStar(l, 0)
			if err != nil {
				t.Fatal(err)
			}
			if !prepared {
				if err := s.Client.SetFeatures("eth0", map[string]bool{"rx-gro": false}); err != nil {
					t.Fatal(err)
				}
			}
			index, err := s.Balancer.Index("client")
			if err != nil {
				t.Fatal(err)
			}
			err = s.Balancer.Do(func() error {
				attached, err := link.AttachXDP(link.XDPOptions{Program: reflector(t), Interface: index, Flags: link.XDPDriverMode})
				if err == nil {
					t.Cleanup(func() { attached.Close() })
				}
				return err
			})
			if err != nil {
				t.Fatal(err)
			}
			if on, _, err := s.Balancer.XDP("client"); err != nil || !on {
				t.Fatalf("program not seen on the interface: %v", err)
			}
			before := received(t, s.Client)
			multicastTo(t, s.Client, 100)
			if !prepared {
				if got := received(t, s.Client) - before; got != 0 {
					t.Errorf("%d frames came back to a peer that is not prepared", got)
				}
				return
			}
			within(t, 5*time.Second, "100 frames come back", func() bool { return received(t, s.Client)-before >= 100 })
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
