// Package lab builds small networks on one machine: network namespaces joined by veth pairs, with
// addresses, routes and processes, for the demo and for the tests that send real traffic. It needs
// root and nothing else; no tool such as ip or ethtool.
//
// Whatever a lab made is removed by a guard, a process of its own that waits for the lab's end
// whatever that end is: Close, a panic, a test's time limit, Ctrl-C or kill -9.
package lab

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"

	"golang.org/x/sys/unix"
)

// Prefix starts the name of every namespace and directory that a lab makes.
const Prefix = "hg"

// idDigits is the number of random hexadecimal digits after Prefix in a lab's id.
const idDigits = 8

// Lab is a set of namespaces with what runs in them. Its methods may be called from any goroutine.
type Lab struct {
	id    string
	dir   string
	guard *guard

	mu         sync.Mutex
	namespaces map[string]*Namespace
	processes  []*Process
	closed     bool
}

// New makes an empty lab with a unique id. The caller ends it with Close. It fails without root, and
// in a program that did not call Main first.
func New() (*Lab, error) {
	if os.Geteuid() != 0 {
		return nil, errors.New("lab: network namespaces need root")
	}
	var random [idDigits / 2]byte
	if _, err := rand.Read(random[:]); err != nil {
		return nil, fmt.Errorf("lab: %w", err)
	}
	id := Prefix + hex.EncodeToString(random[:])
	dir := filepath.Join(os.TempDir(), id)
	if err := os.Mkdir(dir, 0o755); err != nil {
		return nil, fmt.Errorf("lab: %w", err)
	}
	g, err := startGuard(id, dir)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("lab: %w", err), os.Remove(dir))
	}
	return &Lab{id: id, dir: dir, guard: g, namespaces: map[string]*Namespace{}}, nil
}

// ID is the lab's own prefix of names.
func (l *Lab) ID() string { return l.id }

// Dir is a directory of the lab's own; it goes with the lab.
func (l *Lab) Dir() string { return l.dir }

// MountBPF mounts a bpffs of the lab's own at Dir()/bpf and returns that path. Pins in it vanish with
// the lab, and with them every map and every attachment that nothing else holds.
func (l *Lab) MountBPF() (string, error) {
	path := filepath.Join(l.dir, "bpf")
	if err := os.Mkdir(path, 0o755); err != nil {
		return "", fmt.Errorf("mount bpffs: %w", err)
	}
	if err := unix.Mount("bpf", path, "bpf", 0, "mode=0700"); err != nil {
		return "", fmt.Errorf("mount bpffs at %s: %w", path, err)
	}
	return path, nil
}

// Close ends everything that runs in the lab's namespaces and removes all that the lab made. Calling
// it again does nothing.
func (l *Lab) Close() error {
	l.mu.Lock()
	if l.closed {
		l.mu.Unlock()
		return nil
	}
	l.closed = true
	processes := l.processes
	for _, ns := range l.namespaces {
		ns.release()
	}
	l.mu.Unlock()

	err := l.guard.finish()
	for _, p := range processes {
		<-p.done
	}
	return err
}
