package loader

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/btf"
)

// An older layout is taken over without stopping the data path. The new program gets tables of its own, filled
// with what the old ones say, but for those that are the memory of flows: these both programs use, so that
// it does not matter which of them runs on which interface while the links are switched over one by one.

// inheritance says what becomes of a map of an older layout.
type inheritance int

const (
	// kept: the program's own memory, which both programs use. Where the layouts do not agree, it is
	// translated; flow tables cannot be, for a flow that is made meanwhile would be lost.
	kept inheritance = iota
	// translated: written by user space, or counters that are good from where they are. A new map gets the fields
	// of the same name, and reconcile writes what else belongs there before the program is switched.
	translated
	// afresh: reconcile fills it, or the program does.
	afresh
)

// inherited names every map. A new layout says here what becomes of what it adds.
var inherited = map[string]inheritance{
	"flows4": kept, "flows6": kept,
	"sticks": kept, "throttles": kept, "nodes_stats": kept, "flows_stats": kept,
	"fragments": kept, "datagrams": kept, "tags": kept,

	"vips": translated, "services_info": translated, "services_live": translated, "services": translated,
	"nodes": translated, "nodes_info": translated, "nodes_live": translated,
	"snats": translated, "ours": translated, "links": translated, "announced": translated, "meta": translated,

	"nodes_trouble": afresh, "signals": afresh,
	"slots": afresh, "guesses": afresh, "tx_ports": afresh, "refusals": afresh, "creations": afresh,
	"reasons":        afresh, // by their names, see carryReasons
	"services_stats": afresh, // which reasons its numbers are, each layout says anew
}

// notTranslated are fields that hold what belongs to other tables.
var notTranslated = map[string]string{
	"services": "word", // leads to slots, where nothing is yet
}

// succession is the way from one map to the one that takes its place.
type succession struct {
	name          string
	old           *ebpf.Map
	keys, values  []move
	keySize, size uint32 // of the new map's keys and values
	keepable      bool
}

// succeed compares the two layouts of a map.
func succeed(name string, old *ebpf.Map, types oldTypes, spec *ebpf.MapSpec) (*succession, error) {
	s := &succession{name: name, old: old, keySize: spec.KeySize, size: spec.ValueSize}
	key, err := types.like(spec.Key, old.KeySize())
	if err != nil {
		return nil, fmt.Errorf("map %s: keys: %w", name, err)
	}
	value, err := types.like(spec.Value, old.ValueSize())
	if err != nil {
		return nil, fmt.Errorf("map %s: %w", name, err)
	}
	if s.keys, err = moves(key, spec.Key); err != nil {
		return nil, fmt.Errorf("map %s: keys: %w", name, err)
	}
	if s.values, err = moves(value, without(spec.Value, notTranslated[name])); err != nil {
		return nil, fmt.Errorf("map %s: %w", name, err)
	}
	s.keepable = old.Type() == spec.Type && old.Flags() == spec.Flags && agrees(key, spec.Key) && agrees(value, spec.Value)
	return s, nil
}

// without is a struct without one of its fields; the others stay where they are.
func without(t btf.Type, name string) btf.Type {
	s, ok := btf.UnderlyingType(t).(*btf.Struct)
	if !ok || name == "" {
		return t
	}
	rest := *s
	rest.Members = slices.DeleteFunc(slices.Clone(s.Members), func(m btf.Member) bool { return m.Name == name })
	return &rest
}

// plan says of each map that there was what becomes of it.
func plan(old map[string]*ebpf.Map, types oldTypes, spec *ebpf.CollectionSpec) (keep map[string]*ebpf.Map, translations []*succession, err error) {
	keep = map[string]*ebpf.Map{}
	for name, how := range inherited {
		before, there := old[name]
		if !there || how == afresh {
			continue
		}
		s, err := succeed(name, before, types, spec.Maps[name])
		switch {
		case err != nil:
			return nil, nil, err
		case how == kept && s.keepable:
			spec.Maps[name].MaxEntries = before.MaxEntries()
			keep[name] = before
		case name == "flows4" || name == "flows6":
			return nil, nil, fmt.Errorf("map %s: its flows are laid out otherwise than this headgate can go on with", name)
		default:
			translations = append(translations, s)
		}
	}
	return keep, translations, nil
}

// openAll opens whatever maps are pinned in a directory, by name.
func openAll(dir string) (map[string]*ebpf.Map, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, explain(fmt.Errorf("list %s: %w", dir, err))
	}
	all := map[string]*ebpf.Map{}
	for _, e := range entries {
		m, err := ebpf.LoadPinnedMap(filepath.Join(dir, e.Name()), nil)
		if err != nil {
			return nil, errors.Join(explain(fmt.Errorf("open map %s in %s: %w", e.Name(), dir, err)), closeAll(all))
		}
		all[e.Name()] = m
	}
	return all, nil
}

func closeAll(maps map[string]*ebpf.Map) (err error) {
	for _, m := range maps {
		err = errors.Join(err, m.Close())
	}
	return err
}
