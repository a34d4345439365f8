package lab

import (
	"fmt"
	"os"
	"path/filepath"
	"sync/atomic"
	"unsafe"

	"golang.org/x/sys/unix"
)

// firstPort is the lowest port that Ports hands out; all above it follow.
const firstPort = 1024

// Ports hands out UDP source ports, one after another, to all processes of a namespace. The kernel chooses at random
// among those that no socket has, so that every now and then a new socket has one of a socket that is closed. Whoever
// keeps state by addresses and ports, as a balancer does for minutes, takes both for the same client.
type Ports struct{ handedOut *atomic.Uint32 }

// PortsFile is where processes of the namespace share its Ports.
func (n *Namespace) PortsFile() string { return filepath.Join(n.lab.dir, "ports-"+n.name) }

// OpenPorts opens the Ports at PortsFile of a namespace, for as long as the process lives.
func OpenPorts(path string) (*Ports, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("ports: %w", err)
	}
	defer f.Close()
	size := int(unsafe.Sizeof(atomic.Uint32{}))
	if err := f.Truncate(int64(size)); err != nil { // others' count stays as it is
		return nil, fmt.Errorf("ports: %w", err)
	}
	shared, err := unix.Mmap(int(f.Fd()), 0, size, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	if err != nil {
		return nil, fmt.Errorf("ports: map %s: %w", path, err)
	}
	return &Ports{(*atomic.Uint32)(unsafe.Pointer(&shared[0]))}, nil
}

// Next is a port that nobody was given yet; after the last of all come the first again, in the same order.
func (p *Ports) Next() uint16 {
	return uint16(firstPort + (p.handedOut.Add(1)-1)%(1<<16-firstPort))
}
