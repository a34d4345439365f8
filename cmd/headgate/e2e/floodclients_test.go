package e2e

import (
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/headgate/headgate/scripts/lab/peer"
)

// amid are clients while a flood runs. A handshake takes part in the race for room in the table: if it is not over by
// the time that the flood has gone through the table once, its flow has left, and the client is told by an RST.
type amid struct {
	*site
	fresh   *peer.Client // with a connection of its own for each exchange, and no time to try again
	patient *peer.Client // the same, with time for what TCP repeats
	held    *peer.Client // with connections that were there before
}

// clientsAmid starts clients that go on until they are judged.
func (s *site) clientsAmid(port int) amid {
	s.t.Helper()
	load := peer.Load{Network: "tcp", Address: s.vip(4, port), Workers: 20, Interval: 50 * time.Millisecond, Timeout: 900 * time.Millisecond}
	a := amid{site: s, fresh: s.startLoad(load)}
	load.Timeout = 10 * time.Second
	a.patient = s.startLoad(load)
	load.KeepOpen = true
	a.held = s.startLoad(load)
	poll(s.t, soon, "connections that are there before the flood", func() bool {
		r, err := a.held.Report()
		s.must(err)
		return r.Done >= 2*load.Workers
	})
	return a
}

// judge ends the clients and says how they fared.
func (a amid) judge() {
	a.t.Helper()
	share := func(r peer.Report) float64 { return 100 * float64(r.Done) / float64(max(1, r.Done+r.Failed)) }
	fresh, patient, held := a.finish(a.fresh), a.finish(a.patient), a.finish(a.held)
	a.t.Logf("new clients amid the flood: %.1f %% of %d got through at the first try (slowest %v), %.1f %% of %d within 10 s (slowest %v)",
		share(fresh), fresh.Done+fresh.Failed, fresh.Slowest.Round(time.Millisecond), share(patient), patient.Done+patient.Failed, patient.Slowest.Round(time.Millisecond))
	a.t.Logf("connections of before: %d exchanges, %d failed, slowest %v", held.Done, held.Failed, held.Slowest.Round(time.Millisecond))
	if held.Failed != 0 || held.Done == 0 {
		a.t.Errorf("connections of before, amid the flood: %+v", held)
	}
	if share(fresh) < 50 || share(patient) < 80 {
		a.t.Errorf("new clients amid the flood: at the first try %+v, within 10 s %+v", fresh, patient)
	}
}

// residentKB is what the daemon holds in memory of its own, in KiB: without the pages of the tables, which are mapped.
func (s *site) residentKB() (kb int) {
	s.t.Helper()
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", s.status().PID))
	s.must(err)
	_, line, _ := strings.Cut(string(status), "RssAnon:")
	fmt.Sscan(line, &kb)
	return kb
}
