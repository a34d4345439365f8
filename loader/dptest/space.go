package dptest

import (
	"fmt"
	"os"
	"runtime"
	"sync/atomic"
	"testing"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// Interfaces of a Bed's network namespace. Packets arrive at Front unless a test says otherwise.
const (
	Front = 2 // ifindex
	Back  = 3
)

// frontQueues is how many queues each end of the pair has.
const frontQueues = 2

// space is a thread in a network namespace of its own, which ends with it. Program runs and
// redirection maps look interfaces up in the namespace of the thread that asks.
type space struct {
	work chan func()
	id   int // of the thread
}

func openSpace(tb testing.TB) *space {
	tb.Helper()
	s := &space{work: make(chan func())}
	ready := make(chan error)
	go s.serve(ready)
	if err := <-ready; err != nil {
		tb.Fatalf("network namespace for the data path's tests: %v", err)
	}
	return s
}

func (s *space) serve(ready chan<- error) {
	runtime.LockOSThread() // never unlocked: the thread and its namespace end with the goroutine
	s.id = unix.Gettid()
	err := s.enter()
	ready <- err
	if err != nil {
		return
	}
	for f := range s.work {
		f()
	}
}

func (s *space) enter() error {
	if err := pin(); err != nil {
		return err
	}
	if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
		return fmt.Errorf("unshare (needs root): %w", err)
	}
	h, err := netlink.NewHandle(unix.NETLINK_ROUTE)
	if err != nil {
		return fmt.Errorf("netlink: %w", err)
	}
	defer h.Close()
	pair := &netlink.Veth{LinkAttrs: netlink.LinkAttrs{Name: "hgfront", NumTxQueues: frontQueues, NumRxQueues: frontQueues}, PeerName: "hgback"}
	if err := h.LinkAdd(pair); err != nil {
		return fmt.Errorf("add veth pair: %w", err)
	}
	// The first interfaces of a new namespace have always these numbers, whichever end is first.
	for _, index := range []int{Front, Back} {
		if _, err := h.LinkByIndex(index); err != nil {
			return fmt.Errorf("interface %d of a veth pair: %w", index, err)
		}
	}
	return nil
}

// pinned counts the threads that have been given a CPU.
var pinned atomic.Uint32

// pin keeps the thread on one CPU, so that what a test sets for each CPU is what its packets meet; another one than
// the thread before.
func pin() error {
	cpus, err := allowedCPUs()
	if err != nil {
		return err
	}
	return stayOn(cpus[int(pinned.Add(1))%len(cpus)])
}

// close ends it.
func (s *space) close() { close(s.work) }

// do runs f in the namespace and waits for it.
func (s *space) do(f func()) {
	done := make(chan struct{})
	s.work <- func() { defer close(done); f() }
	<-done
}

// join brings the calling thread, which is locked to its goroutine, into the namespace.
func (s *space) join() error {
	namespace, err := os.Open(fmt.Sprintf("/proc/self/task/%d/ns/net", s.id))
	if err != nil {
		return fmt.Errorf("the namespace of the data path's tests: %w", err)
	}
	defer namespace.Close()
	if err := unix.Setns(int(namespace.Fd()), unix.CLONE_NEWNET); err != nil {
		return fmt.Errorf("join the namespace of the data path's tests: %w", err)
	}
	return nil
}
