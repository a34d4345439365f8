package daemon

import (
	"context"
	"iter"

	"github.com/headgate/headgate/pkg/api"
	"github.com/headgate/headgate/pkg/events"
)

// Events implements api.Eventful.
func (b *backend) Events(ctx context.Context, q api.EventQuery) iter.Seq2[events.Event, error] {
	q.Config, q.Node = b.named(q.Config, q.Node)
	q.Node = b.labelled(q.Node)
	return read(ctx, b.d.says.book, q)
}

// read yields what the book has of the query, and follows it if asked.
func read(ctx context.Context, book *events.Log, q api.EventQuery) iter.Seq2[events.Event, error] {
	return func(yield func(events.Event, error) bool) {
		for limit := q.Limit; ; limit = 0 {
			changed, last := book.Changed(), book.Last()
			for _, e := range book.Read(q.Filter, limit) {
				if !yield(e, nil) {
					return
				}
				last = max(last, e.Seq)
			}
			if !q.Follow {
				return
			}
			q.After = last
			select {
			case <-ctx.Done():
				return
			case <-changed:
			}
		}
	}
}
