package daemon

import (
	"context"
	"log/slog"
	"time"

	"github.com/headgate/headgate/pkg/events"
	"github.com/headgate/headgate/pkg/store"
)

// keepPause is the least between two writes of events. With two hundred changes a second the disk would else do a
// transaction for the events of each, and the changes wait for it.
const keepPause = 200 * time.Millisecond

// keeper puts events on the disk: at once what comes after a while, in one write what comes fast.
type keeper struct {
	book    *events.Log
	archive *store.Archive
	log     *slog.Logger
	kept    uint64 // Seq of the last one that is on the disk, or was given up
	failed  bool   // the last write; logged only when it changes
}

// run keeps events until the context ends, and then those that are left.
func (k *keeper) run(ctx context.Context) error {
	rested := time.NewTimer(0)
	defer rested.Stop()
	for {
		select {
		case <-ctx.Done():
			k.keep()
			return nil
		case <-rested.C:
		}
		changed := k.book.Changed()
		k.keep()
		rested.Reset(keepPause)
		select {
		case <-ctx.Done():
		case <-changed:
		}
	}
}

// keep writes what is not on the disk yet. What cannot be written is lost there, and only there: no
// traffic waits for it.
func (k *keeper) keep() {
	list := k.book.Read(events.Filter{After: k.kept}, 0)
	if len(list) == 0 {
		return
	}
	err := k.archive.Append(list)
	if failed := err != nil; failed != k.failed {
		k.failed = failed
		k.log.Log(context.Background(), level(failed), "keep events on the disk", "err", err)
	}
	k.kept = list[len(list)-1].Seq
}
