package daemon

import (
	"context"
	"errors"
	"fmt"
	"sync"
)

// group runs the parts of the daemon, each in its own goroutine. The first that fails ends all.
type group struct {
	ctx    context.Context
	cancel context.CancelCauseFunc
	wg     sync.WaitGroup
}

func newGroup(ctx context.Context) *group {
	g := &group{}
	g.ctx, g.cancel = context.WithCancelCause(ctx)
	return g
}

// run starts a part. It must return once the group's context ends; what it returns then is no
// failure, what it returns before is.
func (g *group) run(name string, part func(context.Context) error) {
	g.wg.Go(func() {
		err := part(g.ctx)
		if g.ctx.Err() != nil {
			return
		}
		if err == nil {
			err = errors.New("ended by itself")
		}
		g.cancel(fmt.Errorf("%s: %w", name, err))
	})
}

// stop ends all parts and waits until they have ended. It returns the failure that ended them, or
// nil when it was the context that the group was made with, or stop itself.
func (g *group) stop() error {
	g.cancel(nil)
	g.wg.Wait()
	if cause := context.Cause(g.ctx); !errors.Is(cause, context.Canceled) && !errors.Is(cause, context.DeadlineExceeded) {
		return cause
	}
	return nil
}
