package daemon

import (
	"fmt"
	"sync"
	"time"

	"github.com/headgate/headgate/loader"
)

// stageIdle is how long a rehearsal stays loaded after its last use: people who ask once ask again, and to load
// the program takes longer than all else.
const stageIdle = time.Minute

// stage is where packets are tried out, one at a time. Its methods may be called concurrently.
type stage struct {
	maps *loader.Maps

	mu        sync.Mutex
	rehearsal *loader.Rehearsal // nil: not loaded
	leave     *time.Timer
}

// use calls f with a rehearsal, loaded if need be.
func (s *stage) use(f func(*loader.Rehearsal) error) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.rehearsal == nil {
		r, err := loader.NewRehearsal(s.maps)
		if err != nil {
			return fmt.Errorf("load the program to try packets out: %w", err)
		}
		s.rehearsal = r
	}
	if s.leave != nil {
		s.leave.Stop()
	}
	s.leave = time.AfterFunc(stageIdle, func() { _ = s.close() })
	return f(s.rehearsal)
}

// close unloads it, as after a while without use.
func (s *stage) close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.rehearsal != nil {
		s.rehearsal.Close()
		s.rehearsal = nil
	}
	return nil
}
