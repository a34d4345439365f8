package e2e

import (
	"encoding/binary"
	"fmt"
	"net"
	"net/netip"
	"testing"
	"time"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"

	"github.com/headgate/headgate/pkg/api"
	"github.com/headgate/headgate/scripts/lab/peer"
)

// floodSYNs is a multiple of 2^20: the frames of one run of the generator.
const (
	floodSYNs  = 2 << 20
	floodBatch = 1 << 20
	synBytes   = 60
)

// filled is how many flows the flooded table must come to hold. What a card's queue has no room for is lost before it is
// seen: on a veth that may be most of what a fast generator sends.
const filled = 100_000

// Two million SYNs from random addresses neither end nor disturb connections that are established, new clients
// still get through, and when the flood is over the counts are exact.
func TestSYNFloodLeavesEstablishedConnectionsAlone(t *testing.T) {
	const connections = 1000
	// 131,072 flows have two halves each: the flood fills this table, if not many times over.
	s := newSite(t, 3, "flow_table: {v4: 262144, v6: 65536}\n")
	s.nginx()
	s.run(s.yaml(conf{port: 80, extra: quickCheck, nodes: members(3, 8080, both)}))
	held := s.hold("tcp", 4, 80, connections)

	flood := s.synFlood(80)
	memory := s.residentKB()
	among := s.clientsAmid(80)
	begin := time.Now()
	sent, full := 0, 0
	for ; sent < floodSYNs || full < filled && time.Since(begin) < time.Minute; sent += floodBatch {
		flood()
		if r := s.pulse(held); r.Failed != 0 {
			t.Fatalf("after %d SYNs: %d of %d held connections failed: %v", sent+floodBatch, r.Failed, connections, r.Failures)
		}
		full = total(s.countFlows("half_open"))
	}
	t.Logf("%d SYNs in %v, half-open now: %d", sent, time.Since(begin).Round(time.Millisecond), full)
	among.judge()
	if now := s.residentKB(); now > memory+8192 {
		t.Errorf("the daemon holds %d KiB in memory, %d before the flood", now, memory)
	}

	if seen := s.newFlows(); full < filled {
		t.Errorf("%d new flows were made, and %d are half-open: the flood did not fill the table:\n%s", seen, full, s.cli("maps", "dump", "reasons"))
	}
	// The flood had the machine for itself. To wait until half-open flows have expired needs nothing of it.
	t.Parallel()
	poll(t, time.Minute, "only the held connections are left in the count", func() bool {
		return total(s.countFlows("half_open")) == 0
	})
	s.eventually("the count is exact", func(st api.Status) bool { return st.ActiveFlows == connections })
	if got := s.countFlows("established"); total(got) != connections {
		t.Errorf("flows --count: %v", got)
	}
	s.checkCounts()
	if r := s.finish(held); r.Failed != 0 {
		t.Errorf("held connections: %+v", r)
	}
	if r := s.exchanges("tcp", 4, 80, 30); r.Failed != 0 {
		t.Errorf("new connections after the flood: %+v", r)
	}
}

// newFlows is how many flows were made in all, by the counters of the nodes.
func (s *site) newFlows() (made int) {
	st := s.status()
	for _, n := range st.Nodes() {
		made += int(n.Flows)
	}
	return made
}

// synFlood makes a generator: each call sends floodBatch SYNs to a port of the IPv4 VIP, each from an address and a
// port of its own at random, as fast as the machine can. They are real frames, with right checksums, that
// leave by the client's interface.
func (s *site) synFlood(port int) func() {
	s.t.Helper()
	index, err := s.star.Client.Index("eth0")
	s.must(err)
	here, err := s.star.Client.MAC("eth0")
	s.must(err)
	there, err := s.star.Balancer.MAC("client")
	s.must(err)
	frame := synFrame(here, there, s.star.VIP4.As4(), port)
	prog, err := ebpf.NewProgram(&ebpf.ProgramSpec{Name: "syn_flood", Type: ebpf.XDP, License: "GPL", Instructions: floodCode(frame)})
	s.must(err)
	s.t.Cleanup(func() { prog.Close() })
	return func() {
		s.t.Helper()
		// Frames run through the program as if they had come in by the interface; XDP_TX sends them out of it.
		s.must(s.star.Client.Do(func() error {
			_, err := prog.Run(&ebpf.RunOptions{
				Data:    frame,
				Repeat:  floodBatch,
				Flags:   1 << 1, // BPF_F_TEST_XDP_LIVE_FRAMES
				Context: xdpContext{DataEnd: uint32(len(frame)), IngressIfindex: uint32(index)},
			})
			if err != nil {
				return fmt.Errorf("live frames: %w", err)
			}
			return nil
		}))
	}
}

// xdpContext is struct xdp_md of the kernel.
type xdpContext struct {
	Data, DataEnd, DataMeta, IngressIfindex, RxQueueIndex, EgressIfindex uint32
}

// synFrame is a SYN whose source address, source port, sequence number and checksums are 0.
func synFrame(from, to net.HardwareAddr, dst [4]byte, port int) []byte {
	f := make([]byte, synBytes)
	copy(f[0:], to)
	copy(f[6:], from)
	binary.BigEndian.PutUint16(f[12:], 0x0800)
	ip, tcp := f[14:34], f[34:54]
	ip[0], ip[8], ip[9] = 0x45, 64, 6
	binary.BigEndian.PutUint16(ip[2:], 40)
	copy(ip[16:], dst[:])
	binary.BigEndian.PutUint16(tcp[2:], uint16(port))
	tcp[12], tcp[13] = 5<<4, 2 // SYN
	binary.BigEndian.PutUint16(tcp[14:], 65535)
	return f
}

// Offsets in the frame of what the generator fills in.
const (
	atIPChecksum  = 24
	atSource      = 26
	atPorts       = 34
	atSequence    = 38
	atTCPChecksum = 50
)

// floodCode is the generator. Frames are used again and come back as others left them, so it writes the whole
// frame, then the random parts, then both checksums.
func floodCode(frame []byte) asm.Instructions {
	code := asm.Instructions{
		asm.LoadMem(asm.R6, asm.R1, 0, asm.Word),
		asm.LoadMem(asm.R2, asm.R1, 4, asm.Word),
		asm.Mov.Reg(asm.R3, asm.R6),
		asm.Add.Imm(asm.R3, synBytes),
		asm.JGT.Reg(asm.R3, asm.R2, "drop"),
	}
	for at := 0; at < len(frame); at += 4 {
		word := binary.NativeEndian.Uint32(frame[at:])
		code = append(code, asm.StoreImm(asm.R6, int16(at), int64(int32(word)), asm.Word))
	}
	// Source address in 10.128.0.0/9, source port and sequence number.
	code = append(code,
		asm.FnGetPrandomU32.Call(),
		asm.And.Imm32(asm.R0, int32(binary.NativeEndian.Uint32([]byte{0, 0x7f, 0xff, 0xff}))),
		asm.Or.Imm32(asm.R0, int32(binary.NativeEndian.Uint32([]byte{10, 0x80, 0, 0}))),
		asm.Mov.Reg32(asm.R7, asm.R0),
		asm.StoreMem(asm.R6, atSource, asm.R7, asm.Word),
		asm.FnGetPrandomU32.Call(),
		asm.And.Imm32(asm.R0, 0xffff),
		asm.Or.Imm32(asm.R0, 4), // not port 0, in whatever order its bytes lie
		asm.Mov.Reg32(asm.R8, asm.R0),
		asm.StoreMem(asm.R6, atPorts, asm.R8, asm.Half),
		asm.FnGetPrandomU32.Call(),
		asm.Mov.Reg32(asm.R9, asm.R0),
		asm.StoreMem(asm.R6, atSequence, asm.R9, asm.Word),
	)
	ipSum := sum(frame[14:34])
	pseudo := append(append([]byte{}, frame[30:34]...), 0, 6, 0, 20)
	tcpSum := sum(frame[34:54]) + sum(pseudo)
	code = append(code, checksum(ipSum, atIPChecksum, asm.R7)...)
	code = append(code, checksum(tcpSum, atTCPChecksum, asm.R7, asm.R8, asm.R9)...)
	return append(code,
		asm.Mov.Imm(asm.R0, 3), // XDP_TX
		asm.Return(),
		asm.Mov.Imm(asm.R0, 1).WithSymbol("drop"),
		asm.Return(),
	)
}

// sum adds 16-bit words as they lie.
func sum(b []byte) (total uint32) {
	for ; len(b) > 1; b = b[2:] {
		total += uint32(binary.NativeEndian.Uint16(b))
	}
	return total
}

// checksum stores the Internet checksum over a constant part and the 32-bit words in registers.
func checksum(constant uint32, at int16, words ...asm.Register) asm.Instructions {
	code := asm.Instructions{asm.Mov.Imm32(asm.R3, int32(constant))}
	for _, w := range words {
		code = append(code,
			asm.Mov.Reg32(asm.R4, w), asm.And.Imm32(asm.R4, 0xffff), asm.Add.Reg(asm.R3, asm.R4),
			asm.Mov.Reg32(asm.R4, w), asm.RSh.Imm32(asm.R4, 16), asm.Add.Reg(asm.R3, asm.R4))
	}
	for range 2 { // fold
		code = append(code,
			asm.Mov.Reg32(asm.R4, asm.R3), asm.RSh.Imm32(asm.R4, 16),
			asm.And.Imm32(asm.R3, 0xffff), asm.Add.Reg(asm.R3, asm.R4))
	}
	return append(code, asm.Xor.Imm32(asm.R3, 0xffff), asm.StoreMem(asm.R6, at, asm.R3, asm.Half))
}

// The generator's frames must be good SYNs, or the flood proves nothing: a kernel without headgate answers them.
func TestFloodGeneratorMakesSYNsThatAKernelAnswers(t *testing.T) {
	t.Parallel()
	s := newSite(t, 1, smallTable)
	s.must(s.star.Balancer.PrepareForXDP("client"))
	_, err := peer.StartListener(s.star.Balancer, "[::]:80")
	s.must(err)
	s.must(s.star.Balancer.AddRoute(netip.MustParsePrefix("10.128.0.0/9"), s.star.ClientAddr(4), "client"))
	s.star.VIP4 = s.star.BalancerAddr(0, 4)
	s.synFlood(80)()
	received, err := s.star.Balancer.Counter("Tcp", "InSegs")
	s.must(err)
	bad, err := s.star.Balancer.Counter("Tcp", "InCsumErrors")
	s.must(err)
	opened, err := s.star.Balancer.Counter("TcpExt", "SyncookiesSent")
	s.must(err)
	if received < 1000 || bad != 0 || opened == 0 {
		t.Errorf("the kernel got %d segments, %d with wrong checksums, and answered %d with SYN cookies", received, bad, opened)
	}
}
