package store

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	bolt "go.etcd.io/bbolt"

	"github.com/headgate/headgate/pkg/usage"
)

func openUsage(t *testing.T, dir string) *Usage {
	t.Helper()
	u, warning, err := OpenUsage(dir)
	if err != nil || warning != "" {
		t.Fatal(warning, err)
	}
	return u
}

func reopenUsage(t *testing.T, u *Usage) (*Usage, usage.State) {
	t.Helper()
	if err := u.Close(); err != nil {
		t.Fatal(err)
	}
	u = openUsage(t, filepath.Dir(u.path))
	s, err := u.Load()
	if err != nil {
		t.Fatal(err)
	}
	return u, s
}

func TestUsageIsThereAfterReopening(t *testing.T) {
	u := openUsage(t, t.TempDir())
	if s, err := u.Load(); err != nil || !s.At.IsZero() || len(s.Totals) != 0 {
		t.Errorf("a new one has %+v, %v", s, err)
	}
	at := time.Date(2026, 1, 2, 3, 7, 0, 0, time.UTC)
	point := func(end time.Duration, in float64) usage.Point {
		return usage.Point{End: at.Add(end).Truncate(usage.Step), Flows: 0.25, In: in, Out: 1e12}
	}
	n := usage.Unsaved{
		At:     at,
		Nodes:  map[uint32]usage.Last{7: {Owner: "203.0.113.1:80/tcp 192.0.2.1:80", Count: usage.Count{Flows: 1, In: 2, Out: 1 << 60}}},
		Totals: map[int]usage.Total{1: {Month: "2026-01", In: 3, Out: 4, Since: at, Window: usage.Window{Flows: 1, In: 0.1}}, 2: {}},
		Closed: []usage.Closed{{Balancer: 2, Point: point(-10*time.Minute, 1)}, {Balancer: 1, Point: point(-5*time.Minute, 2)}, {Balancer: 2, Point: point(-5*time.Minute, 3)}},
	}
	if err := u.Save(n); err != nil {
		t.Fatal(err)
	}
	u, got := reopenUsage(t, u)
	want := usage.State{At: at, Nodes: n.Nodes, Totals: n.Totals, Points: map[int][]usage.Point{
		1: {point(-5*time.Minute, 2)}, 2: {point(-10*time.Minute, 1), point(-5*time.Minute, 3)}}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}

	// A day later the old points are gone, and those of a balancer that is no more.
	n.At, n.Totals = at.Add(usage.Day-8*time.Minute), map[int]usage.Total{2: {Month: "2026-01"}}
	n.Closed = []usage.Closed{{Balancer: 2, Point: point(usage.Day-10*time.Minute, 4)}}
	if err := u.Save(n); err != nil {
		t.Fatal(err)
	}
	u, got = reopenUsage(t, u)
	if diff := cmp.Diff(map[int][]usage.Point{2: {point(-5*time.Minute, 3), point(usage.Day-10*time.Minute, 4)}}, got.Points); diff != "" {
		t.Error(diff)
	}
	if err := u.Close(); err != nil {
		t.Fatal(err)
	}
}

func TestDamagedUsageKeepsNoDaemonFromStarting(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, UsageName)
	if err := os.WriteFile(path, []byte(strings.Repeat("nonsense", 2000)), 0o600); err != nil {
		t.Fatal(err)
	}
	u, warning, err := OpenUsage(dir)
	if err != nil || !strings.Contains(warning, "moved to "+path+".damaged, and a new record of traffic begins") {
		t.Fatalf("%q, %v", warning, err)
	}
	if err := u.Save(usage.Unsaved{At: time.Now(), Totals: map[int]usage.Total{1: {In: 7}}}); err != nil {
		t.Fatal(err)
	}
	// A record that does not hold what it says is as none.
	err = u.db.Update(func(tx *bolt.Tx) error { return tx.Bucket(totalsBucket).Put(totalsKey, []byte("00000000 {}")) })
	if err != nil {
		t.Fatal(err)
	}
	if s, err := u.Load(); err != nil || len(s.Totals) != 0 {
		t.Errorf("%+v, %v", s, err)
	}
	if _, _, err := OpenUsage(dir); !errors.Is(err, ErrLocked) {
		t.Errorf("opened twice: %v", err)
	}
	if err := u.Close(); err != nil {
		t.Fatal(err)
	}
}
