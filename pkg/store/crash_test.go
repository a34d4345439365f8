package store

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"github.com/headgate/headgate/pkg/lb"
)

const crashDir = "HEADGATE_STORE_CRASH_DIR"

// stateAt is what the process that is killed declares as that revision.
func stateAt(revision uint64) []lb.Balancer {
	return []lb.Balancer{balancer(1, int(revision%7)), balancer(2, int(revision%300)+1)}
}

// TestMain turns the test binary into the process that TestKilledProcess kills.
func TestMain(m *testing.M) {
	if dir := os.Getenv(crashDir); dir != "" {
		fmt.Println(updateForEver(dir))
		os.Exit(1)
	}
	os.Exit(m.Run())
}

func updateForEver(dir string) error {
	s, err := Open(dir)
	if err != nil {
		return err
	}
	for {
		d, err := s.Update(func([]lb.Balancer) ([]lb.Balancer, error) { return stateAt(s.Get().Revision + 1), nil })
		if err != nil {
			return err
		}
		fmt.Println(d.Revision)
	}
}

// TestAKilledProcessLosesNothingThatItWasPromised kills a process with SIGKILL in the midst of its
// changes, again and again on the same store.
func TestAKilledProcessLosesNothingThatItWasPromised(t *testing.T) {
	dir := t.TempDir()
	var promised uint64
	for round := range 5 {
		cmd := exec.Command(os.Args[0])
		cmd.Env = append(os.Environ(), crashDir+"="+dir)
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		lines := bufio.NewScanner(out)
		for range 10 + 3*round {
			if !lines.Scan() {
				t.Fatal("the process ended by itself")
			}
			promised = revision(t, lines.Text())
		}
		if err := cmd.Process.Signal(syscall.SIGKILL); err != nil {
			t.Fatal(err)
		}
		for lines.Scan() { // what it still said before it died counts, too
			promised = revision(t, lines.Text())
		}
		if err := lines.Err(); err != nil && !errors.Is(err, io.ErrClosedPipe) {
			t.Fatal(err)
		}
		cmd.Wait() // an error: it was killed

		s := openStore(t, dir)
		d := s.Get()
		if d.Revision < promised || d.Revision > promised+1 {
			t.Errorf("promised revision %d, found %d", promised, d.Revision)
		}
		if diff := cmp.Diff(stateAt(d.Revision), d.Balancers, compareOptions); diff != "" {
			t.Error(diff)
		}
		mustClose(t, s)
	}
}

func revision(t *testing.T, line string) uint64 {
	t.Helper()
	n, err := strconv.ParseUint(strings.TrimSpace(line), 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// TestAStoreThatCannotBeMadeLeavesNothingBehind gives it a disk that is full from the first page on,
// or from the second and so on, and then room.
func TestAStoreThatCannotBeMadeLeavesNothingBehind(t *testing.T) {
	dir := t.TempDir()
	for pages := 1; pages <= 5; pages++ {
		size := fmt.Sprintf("size=%d", pages*os.Getpagesize())
		if err := unix.Mount("headgate-test", dir, "tmpfs", 0, size+",mode=0700"); err != nil {
			t.Skipf("mounting a file system needs root: %v", err)
		}
		_, err := Open(dir)
		if !errors.Is(err, unix.ENOSPC) {
			t.Errorf("%s: %v does not say that the disk is full", size, err)
		}
		if entries, err := os.ReadDir(dir); err != nil || len(entries) > 0 {
			t.Errorf("%s: it left %v (%v)", size, entries, err)
		}
		if err := unix.Mount("", dir, "", unix.MS_REMOUNT, "size=512k"); err != nil {
			t.Fatal(err)
		}
		mustClose(t, openStore(t, dir))
		if err := unix.Unmount(dir, unix.MNT_DETACH); err != nil {
			t.Fatal(err)
		}
	}
}

// TestAFullDiskRefusesAChangeAndKeepsTheRest fills a small file system.
func TestAFullDiskRefusesAChangeAndKeepsTheRest(t *testing.T) {
	dir := t.TempDir()
	if err := unix.Mount("headgate-test", dir, "tmpfs", 0, "size=2m,mode=0700"); err != nil {
		t.Skipf("mounting a file system needs root: %v", err)
	}
	defer func() {
		if err := unix.Unmount(dir, unix.MNT_DETACH); err != nil {
			t.Error(err)
		}
	}()
	s := openStore(t, dir)
	want := set(t, s, []lb.Balancer{balancer(1, 5)})
	changed := s.Watch()
	filler := filepath.Join(dir, "filler")
	if err := os.WriteFile(filler, make([]byte, 4<<20), 0o600); !errors.Is(err, unix.ENOSPC) {
		t.Fatalf("the disk is not full: %v", err)
	}

	big := []lb.Balancer{balancer(1, 5), balancer(2, 2000)}
	_, err := s.Update(func([]lb.Balancer) ([]lb.Balancer, error) { return big, nil })
	if !errors.Is(err, unix.ENOSPC) || !strings.HasSuffix(err.Error(), "no space left on device; nothing was changed") {
		t.Fatalf("%v does not say that the disk is full and what that means", err)
	}
	if diff := cmp.Diff(want, s.Get(), compareOptions); diff != "" {
		t.Error(diff)
	}
	if heard(changed) {
		t.Error("the watcher heard of a change")
	}

	if err := os.Remove(filler); err != nil {
		t.Fatal(err)
	}
	if d := set(t, s, big); d.Revision != want.Revision+1 {
		t.Errorf("revision %d", d.Revision)
	}
	mustClose(t, s)
	s = openStore(t, dir)
	defer mustClose(t, s)
	if diff := cmp.Diff(Desired{Revision: want.Revision + 1, Balancers: big}, s.Get(), compareOptions); diff != "" {
		t.Error(diff)
	}
}
