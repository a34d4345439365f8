package e2e

import (
	"context"
	"errors"
	"os"
	"strconv"
	"testing"
	"time"

	"github.com/cilium/ebpf"

	"github.com/headgate/headgate/scripts/lab/peer"
)

// pid is the daemon's process id in words.
func (s *site) pid() string { return strconv.Itoa(s.gate.Daemon().PID()) }

// SIGTERM leaves the data path forwarding; detach leaves nothing at all.
func TestDetachLeavesNoTrace(t *testing.T) {
	t.Parallel()
	s := newSite(t, 2, smallTable)
	s.servers()
	s.run(s.yaml(conf{port: 80, nodes: members(2, 8080, both)}))
	held := s.hold("tcp", 4, 80, 2)
	programs, maps := s.attached()
	if len(programs) == 0 || len(maps) < 10 {
		t.Fatalf("attached: programs %v with maps %v", programs, maps)
	}
	s.must(s.gate.Stop())
	if r := s.pulse(held); r.Failed != 0 {
		t.Errorf("after SIGTERM: %+v", r)
	}
	wantShares(t, "after SIGTERM", s.exchanges("tcp", 6, 80, 10), map[string]int{"a": 5, "b": 5})

	s.cli("detach", "--yes")
	s.untouched()
	if _, err := os.Stat(s.gate.BPFFS); err == nil {
		t.Error("the directory of the pins is still there")
	}
	for id := range programs {
		poll(t, soon, "the program leaves the kernel", func() bool { return isGone(ebpf.NewProgramFromID(id)) })
	}
	for id := range maps {
		poll(t, soon, "the map leaves the kernel", func() bool { return isGone(ebpf.NewMapFromID(id)) })
	}
	if r := s.load(peer.Load{Network: "tcp", Address: s.vip(4, 80), Workers: 1, Count: 1, Timeout: 500 * time.Millisecond}); r.Failed != 1 {
		t.Errorf("somebody still answers: %+v", r)
	}
	s.cli("detach", "--yes") // again: nothing to do is no error
	s.start()
	wantShares(t, "after a new start", s.exchanges("tcp", 4, 80, 10), map[string]int{"a": 5, "b": 5})
}

// attached lists the programs on the balancer's interfaces, and their maps.
func (s *site) attached() (map[ebpf.ProgramID]bool, map[ebpf.MapID]bool) {
	s.t.Helper()
	programs, maps := map[ebpf.ProgramID]bool{}, map[ebpf.MapID]bool{}
	for _, name := range s.star.Interfaces() {
		on, id, err := s.star.Balancer.XDP(name)
		s.must(err)
		if !on {
			s.t.Errorf("no program on %s", name)
			continue
		}
		programs[ebpf.ProgramID(id)] = true
		prog, err := ebpf.NewProgramFromID(ebpf.ProgramID(id))
		s.must(err)
		info, err := prog.Info()
		s.must(err)
		ids, _ := info.MapIDs()
		for _, id := range ids {
			maps[id] = true
		}
		s.must(prog.Close())
	}
	return programs, maps
}

func isGone[T interface{ Close() error }](object T, err error) bool {
	if err != nil {
		return errors.Is(err, os.ErrNotExist)
	}
	object.Close()
	return false
}

// Where a driver cannot run the program natively, auto runs it generically and says so.
func TestGenericModeServesWithAWarning(t *testing.T) {
	t.Parallel()
	s := newSite(t, 2, "xdp_mode: auto\n"+smallTable)
	s.servers()
	// A veth takes native XDP only with a receiving queue for each that its peer sends by.
	_, err := s.star.Client.Run(t.Context(), "ethtool", "-L", "eth0", "tx", "2")
	s.must(err)
	for _, on := range []bool{false, true} { // the change of queues has put out what receives redirected frames
		s.must(s.star.Client.SetFeatures("eth0", map[string]bool{"rx-gro": on}))
	}
	s.run(s.yaml(conf{port: 80, nodes: members(2, 8080, both)}))
	for _, i := range s.status().Interfaces {
		if want := map[bool]string{true: "generic", false: "native"}[i.Name == "client"]; i.Mode != want || (i.Mode == "generic") != (i.Warning != "") {
			t.Errorf("%s: mode %s, warning %q; want %s", i.Name, i.Mode, i.Warning, want)
		}
	}
	for _, family := range both {
		wantShares(t, "through a generic and a native interface", s.exchanges("tcp", family, 80, 20), map[string]int{"a": 10, "b": 10})
	}
	s.checkCounts()
}

// In generic mode the kernel sees to checksums, and nobody needs to prepare for XDP. But it redirects no frame that is
// longer than the MTU, so the ends may not send such: no segmentation is left to the interface.
func TestGenericModeNeedsNoPreparation(t *testing.T) {
	t.Parallel()
	s := newSite(t, 2, "xdp_mode: generic\n"+smallTable)
	s.servers()
	for _, ns := range append(s.star.Nodes, s.star.Client) {
		s.must(ns.SetFeatures("eth0", map[string]bool{"rx-gro": false, "tx-checksum-ip-generic": true}))
		s.must(ns.SetFeatures("eth0", map[string]bool{"tx-tcp-segmentation": false, "tx-tcp6-segmentation": false, "tx-generic-segmentation": false}))
	}
	s.run(s.yaml(conf{port: 80, nodes: members(2, 8080, both)}, conf{port: 53, proto: "udp", nodes: members(2, 5353, both)}))
	for _, family := range both {
		wantShares(t, "TCP", s.exchanges("tcp", family, 80, 20), map[string]int{"a": 10, "b": 10})
		held := s.hold("udp", family, 53, 20)
		wantShares(t, "UDP", s.finish(held), map[string]int{"a": 10, "b": 10})
		download, err := peer.StartDownload(t.Context(), s.star.Client, s.vip(family, 80), 8<<20, 0)
		s.must(err)
		ctx, cancel := context.WithTimeout(t.Context(), soon)
		defer cancel()
		if err := download.Wait(ctx); err != nil {
			t.Error(err)
		}
	}
	s.checkCounts()
}
