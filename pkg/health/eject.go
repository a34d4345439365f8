package health

import (
	"fmt"
	"maps"
	"sync"
	"time"

	"github.com/headgate/headgate/pkg/lb"
)

// How nodes that nobody checks are judged by their traffic.
const (
	// EjectAfter is how many connections in a row a node fails before it is ejected.
	EjectAfter = 3
	// An ejection lasts so long, and the next one twice as long, until there was none for ejectForget.
	ejectFirst  = 10 * time.Second
	ejectMost   = 5 * time.Minute
	ejectForget = 5 * time.Minute
)

// Failure is a connection of a client that a node has failed, as the data path saw it.
type Failure struct {
	Key    lb.NodeKey
	How    string // it failed: refused, unanswered, unreachable
	InARow int    // connections that the node has failed since it took one, with this one
	At     time.Time
}

// String gives "3 connections in a row failed, the last was refused".
func (f Failure) String() string {
	return fmt.Sprintf("%d connections in a row failed, the last %s", f.InARow, HowFailed(f.How))
}

// HowFailed says in words how a connection failed.
func HowFailed(how string) string {
	if how == "unreachable" {
		return "did not reach the node"
	}
	return "was " + how // refused, unanswered
}

// Ejection is a node taken for DOWN for a while, because it failed clients' connections.
type Ejection struct {
	Since, Until time.Time
	Times        int // ejections that followed each other, with this one
	Failure      Failure
}

// Reason says in words why there is one.
func (e Ejection) Reason() string {
	return fmt.Sprintf("ejected for %s: %s", lb.FormatDuration(e.Until.Sub(e.Since)), e.Failure)
}

// Ejector ejects nodes that nobody checks. Its methods may be called concurrently.
type Ejector struct {
	changes chan struct{}

	mu    sync.Mutex
	nodes map[lb.NodeKey]Ejection // the last one of each, until it is forgotten
	total uint64
}

// NewEjector makes one that has ejected nobody.
func NewEjector() *Ejector {
	return &Ejector{changes: make(chan struct{}, 1), nodes: map[lb.NodeKey]Ejection{}}
}

// Fail takes a failure of a node that nobody checks.
func (e *Ejector) Fail(f Failure) {
	e.mu.Lock()
	defer e.mu.Unlock()
	last := e.nodes[f.Key]
	if f.InARow < EjectAfter || f.At.Before(last.Until) {
		return
	}
	next := Ejection{Since: f.At, Times: 1, Failure: f}
	if f.At.Sub(last.Until) < ejectForget {
		next.Times += last.Times
	}
	length := ejectFirst
	for range next.Times - 1 {
		if length = min(2*length, ejectMost); length == ejectMost {
			break
		}
	}
	next.Until = f.At.Add(length)
	e.nodes[f.Key] = next
	e.total++
	signal(e.changes)
}

// End ends the ejection of a node that takes connections after all.
func (e *Ejector) End(key lb.NodeKey, now time.Time) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if last := e.nodes[key]; now.Before(last.Until) {
		last.Until = now
		e.nodes[key] = last
		signal(e.changes)
	}
}

// Changes has an element when there is another ejection, or one ended before its time.
func (e *Ejector) Changes() <-chan struct{} { return e.changes }

// Ejections are those of that moment. The map belongs to the caller. Those that were long ago are forgotten.
func (e *Ejector) Ejections(now time.Time) map[lb.NodeKey]Ejection {
	e.mu.Lock()
	defer e.mu.Unlock()
	maps.DeleteFunc(e.nodes, func(_ lb.NodeKey, last Ejection) bool { return now.Sub(last.Until) >= ejectForget })
	out := map[lb.NodeKey]Ejection{}
	for key, last := range e.nodes {
		if now.Before(last.Until) {
			out[key] = last
		}
	}
	return out
}

// Total is how many ejections there were.
func (e *Ejector) Total() uint64 {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.total
}
