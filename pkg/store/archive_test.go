package store

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/headgate/headgate/pkg/events"
)

func openedArchive(t *testing.T, dir string) *Archive {
	t.Helper()
	a, warning, err := OpenArchive(dir)
	if err != nil || warning != "" {
		t.Fatalf("open: %q, %v", warning, err)
	}
	return a
}

// numbered makes events with Seq from first to last.
func numbered(first, last uint64) (list []events.Event) {
	for seq := first; seq <= last; seq++ {
		list = append(list, events.Event{Seq: seq, Time: time.Unix(int64(seq), 0).UTC(), Kind: events.Health, Node: "web/80/a", Text: "it is UP"})
	}
	return list
}

func TestEventsOutliveTheDaemon(t *testing.T) {
	dir := t.TempDir()
	a := openedArchive(t, dir)
	if err := errors.Join(a.Append(numbered(1, 3)), a.Append(numbered(4, 4)), a.Close()); err != nil {
		t.Fatal(err)
	}
	got, err := ReadArchive(dir)
	if diff := cmp.Diff(numbered(1, 4), got); err != nil || diff != "" {
		t.Errorf("%v\n%s", err, diff)
	}
	a = openedArchive(t, dir)
	defer a.Close()
	if got, err := a.Load(); err != nil || len(got) != 4 {
		t.Errorf("%d events, %v", len(got), err)
	}
	if _, err := ReadArchive(dir); !errors.Is(err, ErrLocked) {
		t.Errorf("while a daemon has it: %v", err)
	}
}

func TestTheArchiveForgetsTheOldest(t *testing.T) {
	a := openedArchive(t, t.TempDir())
	defer a.Close()
	const all = 3 * events.Most
	for first := uint64(1); first <= all; first += events.Most / 2 {
		if err := a.Append(numbered(first, first+events.Most/2-1)); err != nil {
			t.Fatal(err)
		}
	}
	got, err := a.Load()
	if err != nil || got[len(got)-1].Seq != all || len(got) < events.Most || len(got) > 2*events.Most {
		t.Errorf("%d events, the first %d (%v)", len(got), got[0].Seq, err)
	}
}

func TestADamagedArchiveIsPutAside(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, ArchiveName)
	if err := os.WriteFile(path, []byte(strings.Repeat("no database ", 1000)), 0o600); err != nil {
		t.Fatal(err)
	}
	a, warning, err := OpenArchive(dir)
	if err != nil || !strings.Contains(warning, path+".damaged") {
		t.Fatalf("%q, %v", warning, err)
	}
	defer a.Close()
	if err := a.Append(numbered(1, 1)); err != nil {
		t.Error(err)
	}
	if kept, err := os.ReadFile(path + ".damaged"); err != nil || !strings.HasPrefix(string(kept), "no database") {
		t.Errorf("what was there is not kept: %v", err)
	}
}

func TestNoArchiveIsSaidToBeMissing(t *testing.T) {
	if _, err := ReadArchive(t.TempDir()); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("%v", err)
	}
}
