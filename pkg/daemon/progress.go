package daemon

import (
	"context"
	"sync"

	"github.com/headgate/headgate/pkg/api"
)

// progress is how far the data path is behind what is desired.
type progress struct {
	mu      sync.Mutex
	gens    api.Generations
	changed chan struct{} // closed, and replaced, when Applied goes up
}

func newProgress() *progress { return &progress{changed: make(chan struct{})} }

// desired says that a change made this generation. Changes may report out of order.
func (p *progress) desired(generation uint64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.gens.Desired = max(p.gens.Desired, generation)
}

// applied says that the data path runs this generation.
func (p *progress) applied(generation uint64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.gens.Desired = max(p.gens.Desired, generation)
	if generation > p.gens.Applied {
		p.gens.Applied = generation
		close(p.changed)
		p.changed = make(chan struct{})
	}
}

func (p *progress) now() api.Generations {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.gens
}

// wait returns once the data path runs that generation or a newer one, or the context ends.
func (p *progress) wait(ctx context.Context, generation uint64) error {
	for {
		p.mu.Lock()
		done, changed := p.gens.Applied >= generation, p.changed
		p.mu.Unlock()
		if done {
			return nil
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-changed:
		}
	}
}
