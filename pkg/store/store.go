// Package store keeps the desired state: what people declared, with a revision that counts changes.
// It survives crashes: what Update has returned is on the disk.
package store

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	bolt "go.etcd.io/bbolt"

	"github.com/headgate/headgate/pkg/lb"
)

// FileName is the database inside the state directory.
const FileName = "headgate.db"

// Store is the desired state on disk. Its methods may be called from anywhere at any time.
type Store struct {
	path    string
	now     func() time.Time
	current atomic.Pointer[Desired] // never changed once it is stored

	waiting jobs // changes that are not taken up yet

	mu       sync.Mutex // held while changing: one change at a time
	db       *bolt.DB   // nil once closed
	watchers []chan struct{}
}

// What Update answers once the store is closed.
var ErrClosed = errors.New("the store is closed")

// Open opens the store in dir, which is made with mode 0700 when it is not there. The error matches
// ErrLocked when another process has it open, ErrForeign when the file is not a store, ErrCorrupted
// when it is damaged, and ErrNewer when a newer version wrote it; the file is left as it is.
func Open(dir string) (*Store, error) {
	path := filepath.Join(dir, FileName)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("open store: %w", unwritable(err))
	}
	if err := ownedAlone(dir); err != nil {
		return nil, fmt.Errorf("open store: %w", err)
	}
	s := &Store{path: path, now: time.Now}
	if err := s.open(); err != nil {
		return nil, fmt.Errorf("open store %s: %w", path, unwritable(err))
	}
	return s, nil
}

// unwritable adds what to do about a place that cannot be written.
func unwritable(err error) error {
	for _, reason := range []error{syscall.EROFS, syscall.ENOTDIR, syscall.EACCES, syscall.EPERM} {
		if errors.Is(err, reason) {
			return fmt.Errorf("%w: let the daemon write there, or choose another state_dir", err)
		}
	}
	return err
}

// ownedAlone refuses a directory in which others could replace what is kept there.
func ownedAlone(dir string) error {
	info, err := os.Stat(dir)
	if err != nil {
		return err
	}
	if writable := info.Mode().Perm() & 0o022; writable != 0 {
		return fmt.Errorf("state_dir %s may be written by others (mode %04o): chmod go-w %[1]s, or choose another", dir, info.Mode().Perm())
	}
	if stat, ok := info.Sys().(*syscall.Stat_t); ok && stat.Uid != 0 && int(stat.Uid) != os.Geteuid() {
		return fmt.Errorf("state_dir %s belongs to user %d: give it to the daemon's user, or choose another", dir, stat.Uid)
	}
	return nil
}

// Get returns the desired state.
func (s *Store) Get() Desired { return *s.current.Load() }

// Change lets fn make a draft of what there is into what there shall be. The change is whole or not at all, and
// on the disk when Change returns. One that changes nothing keeps the revision. When fn fails its error is
// returned as it is; what is not valid is refused with lb.Faults. fn may call Get, but nothing else of the store.
//
// Changes that come while others are written are written together, which takes the disk no longer than one.
func (s *Store) Change(fn func(*Draft) error) (Desired, error) {
	j := &job{fn: fn}
	s.waiting.add(j)
	s.mu.Lock()
	defer s.mu.Unlock()
	if !j.done { // nobody did it with its own
		s.together(s.waiting.take())
	}
	if !j.done {
		return Desired{}, fmt.Errorf("update store %s: another change went wrong", s.path)
	}
	return j.next, j.err
}

// Update is Change for those who declare the whole list anew, as Draft.Replace takes it; fn gets a copy that
// it may change.
func (s *Store) Update(fn func([]lb.Balancer) ([]lb.Balancer, error)) (Desired, error) {
	return s.Change(func(d *Draft) error {
		all, err := fn(lb.Clone(d.Balancers()))
		if err == nil {
			d.Replace(all)
		}
		return err
	})
}

// Watch returns a new channel that gets a value after each change; changes that nobody has fetched
// yet count as one. Call it once per reader, then Get, then wait. It is never closed.
func (s *Store) Watch() <-chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	c := make(chan struct{}, 1)
	s.watchers = append(s.watchers, c)
	return c
}

func (s *Store) notify() {
	for _, c := range s.watchers {
		select {
		case c <- struct{}{}:
		default: // one is waiting already
		}
	}
}

// Close gives the file free for others. Get goes on answering; a second Close does nothing.
func (s *Store) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.db == nil {
		return nil
	}
	err := s.db.Close()
	s.db = nil
	if err != nil {
		return fmt.Errorf("close store %s: %w", s.path, err)
	}
	return nil
}
