package maps

import (
	"fmt"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/rlimit"

	"github.com/headgate/headgate/loader"
)

// Scratch makes kernel maps of the layout and sizes of the real ones, pinned nowhere and with no
// program on them, and flow tables of so many buckets: for tests against the kernel. The caller
// closes the Kernel, and then the maps with loader.CloseMaps.
func Scratch(buckets uint32) (*Kernel, *loader.Maps, error) {
	spec, err := loader.Spec()
	if err != nil {
		return nil, nil, err
	}
	if err := rlimit.RemoveMemlock(); err != nil {
		return nil, nil, fmt.Errorf("lift the limit of locked memory: %w", err)
	}
	spec.Programs = nil
	spec.Maps["flows4"].MaxEntries, spec.Maps["flows6"].MaxEntries = buckets, buckets
	spec.Maps["sticks"].MaxEntries, spec.Maps["throttles"].MaxEntries = loader.ClientsMin, loader.ClientsMin
	coll, err := ebpf.NewCollection(spec)
	if err != nil {
		return nil, nil, fmt.Errorf("make maps: %w", err)
	}
	defer coll.Close()
	m := &loader.Maps{}
	if err := coll.Assign(m); err != nil {
		return nil, nil, fmt.Errorf("make maps: %w", err)
	}
	meta := fakeMeta()
	if err := m.Meta.Put(uint32(0), meta); err != nil {
		loader.CloseMaps(m)
		return nil, nil, fmt.Errorf("write map meta: %w", err)
	}
	k, err := NewKernel(m)
	if err != nil {
		loader.CloseMaps(m)
		return nil, nil, err
	}
	return k, m, nil
}
