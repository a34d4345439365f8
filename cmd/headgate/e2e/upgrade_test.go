package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/headgate/headgate/loader"
	"github.com/headgate/headgate/pkg/api"
	"github.com/headgate/headgate/scripts/lab/peer"
)

// released are the sources of the last release of each layout, see scripts/package/keep-layout.sh.
const released = source + "/testdata/released"

// layouts lists the layouts that were released, oldest first.
func layouts(t *testing.T) (all []int) {
	t.Helper()
	for layout := 1; ; layout++ {
		if _, err := os.Stat(archive(layout)); err != nil {
			break
		}
		all = append(all, layout)
	}
	if len(all) < 2 {
		t.Fatalf("%s has %d layouts, there were two at least", released, len(all))
	}
	return all
}

func archive(layout int) string { return fmt.Sprintf("%s/layout-%d.tar.gz", released, layout) }

// buildReleased builds the headgate of a layout.
func (s *site) buildReleased(layout int) (binary string) {
	s.t.Helper()
	dir := filepath.Join(s.star.Lab.Dir(), fmt.Sprintf("layout-%d", layout))
	s.must(os.Mkdir(dir, 0o755))
	s.command("tar", "-xzf", archive(layout), "-C", dir)
	s.command("go", "build", "-C", dir, "-trimpath", "-buildvcs=false", "-o", "headgate", "./cmd/headgate")
	return filepath.Join(dir, "headgate")
}

// command runs a command outside of all namespaces, which must succeed.
func (s *site) command(name string, args ...string) string {
	s.t.Helper()
	return (&engine{t: s.t}).run(name, args...)
}

// Whatever layout a release had, its successor takes its data path over under load: no request fails, no
// connection breaks, no count drifts.
func TestEveryReleasedLayoutIsTakenOverWithoutAFailedRequest(t *testing.T) {
	t.Parallel()
	for _, layout := range layouts(t) {
		t.Run(fmt.Sprintf("layout %d", layout), func(t *testing.T) {
			t.Parallel()
			s := newSite(t, 3, smallTable)
			s.servers()
			s.configure(s.yaml(
				conf{port: 80, extra: quickCheck, nodes: members(3, 8080, both, 5, 3, 2)},
				conf{port: 53, proto: "udp", extra: "udp_idle: 5m\n" + quickCheck + "check_port: 8080\n", nodes: members(3, 5353, both)},
			))
			newer, older := s.gate.Binary, s.buildReleased(layout)
			s.gate.Binary = older
			s.start()
			s.settled()
			tag := programTag(s)

			held := []*peer.Client{s.hold("tcp", 4, 80, 50), s.hold("tcp", 6, 80, 50), s.hold("udp", 4, 53, 30)}
			anew := []*peer.Client{}
			for _, family := range both {
				anew = append(anew,
					s.startLoad(peer.Load{Network: "tcp", Address: s.vip(family, 80), Workers: 20, Interval: 10 * time.Millisecond}),
					s.startLoad(peer.Load{Network: "udp", Address: s.vip(family, 53), Workers: 10, Interval: 10 * time.Millisecond}))
			}
			download, err := peer.StartDownload(t.Context(), s.star.Client, s.vip(4, 80), 1<<30, 4*time.Minute) // longer than all of this
			s.must(err)
			s.must(s.gate.Stop())

			s.gate.Binary = newer
			s.versionSays(fmt.Sprintf("layout %d, program %s on client native, node1 native", layout, tag))
			s.gate.Binary = s.bounded(newer, "")
			s.start()
			s.gate.Binary = newer // for the commands
			s.settled()
			for i, c := range anew {
				if r := s.finish(c); r.Failed != 0 || r.Done < 100 {
					t.Errorf("load %d, of new connections and sessions: %+v", i, r)
				}
			}
			for i, c := range held {
				if r := s.pulse(c); r.Failed != 0 || r.Done != 2*r.Open {
					t.Errorf("held %d: %+v", i, r)
				}
			}
			before := download.Bytes()
			poll(t, soon, "the download goes on", func() bool { return download.Bytes() > before+1<<20 })
			if !download.Running() {
				t.Error("the download broke off")
			}
			wantShares(t, "new connections", s.exchanges("tcp", 4, 80, 100), map[string]int{"a": 50, "b": 30, "c": 20})
			s.eventually("the flows that are held count as active", func(st api.Status) bool { return st.ActiveFlows >= 130 })
			s.checkCounts()
			s.onlyTablesAndLinks()
			s.versionSays(fmt.Sprintf("layout %d, program %s on client native, node1 native", loader.Schema, programTag(s)))
			if layout == loader.Schema {
				return
			}
			if now := programTag(s); now == tag {
				t.Errorf("program %s runs still", now)
			}
			s.thereIsNoWayBack(older)
		})
	}
}

// programTag is the tag of the program on the interfaces.
func programTag(s *site) string {
	s.t.Helper()
	info, err := loader.Pinned(s.gate.BPFFS)
	s.must(err)
	if info.ProgramTag == "" {
		s.t.Errorf("no program is attached: %+v", info)
	}
	return info.ProgramTag
}

// versionSays checks what `headgate version` says is pinned.
func (s *site) versionSays(pinned string) {
	s.t.Helper()
	if out := s.cli("version"); !strings.Contains(out, "pinned   "+pinned) {
		s.t.Errorf("want %q in:\n%s", pinned, out)
	}
}

// onlyTablesAndLinks checks that the way of the upgrade is tidied up.
func (s *site) onlyTablesAndLinks() {
	s.t.Helper()
	entries, err := os.ReadDir(s.gate.BPFFS)
	if err != nil || len(entries) != 2 {
		s.t.Errorf("in the directory of pins: %v, %v; want links and maps", entries, err)
	}
}

// thereIsNoWayBack checks that the older headgate refuses the newer layout and touches nothing.
func (s *site) thereIsNoWayBack(older string) {
	s.t.Helper()
	newer := s.gate.Binary
	s.must(s.gate.Stop())
	s.gate.Binary = older
	lines := s.refusal(0, "run", "-c", s.gate.File)
	s.gate.Binary = newer
	wantLine(s.t, lines, fmt.Sprintf("have layout %d", loader.Schema), "run the headgate that made them", "headgate detach")
	wantShares(s.t, "after a downgrade was refused", s.exchanges("tcp", 4, 80, 10), map[string]int{"a": 5, "b": 3, "c": 2})
}
