package loader

import (
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"math/bits"
	"os"
	"path/filepath"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/rlimit"
)

// Limits of a flow table's size, in entries. A NAT flow takes two.
const (
	FlowsMin = 1024
	FlowsMax = 1 << 26
)

const bucketSlots = 8 // BUCKET_SLOTS of bpf/abi.h

// Limits of a table of clients, in entries. A kernel keeps some of a smaller one free for each CPU.
const (
	ClientsMin = 1024
	ClientsMax = 1 << 24
)

// buckets rounds a number of entries up to a power of two of buckets.
func buckets(entries uint32) uint32 {
	entries = min(max(entries, FlowsMin), FlowsMax)
	return 1 << bits.Len32((entries-1)/bucketSlots)
}

// sizes are the entries of the maps whose size is the options' to say.
func (o *Options) sizes() map[string]uint32 {
	clients := func(n uint32) uint32 { return min(max(n, ClientsMin), ClientsMax) }
	return map[string]uint32{
		"flows4": buckets(o.FlowsV4), "flows6": buckets(o.FlowsV6),
		"sticks": clients(o.Sticks), "throttles": clients(o.Throttles),
	}
}

// Unpinned loads the program with tables of its own that end with the collection: for benchmarks. Of
// the options only the sizes count. The caller closes the collection.
func Unpinned(o Options) (*ebpf.Collection, error) {
	spec, err := Spec()
	if err != nil {
		return nil, err
	}
	hz, err := kernelHZ()
	if err != nil {
		return nil, err
	}
	meta := Meta{Schema: Schema, Hz: hz, Secret: newSecret()}
	for name, entries := range o.sizes() {
		spec.Maps[name].MaxEntries = entries
	}
	coll, err := load(spec, meta, nil)
	if err != nil {
		return nil, err
	}
	if err := describeTables(coll, meta); err != nil {
		coll.Close()
		return nil, err
	}
	return coll, nil
}

// create loads the program with new tables and pins these.
func create(dir string, o Options) (*ebpf.Collection, error) {
	coll, err := Unpinned(o)
	if err != nil {
		return nil, err
	}
	if err := pinMaps(dir, coll.Maps); err != nil {
		coll.Close()
		return nil, err
	}
	return coll, nil
}

// takeOver loads the program onto the tables that are pinned.
func takeOver(dir string) (*ebpf.Collection, error) {
	maps, err := OpenMaps(dir)
	if err != nil {
		return nil, err
	}
	defer CloseMaps(maps)
	meta, err := readMeta(maps.Meta)
	if err != nil {
		return nil, err
	}
	spec, err := Spec()
	if err != nil {
		return nil, err
	}
	replace := map[string]*ebpf.Map{}
	eachMap(maps, func(name string, field **ebpf.Map) error {
		spec.Maps[name].MaxEntries = (*field).MaxEntries()
		replace[name] = *field
		return nil
	})
	return load(spec, meta, replace)
}

// load sets the constants and loads the program onto new maps, or onto those given.
func load(spec *ebpf.CollectionSpec, meta Meta, replace map[string]*ebpf.Map) (*ebpf.Collection, error) {
	if err := setConstants(spec, meta); err != nil {
		return nil, err
	}
	return loadOnto(spec, replace)
}

// setConstants sets those that go with the tables.
func setConstants(spec *ebpf.CollectionSpec, meta Meta) error {
	constants := map[string]any{
		"hz":          meta.Hz,
		"secret0":     meta.Secret[0],
		"secret1":     meta.Secret[1],
		"secret2":     meta.Secret[2],
		"flows4_mask": spec.Maps["flows4"].MaxEntries - 1,
		"flows6_mask": spec.Maps["flows6"].MaxEntries - 1,
	}
	for name, value := range constants {
		if err := spec.Variables[name].Set(value); err != nil {
			return fmt.Errorf("set constant %s: %w", name, err)
		}
	}
	return nil
}

// loadOnto loads the program onto new maps, or onto those given.
func loadOnto(spec *ebpf.CollectionSpec, replace map[string]*ebpf.Map) (*ebpf.Collection, error) {
	if err := rlimit.RemoveMemlock(); err != nil {
		return nil, explain(fmt.Errorf("lift the limit of locked memory: %w", err))
	}
	coll, err := ebpf.NewCollectionWithOptions(spec, ebpf.CollectionOptions{MapReplacements: replace})
	var refused *ebpf.VerifierError
	if errors.As(err, &refused) {
		return nil, fmt.Errorf("load the program: kernel %s refuses it: %w", release(), err)
	}
	if err != nil {
		return nil, explain(fmt.Errorf("load the program: %w", err))
	}
	return coll, nil
}

// newSecret makes the hash's keys: odd, so that multiplying by them loses nothing.
func newSecret() (secret [3]uint64) {
	var b [24]byte
	rand.Read(b[:]) // never fails
	for i := range secret {
		secret[i] = binary.NativeEndian.Uint64(b[8*i:]) | 1
	}
	return secret
}

// describeTables writes what the tables were made with, and what time the program's clock shows now.
func describeTables(coll *ebpf.Collection, meta Meta) error {
	answer, err := runSweep(coll.Programs["sweep"], sweepFrame{Family: 4})
	if err != nil {
		return err
	}
	meta.Jiffies = answer.Jiffies
	if meta.MonotonicNs, err = monotonic(); err != nil {
		return err
	}
	if err := coll.Maps["meta"].Put(uint32(0), meta); err != nil {
		return fmt.Errorf("describe the tables: %w", err)
	}
	return nil
}

func tablesPinned(dir string) bool {
	_, err := os.Stat(filepath.Join(dir, mapsDir))
	return err == nil
}
