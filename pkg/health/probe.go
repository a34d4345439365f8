package health

import (
	"container/heap"
	"context"
	"math/rand/v2"
	"net/netip"
	"sync/atomic"
	"time"

	"github.com/headgate/headgate/pkg/lb"
)

// fastest is how often a node in transition is checked, unless its interval is shorter still.
const fastest = time.Second

// minInterval keeps a Check that nobody validated from using up a CPU; people may say 100 ms and more.
const minInterval = 10 * time.Millisecond

// method is a way to check, prepared. Probes that check alike share one.
type method struct {
	lb.Check // its essence
	probe    prober
}

// probeKey tells probes apart. Nodes of several configs that are checked in the same way share one.
type probeKey struct {
	addr netip.AddrPort // where to connect
	how  *method        // the loop's only one of that check
}

// bounded is a check with numbers that can be worked with, whatever was asked for.
func bounded(c lb.Check) lb.Check {
	c.Interval = max(c.Interval, minInterval)
	if c.Timeout <= 0 || c.Timeout > c.Interval {
		c.Timeout = c.Interval
	}
	c.Attempts, c.Rise = max(c.Attempts, 1), max(c.Rise, 1)
	return c
}

// probe is the checking of one key. The Manager's goroutine owns it, but for what others may read.
type probe struct {
	key     probeKey
	machine machine
	due     time.Time // of the next check
	started time.Time // of the running check, or the last one
	place   int       // in the queue; noPlace when not in it
	cancel  context.CancelFunc
	running bool
	stopped bool // nobody wants its result any more
	spread  bool // its checks were moved away from those that began with it

	published atomic.Pointer[machine]
	history   history
}

const noPlace = -1

func (p *probe) publish() {
	m := p.machine
	p.published.Store(&m)
}

// wait is the time from the start of one check to the next: the interval less a random tenth, which is
// ±5 % around its mean. It is never longer than the interval, so that a node that fails is known DOWN
// within that.
func (p *probe) wait() time.Duration {
	d := p.key.how.Interval
	if p.machine.inTransition() {
		d = min(d, fastest)
	} else if !p.spread {
		// Probes that began together are spread over the interval, once.
		p.spread = true
		return time.Duration(rand.Int64N(int64(d)))
	}
	return d - time.Duration(rand.Int64N(int64(d)/10+1))
}

// queue is the probes that wait, by due time; a heap as container/heap has it.
type queue []*probe

func (q queue) Len() int           { return len(q) }
func (q queue) Less(i, j int) bool { return q[i].due.Before(q[j].due) }
func (q queue) Swap(i, j int) {
	q[i], q[j] = q[j], q[i]
	q[i].place, q[j].place = i, j
}

// Push is for container/heap; use put.
func (q *queue) Push(x any) {
	p := x.(*probe)
	p.place = len(*q)
	*q = append(*q, p)
}

// Pop is for container/heap; use take.
func (q *queue) Pop() any {
	last := len(*q) - 1
	p := (*q)[last]
	(*q)[last] = nil
	*q = (*q)[:last]
	p.place = noPlace
	return p
}

func (q *queue) put(p *probe)  { heap.Push(q, p) }
func (q *queue) take() *probe  { return heap.Pop(q).(*probe) }
func (q queue) first() *probe  { return q[0] }
func (q *queue) drop(p *probe) { heap.Remove(q, p.place) }
