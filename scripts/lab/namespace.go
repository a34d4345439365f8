package lab

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"
)

// Namespace is a network namespace of a lab. It is named under /run/netns, so that
// `nsenter --net=PATH` finds it while the lab lives.
type Namespace struct {
	lab  *Lab
	name string // without the lab's id
	fd   netns.NsHandle
	nl   *netlink.Handle
}

// Namespace makes a network namespace with its loopback up.
func (l *Lab) Namespace(name string) (*Namespace, error) {
	fd, err := newNamed(l.id + "-" + name)
	if err != nil {
		return nil, fmt.Errorf("namespace %s: %w", name, err)
	}
	nl, err := netlink.NewHandleAt(fd, unix.NETLINK_ROUTE)
	if err != nil {
		return nil, fmt.Errorf("namespace %s: netlink: %w", name, err)
	}
	ns := &Namespace{lab: l, name: name, fd: fd, nl: nl}
	l.mu.Lock()
	l.namespaces[name] = ns
	l.mu.Unlock()
	return ns, ns.LinkUp("lo")
}

// Name is the namespace's name within its lab.
func (n *Namespace) Name() string { return n.name }

// Path is the file that nsenter takes.
func (n *Namespace) Path() string { return filepath.Join(netnsDir, n.lab.id+"-"+n.name) }

// release gives back the file descriptors. Files of the namespace itself are the guard's.
func (n *Namespace) release() {
	n.nl.Close()
	n.fd.Close()
}

// newNamed makes a namespace without leaving the caller's own.
func newNamed(name string) (netns.NsHandle, error) {
	var fd netns.NsHandle
	err := onThread(func() (err error) {
		fd, err = netns.NewNamed(name)
		return err
	})
	return fd, err
}

// Do runs fn in the namespace: sockets that it opens, files of /proc/sys/net and /sys/class/net that
// it reads, and processes that it starts belong there. Goroutines that fn starts do not. Mounts stay
// visible as they are, unlike under `ip netns exec`.
func (n *Namespace) Do(fn func() error) error {
	return onThread(func() error {
		if err := netns.Set(n.fd); err != nil {
			return fmt.Errorf("enter namespace %s: %w", n.name, err)
		}
		return fn()
	})
}

// onThread runs fn, which may change its thread's namespace, in a goroutine bound to its own thread.
// A thread that cannot return to where it came from is ended instead of being used again.
func onThread(fn func() error) error {
	done := make(chan error, 1)
	go func() {
		runtime.LockOSThread()
		home, err := netns.Get()
		if err != nil {
			done <- err
			return
		}
		defer home.Close()
		err = fn()
		if netns.Set(home) == nil {
			runtime.UnlockOSThread()
		}
		done <- err
	}()
	return <-done
}

// Sysctl sets a value in /proc/sys, for example "net/ipv4/ip_forward".
func (n *Namespace) Sysctl(key, value string) error {
	return n.Do(func() error {
		path := filepath.Join("/proc/sys", key)
		if err := os.WriteFile(path, []byte(value), 0o644); err != nil {
			return fmt.Errorf("%s: %w", n.name, err)
		}
		return nil
	})
}

// Counter reads a figure of the kernel's protocol statistics, for example "TcpExt", "TCPTimeouts" or
// "Tcp", "InCsumErrors".
func (n *Namespace) Counter(group, name string) (uint64, error) {
	var value uint64
	err := n.Do(func() error {
		for _, path := range []string{"/proc/thread-self/net/snmp", "/proc/thread-self/net/netstat"} {
			data, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			if v, ok := findCounter(string(data), group, name); ok {
				value = v
				return nil
			}
		}
		return fmt.Errorf("no counter %s %s", group, name)
	})
	return value, err
}

// findCounter looks into text of two lines per group: names, then values.
func findCounter(text, group, name string) (uint64, bool) {
	var names []string
	for line := range strings.Lines(text) {
		fields := strings.Fields(line)
		if len(fields) == 0 || fields[0] != group+":" {
			continue
		}
		if names == nil {
			names = fields
			continue
		}
		for i, have := range names {
			if have == name && i < len(fields) {
				var v uint64
				_, err := fmt.Sscan(fields[i], &v)
				return v, err == nil
			}
		}
	}
	return 0, false
}
