package loader

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
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
	array := s.old.Type() == ebpf.Array
	for entries := s.old.Iterate(); entries.Next(&oldKey, &oldValue); {
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

func newCarrier(dir string, old, new *ebpf.Map) (*carrier, error) {
	if err := removeCarrier(dir); err != nil {
		return nil, err
	}
	m, err := ebpf.NewMap(&ebpf.MapSpec{
		Name: countedPin, Type: ebpf.Array, KeySize: 4, ValueSize: 8, MaxEntries: old.MaxEntries(), Flags: unix.BPF_F_MMAPABLE,
	})
	if err != nil {
		return nil, explain(fmt.Errorf("make a map of what was counted: %w", err))
	}
	defer m.Close()
	if err := m.Pin(filepath.Join(dir, countedPin)); err != nil {
		return nil, fmt.Errorf("pin what was counted: %w", err)
	}
	c, err := mapCarrier(old, new, m)
	if err != nil {
		return nil, err
	}
	// The new table is nobody's yet, and what it got with its copy counts as carried.
	for id := range c.carried.entries {
		*c.carried.at(id) = *c.new.at(id)
	}
	return c, nil
}

func openCarrier(dir string, old, new *ebpf.Map) (*carrier, error) {
	m, err := ebpf.LoadPinnedMap(filepath.Join(dir, countedPin), nil)
	if err != nil {
		return nil, explain(fmt.Errorf("open what was counted: %w", err))
	}
	defer m.Close()
	return mapCarrier(old, new, m)
}

func removeCarrier(dir string) error {
	if err := os.Remove(filepath.Join(dir, countedPin)); err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("remove what was counted: %w", err)
	}
	return nil
}

func mapCarrier(old, new, counted *ebpf.Map) (c *carrier, err error) {
	c = &carrier{}
	defer func() {
		if err != nil {
			err = errors.Join(err, c.close())
		}
	}()
	if c.old, err = openColumn(old, "active"); err != nil {
		return nil, err
	}
	if c.new, err = openColumn(new, "active"); err != nil {
		return nil, err
	}
	c.carried, err = openColumn(counted, "")
	return c, err
}

// carry adds what the old program has counted since the last time. The sums are right again once it has run
// for the last packet; differences may be negative.
func (c *carrier) carry() error {
	for id := range min(c.old.entries, c.new.entries, c.carried.entries) {
		now, before := atomic.LoadUint64(c.old.at(id)), c.carried.at(id)
		if now != *before {
			atomic.AddUint64(c.new.at(id), now-*before)
			*before = now
		}
	}
	return nil
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

// openColumn maps an array into memory; the field is a 64-bit one of its struct, "" for an array of numbers.
func openColumn(m *ebpf.Map, field string) (*column, error) {
	c := &column{stride: (m.ValueSize() + 7) &^ 7, entries: m.MaxEntries()}
	if field != "" {
		types, err := typesOf(m)
		if err != nil {
			return nil, err
		}
		var s *btf.Struct
		if err := types.spec.TypeByName("node_live", &s); err != nil {
			return nil, fmt.Errorf("struct node_live: %w", err)
		}
		at := -1
		for _, member := range s.Members {
			if member.Name == field {
				at = int(member.Offset.Bytes())
			}
		}
		if at < 0 {
			return nil, fmt.Errorf("struct node_live has no %s", field)
		}
		c.offset = uint32(at)
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
func carryReasons(old map[string]*ebpf.Map, to *ebpf.Map) error {
	from, meta := old["reasons"], old["meta"]
	if from == nil || meta == nil {
		return nil
	}
	types, err := typesOf(meta)
	if err != nil {
		return err
	}
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
