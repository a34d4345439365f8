package loader

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sync/atomic"
	"time"
	"unsafe"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/btf"
	"golang.org/x/sys/unix"
)

// fill fills a new map with what the old one holds, field by field.
func (s *succession) fill(to *ebpf.Map) error {
	oldKey, oldValue := make([]byte, s.old.KeySize()), make([]byte, s.old.ValueSize())
	key, value := make([]byte, s.keySize), make([]byte, s.size)
	array, entries := s.old.Type() == ebpf.Array, s.old.Iterate()
	for entries.Next(&oldKey, &oldValue) {
		clear(value)
		apply(s.keys, oldKey, key)
		apply(s.values, oldValue, value)
		if array && isZero(value) {
			continue // as a new array is
		}
		if err := to.Put(key, value); err != nil {
			return fmt.Errorf("fill map %s: %w", s.name, err)
		}
	}
	if err := entries.Err(); err != nil && !errors.Is(err, ebpf.ErrIterationAborted) { // which is for clients that come and go
		return fmt.Errorf("fill map %s: read the old one: %w", s.name, err)
	}
	return nil
}

func isZero(b []byte) bool {
	for _, x := range b {
		if x != 0 {
			return false
		}
	}
	return true
}

// carrier brings over how many flows nodes have, which both programs count until the last link is switched:
// each in its own table. What was carried is pinned, so that it is known after an interruption, too.
type carrier struct {
	old, new, carried *column
}

// countedPin is where what was carried lies, beside the tables.
const countedPin = "counted"

func newCarrier(u *upgrade, new *ebpf.Map) (*carrier, error) {
	if err := removeCarrier(u.dir); err != nil {
		return nil, err
	}
	m, err := ebpf.NewMap(&ebpf.MapSpec{
		Name: countedPin, Type: ebpf.Array, KeySize: 4, ValueSize: 8, MaxEntries: u.old["nodes_live"].MaxEntries(), Flags: unix.BPF_F_MMAPABLE,
	})
	if err != nil {
		return nil, explain(fmt.Errorf("make a map of what was counted: %w", err))
	}
	defer m.Close()
	if err := m.Pin(filepath.Join(u.dir, countedPin)); err != nil {
		return nil, fmt.Errorf("pin what was counted: %w", err)
	}
	c, err := mapCarrier(u, new, m)
	if err != nil {
		return nil, err
	}
	// The new table is nobody's yet, and what it got with its copy counts as carried.
	for id := range c.carried.entries {
		*c.carried.at(id) = *c.new.at(id)
	}
	return c, nil
}

func openCarrier(u *upgrade, new *ebpf.Map) (*carrier, error) {
	m, err := ebpf.LoadPinnedMap(filepath.Join(u.dir, countedPin), nil)
	if err != nil {
		return nil, explain(fmt.Errorf("open what was counted: %w", err))
	}
	defer m.Close()
	return mapCarrier(u, new, m)
}

func removeCarrier(dir string) error {
	if err := os.Remove(filepath.Join(dir, countedPin)); err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("remove what was counted: %w", err)
	}
	return nil
}

func mapCarrier(u *upgrade, new, counted *ebpf.Map) (c *carrier, err error) {
	c = &carrier{}
	spec, err := Spec()
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, c.close())
		}
	}()
	if c.old, err = openColumn(u.old["nodes_live"], u.types.spec); err != nil {
		return nil, err
	}
	if c.new, err = openColumn(new, spec.Types); err != nil {
		return nil, err
	}
	c.carried, err = openColumn(counted, nil)
	return c, err
}

// carry adds what the old program has counted since the last time. The sums are right again once it has run
// for the last packet; differences may be negative.
func (c *carrier) carry() {
	for id := range min(c.old.entries, c.new.entries, c.carried.entries) {
		now, before := atomic.LoadUint64(c.old.at(id)), c.carried.at(id)
		if now != *before {
			atomic.AddUint64(c.new.at(id), now-*before)
			*before = now
		}
	}
}

func (c *carrier) close() (err error) {
	for _, column := range []*column{c.old, c.new, c.carried} {
		if column != nil {
			err = errors.Join(err, unix.Munmap(column.memory))
		}
	}
	return err
}

// column is one number of each entry of an array, in memory.
type column struct {
	memory         []byte
	stride, offset uint32
	entries        uint32
}

// openColumn maps what nodes count into memory: active of struct node_live, or an array of numbers if there are no
// types.
func openColumn(m *ebpf.Map, types *btf.Spec) (*column, error) {
	c := &column{stride: (m.ValueSize() + 7) &^ 7, entries: m.MaxEntries()}
	if types != nil {
		var live *btf.Struct
		if err := types.TypeByName("node_live", &live); err != nil {
			return nil, fmt.Errorf("struct node_live: %w", err)
		}
		i := slices.IndexFunc(live.Members, func(m btf.Member) bool { return m.Name == "active" })
		if i < 0 {
			return nil, errors.New("struct node_live has no active")
		}
		c.offset = live.Members[i].Offset.Bytes()
	}
	page := unix.Getpagesize()
	size := (int(c.entries*c.stride) + page - 1) &^ (page - 1)
	var err error
	if c.memory, err = unix.Mmap(m.FD(), 0, size, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED); err != nil {
		return nil, fmt.Errorf("map what nodes count into memory: %w", err)
	}
	return c, nil
}

func (c *column) at(id uint32) *uint64 {
	return (*uint64)(unsafe.Pointer(&c.memory[id*c.stride+c.offset]))
}

// carryReasons gives the new program's counters of packets what the old one's have. Their numbers are
// those of enum reason, which a layout may have changed: they are matched by name.
func carryReasons(from *ebpf.Map, types oldTypes, to *ebpf.Map) error {
	before, err := reasonsOf(types.spec)
	if err != nil {
		return err
	}
	var perCPU []Reasons
	if err := from.Lookup(uint32(0), &perCPU); err != nil {
		return fmt.Errorf("read the counters of packets: %w", err)
	}
	carried := make([]Reasons, len(perCPU))
	number := map[string]int{}
	for i, name := range ReasonNames() {
		number[name] = i
	}
	for i, name := range before {
		at, known := number[name]
		if !known {
			continue
		}
		for cpu := range perCPU {
			carried[cpu].Packets[at] = perCPU[cpu].Packets[i]
		}
	}
	if err := to.Put(uint32(0), carried); err != nil {
		return fmt.Errorf("carry the counters of packets over: %w", err)
	}
	return nil
}

// awaitPackets returns when no packet is under way in a program that it entered before.
func awaitPackets() {
	const global = 1 // MEMBARRIER_CMD_GLOBAL, which waits for an RCU grace period
	if _, _, errno := unix.Syscall(unix.SYS_MEMBARRIER, global, 0, 0); errno != 0 {
		// Not with nohz_full. Packets take microseconds.
		time.Sleep(50 * time.Millisecond)
	}
}
