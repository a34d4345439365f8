package daemon

import (
	"context"
	"log/slog"

	"github.com/headgate/headgate/pkg/events"
	"github.com/headgate/headgate/pkg/store"
)

// keeper puts events on the disk as they come, many in one write when they come fast.
type keeper struct {
	book    *events.Log
	archive *store.Archive
	log     *slog.Logger
	kept    uint64 // Seq of the last one that is on the disk, or was given up
	failed  bool   // the last write; logged only when it changes
}

// run keeps events until the context ends, and then those that are left.
func (k *keeper) run(ctx context.Context) error {
	for {
		changed := k.book.Changed()
		k.keep()
		select {
		case <-ctx.Done():
			k.keep()
			return nil
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
