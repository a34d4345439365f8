package store

import (
	"errors"
	"fmt"
	"sync"
	"syscall"
)

// job is a change that somebody waits for.
type job struct {
	fn    func(*Draft) error
	draft *Draft // nil unless there is something to write
	done  bool
	next  Desired
	err   error
}

// jobs is a queue.
type jobs struct {
	mu   sync.Mutex
	list []*job
}

func (q *jobs) add(j *job) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.list = append(q.list, j)
}

func (q *jobs) take() []*job {
	q.mu.Lock()
	defer q.mu.Unlock()
	list := q.list
	q.list = nil
	return list
}

// together does changes one after the other and writes them at once. Each is made of what those before it left;
// if they cannot be written, none of them is made.
func (s *Store) together(list []*job) {
	head := s.Get()
	var drafts []*job
	for _, j := range list {
		if j.prepare(s, head); j.draft != nil {
			head = j.next
			drafts = append(drafts, j)
		}
	}
	if len(drafts) > 0 {
		err := write(s.db, drafts)
		switch {
		case errors.Is(err, syscall.ENOSPC):
			err = fmt.Errorf("update store %s: %w; nothing was changed", s.path, err)
		case err != nil:
			err = fmt.Errorf("update store %s: %w", s.path, err)
		default:
			s.current.Store(&head)
			s.notify()
		}
		for _, j := range list {
			if err != nil && j.err == nil { // also those that changed nothing after one that is not made
				j.next, j.err = Desired{}, err
			}
		}
	}
	for _, j := range list {
		j.done = true
	}
}

// prepare makes the draft of a change.
func (j *job) prepare(s *Store, base Desired) {
	if s.db == nil {
		j.err = fmt.Errorf("update store: %w", ErrClosed)
		return
	}
	d := NewDraft(base, s.now())
	if j.err = j.fn(d); j.err != nil {
		return
	}
	if j.next, j.err = d.Finish(); j.err != nil {
		j.next, j.err = Desired{}, fmt.Errorf("update store: %w", j.err)
		return
	}
	if j.next.Revision != base.Revision {
		j.draft = d
	}
}
