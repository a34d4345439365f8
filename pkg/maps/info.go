package maps

import (
	"fmt"
	"iter"
	"slices"
)

// MapInfo describes a map for people.
type MapInfo struct {
	Name    string
	What    string // it holds, and who writes it
	Entries uint64 // there is room for
	Used    uint64
	Bytes   uint64 // of memory, all CPUs together
}

// Entry is one entry of a map in use, decoded for people.
type Entry struct {
	Key   string
	Value string
}

// table is what the Reader knows of one map.
type table struct {
	name, what string
	entries    uint64
	stride     uint64 // bytes an entry, where the kernel does not tell the memory
	dump       func(yield func(Entry, error) bool)
}

// Memory is how many bytes each map takes, all CPUs together.
func (r *Reader) Memory() (map[string]uint64, error) {
	known, err := r.sizes()
	if err != nil {
		return nil, err
	}
	out := map[string]uint64{}
	for _, t := range r.tables() {
		out[t.name] = t.entries * t.stride
		if bytes, ok := known[t.name]; ok {
			out[t.name] = bytes
		}
	}
	return out, nil
}

// Maps describes all maps, in the order of bpf/maps.h. It walks them to count what is in use.
func (r *Reader) Maps() ([]MapInfo, error) {
	memory, err := r.Memory()
	if err != nil {
		return nil, err
	}
	var out []MapInfo
	for _, t := range r.tables() {
		info := MapInfo{Name: t.name, What: t.what, Entries: t.entries, Bytes: memory[t.name]}
		used, err := r.used(t)
		if err != nil {
			return nil, err
		}
		info.Used = used
		out = append(out, info)
	}
	return out, nil
}

// Dump yields the entries in use of a map. After an error it yields nothing more. A name that no
// map has is an error that lists those that there are.
func (r *Reader) Dump(name string) (iter.Seq2[Entry, error], error) {
	tables := r.tables()
	var names []string
	for _, t := range tables {
		if t.name == name {
			return t.dump, nil
		}
		names = append(names, t.name)
	}
	slices.Sort(names)
	return nil, fmt.Errorf("map %s: no such map (have: %v)", name, names)
}
