package peer

import (
	"maps"
	"math/rand/v2"
	"net/netip"
	"sync"
	"time"

	"github.com/headgate/headgate/scripts/lab"
)

// engine runs the workers of a load and keeps their account.
type engine struct {
	load    Load
	ports   *lab.Ports
	quit    chan struct{}
	pulses  []chan *sync.WaitGroup // one per worker
	workers sync.WaitGroup

	mu      sync.Mutex
	account Report
}

func newEngine(load Load, ports *lab.Ports) *engine {
	if load.Timeout == 0 {
		load.Timeout = 5 * time.Second
	}
	if load.Path == "" {
		load.Path = "/"
	}
	return &engine{
		load:    load,
		ports:   ports,
		quit:    make(chan struct{}),
		account: Report{Nodes: map[string]int{}, Failures: map[string]int{}, Sources: map[netip.Addr]string{}},
	}
}

func (e *engine) start() {
	for i := range e.load.Workers {
		load := e.load
		if n := len(load.Sources); n > 0 {
			load.Source = load.Sources[i%n]
		}
		pulse := make(chan *sync.WaitGroup, 1)
		e.pulses = append(e.pulses, pulse)
		e.workers.Go(func() { e.work(load, pulse) })
	}
}

// pulse makes every worker do one exchange and waits for all.
func (e *engine) pulse() {
	var all sync.WaitGroup
	all.Add(len(e.pulses))
	for _, p := range e.pulses {
		p <- &all
	}
	all.Wait()
}

// wait returns when every worker has made its count.
func (e *engine) wait() { e.workers.Wait() }

// stop lets the exchanges that run come to their end.
func (e *engine) stop() {
	close(e.quit)
	e.workers.Wait()
}

func (e *engine) report() Report {
	e.mu.Lock()
	defer e.mu.Unlock()
	r := e.account
	r.Nodes, r.Failures, r.Sources = maps.Clone(r.Nodes), maps.Clone(r.Failures), maps.Clone(r.Sources)
	return r
}

// worker makes exchanges from one address.
type worker struct {
	exchanger
	source netip.Addr
}

// work is one worker's life: with a count or an interval it goes by itself, otherwise by pulses.
func (e *engine) work(load Load, pulse <-chan *sync.WaitGroup) {
	x := worker{newExchanger(load, e.ports, e.opened), load.Source}
	defer x.close()
	switch {
	case e.load.Count > 0:
		e.workCount(x)
	case e.load.Interval > 0:
		e.workInterval(x, pulse)
	default:
		for {
			select {
			case all := <-pulse:
				e.exchange(x)
				all.Done()
			case <-e.quit:
				return
			}
		}
	}
}

func (e *engine) workCount(x worker) {
	for range e.load.Count {
		e.exchange(x)
		select {
		case <-time.After(e.load.Interval):
		case <-e.quit:
			return
		}
	}
}

func (e *engine) workInterval(x worker, pulse <-chan *sync.WaitGroup) {
	// Workers start spread over the interval, or they would all knock at once again and again.
	next := time.NewTimer(rand.N(e.load.Interval))
	defer next.Stop()
	for {
		select {
		case <-next.C:
			next.Reset(e.load.Interval)
			e.exchange(x)
		case all := <-pulse:
			e.exchange(x)
			all.Done()
		case <-e.quit:
			return
		}
	}
}

// exchange makes one exchange and writes it down.
func (e *engine) exchange(x worker) {
	begin := time.Now()
	node, err := x.exchange()
	took := time.Since(begin)
	e.mu.Lock()
	defer e.mu.Unlock()
	if err != nil {
		e.account.Failed++
		e.account.Failures[kind(err)]++
		if begin.After(e.account.LastFailure) {
			e.account.LastFailure = begin
		}
		return
	}
	e.account.Done++
	e.account.Nodes[node]++
	if len(e.load.Sources) > 0 {
		e.account.Sources[x.source] = node
	}
	e.account.Slowest = max(e.account.Slowest, took)
}

// opened counts connections as they come (1) and go (-1).
func (e *engine) opened(change int) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.account.Open += change
}
