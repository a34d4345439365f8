package daemon

import (
	"context"
	"log/slog"
	"time"
)

const (
	sweepRounds   = 4 // visits in which the whole table is seen
	sweepInterval = time.Second
	sweepChunk    = 1024 // buckets a call: one call holds its CPU until it returns
)

// table is a flow table to sweep.
type table struct {
	family  int // 4 or 6
	buckets uint32
	next    uint32 // bucket to go on at
}

// sweeper closes the flows that have expired, a slice of each table a second, so that counts stay
// true although nobody asks for those flows any more.
type sweeper struct {
	tables []table
	sweep  func(family int, first, count uint32) (removed uint32, err error) // runs round at the end
	log    *slog.Logger
	failed bool // the last visit; logged only when it changes
}

// run visits until the context ends.
func (s *sweeper) run(ctx context.Context) error {
	tick := time.NewTicker(sweepInterval)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
			err := s.visit()
			if failed := err != nil; failed != s.failed {
				s.failed = failed
				s.log.Log(ctx, level(failed), "sweep of the flow table", "err", err)
			}
		}
	}
}

func level(failed bool) slog.Level {
	if failed {
		return slog.LevelWarn
	}
	return slog.LevelInfo
}

// visit sweeps the next slice of each table. A slice that fails is tried again by the next visit.
func (s *sweeper) visit() error {
	removed := uint32(0)
	for i := range s.tables {
		t := &s.tables[i]
		slice := (t.buckets + sweepRounds - 1) / sweepRounds
		n, err := s.sweep(t.family, t.next, slice)
		removed += n
		if err != nil {
			return err
		}
		t.next = (t.next + slice) % t.buckets
	}
	if removed > 0 {
		s.log.Debug("closed expired flows", "flows", removed)
	}
	return nil
}
