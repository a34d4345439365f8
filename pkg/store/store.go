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

	bolt "go.etcd.io/bbolt"

	"github.com/headgate/headgate/pkg/lb"
)

// FileName is the database inside the state directory.
const FileName = "headgate.db"

// Desired is the declared state at one revision.
type Desired struct {
	Revision  uint64 // 0: nothing was ever declared; goes up by one with each change
	Balancers []lb.Balancer
}

func (d *Desired) clone() Desired {
	return Desired{d.Revision, lb.Clone(d.Balancers)}
}

// Store is the desired state on disk. Its methods may be called from anywhere at any time.
type Store struct {
	path    string
	current atomic.Pointer[Desired] // never changed once it is stored

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
		return nil, fmt.Errorf("open store: %w", err)
	}
	s := &Store{path: path}
	if err := s.open(); err != nil {
		return nil, fmt.Errorf("open store %s: %w", path, err)
	}
	return s, nil
}

// Get returns the desired state; the caller owns it.
func (s *Store) Get() Desired {
	return s.current.Load().clone()
}

// Update replaces the balancers by what fn makes of them; fn gets a copy that it may change. The
// change is whole or not at all, and on the disk when Update returns. A change that changes nothing
// keeps the revision. When fn fails its error is returned as it is; balancers that are not valid are
// refused with lb.Faults. fn may call Get, but nothing else of the store.
func (s *Store) Update(fn func([]lb.Balancer) ([]lb.Balancer, error)) (Desired, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.db == nil {
		return Desired{}, fmt.Errorf("update store: %w", ErrClosed)
	}
	old := s.current.Load()
	balancers, err := fn(lb.Clone(old.Balancers))
	if err != nil {
		return Desired{}, err
	}
	if faults := lb.Validate(balancers); len(faults) > 0 {
		return Desired{}, fmt.Errorf("update store: %w", lb.Faults(faults))
	}
	if lb.Equal(old.Balancers, balancers) {
		return old.clone(), nil
	}
	next := &Desired{old.Revision + 1, lb.Clone(balancers)}
	if err := s.write(old, next); errors.Is(err, syscall.ENOSPC) {
		return Desired{}, fmt.Errorf("update store %s: %w; nothing was changed", s.path, err)
	} else if err != nil {
		return Desired{}, fmt.Errorf("update store %s: %w", s.path, err)
	}
	s.current.Store(next)
	s.notify()
	return next.clone(), nil
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
