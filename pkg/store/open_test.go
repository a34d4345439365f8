package store

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	bolt "go.etcd.io/bbolt"
	"pgregory.net/rapid"

	"github.com/headgate/headgate/pkg/lb"
)

func TestASecondOpenIsRefusedInBoundedTime(t *testing.T) {
	dir := t.TempDir()
	s := openStore(t, dir)
	began := time.Now()
	_, err := Open(dir)
	wantOpenError(t, err, ErrLocked, filepath.Join(dir, FileName), "is another headgate running?")
	if took := time.Since(began); took < lockWait/2 || took > 10*lockWait {
		t.Errorf("it took %s", took)
	}
	mustClose(t, s)
	mustClose(t, openStore(t, dir))
}

func TestOpenWaitsForOneThatIsStopping(t *testing.T) {
	dir := t.TempDir()
	s := openStore(t, dir)
	timer := time.AfterFunc(lockWait/10, func() { s.Close() })
	defer timer.Stop()
	mustClose(t, openStore(t, dir))
}

func TestAForeignFileIsRefusedAndLeftAlone(t *testing.T) {
	page := strings.Repeat("not a database ", 1000)
	for name, content := range map[string]string{"short": "hello", "long": page, "binary": strings.Repeat("\x00\xff", 8192)} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			path := filepath.Join(dir, FileName)
			if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
				t.Fatal(err)
			}
			_, err := Open(dir)
			wantOpenError(t, err, ErrForeign, path, "move it away or choose another state_dir")
			if after, err := os.ReadFile(path); err != nil || string(after) != content {
				t.Errorf("the file was changed (%v)", err)
			}
		})
	}
}

func TestAFileOfOnePageIsRefusedWithAWayOut(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, FileName)
	mustClose(t, openStore(t, dir))
	if err := os.Truncate(path, int64(os.Getpagesize())); err != nil {
		t.Fatal(err)
	}
	_, err := Open(dir)
	wantOpenError(t, err, ErrCorrupted, path, "too short", "move it away or choose another state_dir")
}

func TestAnotherProgramsDatabaseIsRefused(t *testing.T) {
	dir := t.TempDir()
	edit(t, dir, func(tx *bolt.Tx) error {
		_, err := tx.CreateBucket([]byte("theirs"))
		return err
	})
	_, err := Open(dir)
	wantOpenError(t, err, ErrForeign, `another database (it has "theirs")`)
}

func TestANewerSchemaIsRefused(t *testing.T) {
	dir := t.TempDir()
	mustClose(t, openStore(t, dir))
	edit(t, dir, func(tx *bolt.Tx) error {
		data, err := seal(map[string]any{"schema": schema + 1, "something": "new"})
		if err != nil {
			return err
		}
		return tx.Bucket(metaBucket).Put(stateKey, data)
	})
	_, err := Open(dir)
	wantOpenError(t, err, ErrNewer, fmt.Sprintf("schema %d, this one knows up to %d", schema+1, schema))
}

func TestDamagedRecordsAreNamed(t *testing.T) {
	other, err := seal(recordNode(&lb.Node{Label: "other"}))
	if err != nil {
		t.Fatal(err)
	}
	// The sample has a balancer 1, its config 2, and of that the nodes 3 and 4.
	for name, tt := range map[string]struct {
		damage func(tx *bolt.Tx) error
		want   string
	}{
		"no state":           {func(tx *bolt.Tx) error { return tx.Bucket(metaBucket).Delete(stateKey) }, "state: no record"},
		"state garbled":      {func(tx *bolt.Tx) error { return tx.Bucket(metaBucket).Put(stateKey, []byte("00000000 {}")) }, "state: checksum differs"},
		"no balancers":       {func(tx *bolt.Tx) error { return tx.DeleteBucket(balancersBucket) }, "no balancers"},
		"no nodes":           {func(tx *bolt.Tx) error { return tx.DeleteBucket(nodesBucket) }, "no nodes"},
		"balancer missing":   {func(tx *bolt.Tx) error { return tx.Bucket(balancersBucket).Delete(key(1)) }, "balancer 1: no record"},
		"balancer garbled":   {func(tx *bolt.Tx) error { return tx.Bucket(balancersBucket).Put(key(1), []byte("12345678 {}")) }, "balancer 1: checksum differs"},
		"config missing":     {func(tx *bolt.Tx) error { return tx.Bucket(configsBucket).Delete(key(2)) }, "balancer web: config 2: no record"},
		"node garbled":       {func(tx *bolt.Tx) error { return tx.Bucket(nodesBucket).Put(key(4), other[1:]) }, "balancer web: node 4: checksum differs"},
		"node too many":      {func(tx *bolt.Tx) error { return tx.Bucket(nodesBucket).Put(key(5), other) }, "5 records instead of 4"},
		"node never given":   {state(func(r *stateRecord) { r.LastID = 3 }), "node 4: was never given (the last was 3)"},
		"balancer twice":     {state(func(r *stateRecord) { r.Order = []int{1, 1} }), "balancer 1: is there twice"},
		"schema without end": {state(func(r *stateRecord) { r.Schema = -1 }), "state: schema -1"},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			s := openStore(t, dir)
			set(t, s, full())
			mustClose(t, s)
			edit(t, dir, tt.damage)
			_, err := Open(dir)
			wantOpenError(t, err, ErrCorrupted, tt.want, "apply the configuration again")
		})
	}
}

// state changes the state record.
func state(change func(r *stateRecord)) func(tx *bolt.Tx) error {
	return func(tx *bolt.Tx) error {
		var r stateRecord
		if err := unseal(tx.Bucket(metaBucket).Get(stateKey), &r); err != nil {
			return err
		}
		change(&r)
		data, err := seal(r)
		if err != nil {
			return err
		}
		return tx.Bucket(metaBucket).Put(stateKey, data)
	}
}

// TestADamagedFileIsNeverTakenForAnother overwrites or cuts the file anywhere: either the store notices,
// or the damage hit nothing that counts.
func TestADamagedFileIsNeverTakenForAnother(t *testing.T) {
	dir := t.TempDir()
	s := openStore(t, dir)
	var states []Desired // the last two, for a damaged head makes the database fall back by one change
	for n := range 4 {
		states = append(states, set(t, s, []lb.Balancer{balancer(1, 20+n), balancer(2, 200), balancer(3, n)}))
	}
	mustClose(t, s)
	good, err := os.ReadFile(filepath.Join(dir, FileName))
	if err != nil {
		t.Fatal(err)
	}
	noticed := 0
	rapid.Check(t, func(t *rapid.T) {
		data := append([]byte(nil), good...)
		at := rapid.IntRange(0, len(data)-1).Draw(t, "at")
		if rapid.Bool().Draw(t, "whole page") {
			at -= at % os.Getpagesize()
		}
		switch rapid.SampledFrom([]string{"flip", "zero", "cut"}).Draw(t, "damage") {
		case "flip":
			data[at] ^= rapid.ByteRange(1, 255).Draw(t, "bits")
		case "zero":
			clear(data[at:min(at+rapid.IntRange(1, 8192).Draw(t, "length"), len(data))])
		case "cut":
			data = data[:max(at, 1)]
		}
		if err := os.WriteFile(filepath.Join(dir, FileName), data, 0o600); err != nil {
			t.Fatal(err)
		}
		s, err := Open(dir)
		if err != nil {
			noticed++
			if errors.Is(err, ErrLocked) {
				t.Fatal("a failed Open before this one left its lock behind")
			}
			return
		}
		defer s.Close()
		got := s.Get()
		if cmp.Equal(states[3], got, compareOptions) || cmp.Equal(states[2], got, compareOptions) {
			return
		}
		t.Fatalf("damage at %d went unnoticed: %d balancers at revision %d", at, len(got.Balancers), got.Revision)
	})
	if noticed == 0 {
		t.Error("no damage was ever noticed")
	}
}

func TestADirectoryThatCannotBeMadeIsNamed(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	_, err := Open(filepath.Join(file, "state"))
	if err == nil || !strings.Contains(err.Error(), "open store: mkdir "+file) || !strings.Contains(err.Error(), "choose another state_dir") {
		t.Error(err)
	}
}

// A file system that is read-only, with a store on it and without.
func TestAStoreThatCannotBeWrittenSaysWhatToDo(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "state")
	mustClose(t, openStore(t, dir))
	if err := syscall.Mount(dir, dir, "", syscall.MS_BIND, ""); err != nil {
		t.Skipf("needs root: %v", err)
	}
	t.Cleanup(func() { syscall.Unmount(dir, syscall.MNT_DETACH) })
	if err := syscall.Mount("", dir, "", syscall.MS_REMOUNT|syscall.MS_BIND|syscall.MS_RDONLY, ""); err != nil {
		t.Fatal(err)
	}
	for _, dir := range []string{dir, filepath.Join(dir, "below")} {
		_, err := Open(dir)
		wantOpenError(t, err, syscall.EROFS, dir, "let the daemon write there, or choose another state_dir")
	}
}

// edit changes the database behind the store's back.
func edit(t *testing.T, dir string, fn func(tx *bolt.Tx) error) {
	t.Helper()
	db, err := bolt.Open(filepath.Join(dir, FileName), 0o600, &bolt.Options{Timeout: time.Second})
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(db.Update(fn), db.Close()); err != nil {
		t.Fatal(err)
	}
}

func wantOpenError(t *testing.T, err, is error, parts ...string) {
	t.Helper()
	if !errors.Is(err, is) {
		t.Fatalf("%v is not %v", err, is)
	}
	for _, part := range parts {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("%v\ndoes not say %q", err, part)
		}
	}
	if strings.Contains(err.Error(), "\n") {
		t.Errorf("more than one line: %v", err)
	}
}

func TestADirectoryThatOthersMayWriteIsRefused(t *testing.T) {
	for _, mode := range []os.FileMode{0o770, 0o707, 0o1777} {
		dir := t.TempDir()
		if err := os.Chmod(dir, mode); err != nil {
			t.Fatal(err)
		}
		_, err := Open(dir)
		if err == nil || !strings.Contains(err.Error(), "chmod go-w "+dir) {
			t.Errorf("mode %04o: %v", mode, err)
		}
		if entries, _ := os.ReadDir(dir); len(entries) != 0 {
			t.Errorf("mode %04o: %v was left there", mode, entries)
		}
	}
	if os.Geteuid() == 0 {
		dir := t.TempDir()
		if err := os.Chown(dir, 12345, 0); err != nil {
			t.Fatal(err)
		}
		if _, err := Open(dir); err == nil || !strings.Contains(err.Error(), "belongs to user 12345") {
			t.Errorf("of another user: %v", err)
		}
	}
}
