package maps

import (
	"errors"
	"fmt"
	"time"
	"unsafe"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"

	"github.com/headgate/headgate/loader"
)

// Kernel is Tables over the maps of the kernel, which it has in its memory as far as they can be.
type Kernel struct {
	*store
	mapped [][]byte
}

// NewKernel maps the maps of a loader. They must stay open until Close.
func NewKernel(m *loader.Maps) (*Kernel, error) {
	k := &Kernel{store: &store{outside: &kernelOutside{maps: m}}}
	k.timeline = newTimeline(time.Now)
	if err := k.mapAll(m); err != nil {
		return nil, errors.Join(err, k.Close())
	}
	if err := m.Meta.Lookup(uint32(0), &k.meta); err != nil {
		return nil, errors.Join(fmt.Errorf("read map meta: %w", err), k.Close())
	}
	if k.meta.Hz == 0 {
		return nil, errors.Join(errors.New("map meta: the tables were never made ready"), k.Close())
	}
	return k, nil
}

// Reader returns a Reader of the same maps. It must not be used after the Kernel was closed.
func (k *Kernel) Reader() *Reader { return &Reader{store: k.store, clock: monotonic} }

// Close unmaps the maps. Nothing may use the Kernel or its Readers any more.
func (k *Kernel) Close() error {
	var errs []error
	for _, b := range k.mapped {
		errs = append(errs, unix.Munmap(b))
	}
	k.mapped, k.memory = nil, memory{meta: k.meta, timeline: k.timeline}
	return errors.Join(errs...)
}

// mapAll maps every array; those that only programs write are mapped for reading only.
func (k *Kernel) mapAll(m *loader.Maps) (err error) {
	const read, write = unix.PROT_READ, unix.PROT_READ | unix.PROT_WRITE
	mapped(k, &k.flows4, "flows4", m.Flows4, read, &err)
	mapped(k, &k.flows6, "flows6", m.Flows6, read, &err)
	mapped(k, &k.services, "services", m.Services, write, &err)
	mapped(k, &k.servicesLive, "services_live", m.ServicesLive, read, &err)
	mapped(k, &k.servicesInfo, "services_info", m.ServicesInfo, write, &err)
	mapped(k, &k.slots, "slots", m.Slots, write, &err)
	mapped(k, &k.nodes, "nodes", m.Nodes, write, &err)
	mapped(k, &k.nodesLive, "nodes_live", m.NodesLive, write, &err)
	mapped(k, &k.nodesTrouble, "nodes_trouble", m.NodesTrouble, write, &err)
	mapped(k, &k.nodesInfo, "nodes_info", m.NodesInfo, write, &err)
	mapped(k, &k.snats, "snats", m.Snats, write, &err)
	mapped(k, &k.ours, "ours", m.Ours, write, &err)
	mapped(k, &k.links, "links", m.Links, write, &err)
	mapped(k, &k.tags, "tags", m.Tags, write, &err)
	return err
}

// mapped maps an array as a slice of its entries; it does nothing after an error.
func mapped[T any](k *Kernel, to *[]T, name string, m *ebpf.Map, protection int, failed *error) {
	if *failed != nil {
		return
	}
	var one T
	// The kernel keeps entries of an array 8 bytes apart, at least (array_map_alloc).
	stride := (int(m.ValueSize()) + 7) &^ 7
	if stride != int(unsafe.Sizeof(one)) {
		*failed = fmt.Errorf("map %s: entries of %d bytes, this build knows %d: it belongs to another version", name, stride, unsafe.Sizeof(one))
		return
	}
	page := unix.Getpagesize()
	size := (int(m.MaxEntries())*stride + page - 1) &^ (page - 1)
	b, err := unix.Mmap(m.FD(), 0, size, protection, unix.MAP_SHARED)
	if err != nil {
		*failed = fmt.Errorf("map %s into memory (%d bytes): %w", name, size, err)
		return
	}
	k.mapped = append(k.mapped, b)
	*to = unsafe.Slice((*T)(unsafe.Pointer(unsafe.SliceData(b))), m.MaxEntries())
}

var _ Tables = (*Kernel)(nil)
