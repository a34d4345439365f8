package loader

import (
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"
)

// What lies in a directory of pins: maps/NAME, and links/IFINDEX-MODE (bpf filesystems allow no dots). The maps are pinned aside and
// renamed into place, so that they are all there or not at all. Tables of an older layout change places with those aside.
const (
	mapsDir    = "maps"
	mapsAside  = "maps_new"
	linksDir   = "links"
	pinsMode   = 0o700
	bpfFSMagic = unix.BPF_FS_MAGIC
)

// makeDir makes the directory, which must lie on a bpf filesystem.
func makeDir(dir string) error {
	if err := onBPFFS(dir); err != nil {
		return err
	}
	if err := os.MkdirAll(dir, pinsMode); err != nil {
		return explain(fmt.Errorf("make %s: %w", dir, err))
	}
	return nil
}

// onBPFFS looks at the nearest part of the path that exists.
func onBPFFS(dir string) error {
	at := filepath.Clean(dir)
	for {
		var fs unix.Statfs_t
		err := unix.Statfs(at, &fs)
		switch {
		case err == nil && fs.Type == bpfFSMagic:
			return nil
		case err == nil:
			return fmt.Errorf("%s is not on a bpf filesystem: mount one (mount -t bpf bpf /sys/fs/bpf) or choose another directory; `ip netns exec` hides it, `nsenter --net` does not", dir)
		case !errors.Is(err, os.ErrNotExist) || at == filepath.Dir(at):
			return explain(fmt.Errorf("look at %s: %w", at, err))
		}
		at = filepath.Dir(at)
	}
}

// eachMap calls f with every field of m and the name of its map.
func eachMap(m *Maps, f func(name string, field **ebpf.Map) error) error {
	v := reflect.ValueOf(m).Elem()
	for i := range v.NumField() {
		field, ok := v.Field(i).Addr().Interface().(**ebpf.Map)
		if !ok {
			continue // the marker of the layout
		}
		if err := f(v.Type().Field(i).Tag.Get("ebpf"), field); err != nil {
			return err
		}
	}
	return nil
}

// MapsOf gives the maps of a collection that are pinned when it is; they stay the collection's.
func MapsOf(coll *ebpf.Collection) *Maps {
	m := &Maps{}
	eachMap(m, func(name string, field **ebpf.Map) error {
		*field = coll.Maps[name]
		return nil
	})
	return m
}

// pinMaps pins all maps of a collection, whole or not at all.
func pinMaps(dir string, maps map[string]*ebpf.Map) error {
	if err := pinAside(dir, maps); err != nil {
		return err
	}
	if err := os.Rename(filepath.Join(dir, mapsAside), filepath.Join(dir, mapsDir)); err != nil {
		return fmt.Errorf("put the pins in place: %w", err)
	}
	return nil
}

// pinAside pins all maps of a collection where nobody looks for them.
func pinAside(dir string, maps map[string]*ebpf.Map) error {
	aside := filepath.Join(dir, mapsAside)
	if err := os.RemoveAll(aside); err != nil {
		return fmt.Errorf("remove what an interrupted start left: %w", err)
	}
	if err := os.Mkdir(aside, pinsMode); err != nil {
		return explain(fmt.Errorf("make %s: %w", aside, err))
	}
	for name, m := range maps {
		if !pinned(name) {
			continue
		}
		if err := m.Pin(filepath.Join(aside, name)); err != nil {
			return fmt.Errorf("pin map %s: %w", name, errors.Join(err, os.RemoveAll(aside)))
		}
	}
	return nil
}

// pinned says whether a map outlives its program: constants do not.
func pinned(name string) bool { return name[0] != '.' }

// OpenMaps opens the pinned maps, for commands that work without a daemon. The error matches
// ErrNotPinned when there are none. Close them with CloseMaps.
func OpenMaps(dir string) (*Maps, error) {
	if !tablesPinned(dir) {
		return nil, notPinned(dir)
	}
	// First of all: tables of another layout need not have the same maps.
	schema, err := schemaOf(filepath.Join(dir, mapsDir))
	if err != nil {
		return nil, err
	}
	if schema != Schema {
		return nil, &SchemaError{Dir: dir, Pinned: schema}
	}
	m := &Maps{}
	err = eachMap(m, func(name string, field **ebpf.Map) (err error) {
		*field, err = openMap(dir, name)
		return err
	})
	if err != nil {
		CloseMaps(m)
		return nil, err
	}
	return m, nil
}

func notPinned(dir string) error {
	return fmt.Errorf("%s: %w: start `headgate run`, or name another directory with --bpffs", dir, ErrNotPinned)
}

// schemaOf reads the layout of the tables that are pinned in a directory of maps. In every layout it is what meta
// begins with.
func schemaOf(maps string) (uint32, error) {
	m, err := ebpf.LoadPinnedMap(filepath.Join(maps, "meta"), nil)
	if errors.Is(err, os.ErrNotExist) {
		return 0, fmt.Errorf("%s: these are not headgate's tables: there is no map meta: choose another directory, or remove it if nothing uses it", maps)
	}
	if err != nil {
		return 0, explain(fmt.Errorf("open map meta in %s: %w", maps, err))
	}
	defer m.Close()
	meta, err := m.LookupBytes(uint32(0))
	if err != nil || len(meta) < 4 {
		return 0, fmt.Errorf("read the layout of the tables in %s: %w", maps, cmp.Or(err, errors.New("map meta is not headgate's")))
	}
	return binary.NativeEndian.Uint32(meta), nil
}

func openMap(dir, name string) (*ebpf.Map, error) {
	m, err := ebpf.LoadPinnedMap(filepath.Join(dir, mapsDir, name), nil)
	if err != nil {
		return nil, explain(fmt.Errorf("open map %s in %s: %w", name, dir, err))
	}
	return m, nil
}

// CloseMaps closes the handles; what is pinned stays.
func CloseMaps(m *Maps) {
	eachMap(m, func(_ string, field **ebpf.Map) error {
		if *field != nil {
			(*field).Close()
		}
		return nil
	})
}

// MapID is the kernel's id of the IPv4 flow table, by which tables are told apart wherever they are pinned.
func MapID(m *Maps) (uint32, error) {
	info, err := m.Flows4.Info()
	if err != nil {
		return 0, fmt.Errorf("ask for the flow table's id: %w", err)
	}
	id, ok := info.ID()
	if !ok {
		return 0, errors.New("ask for the flow table's id: the kernel does not tell")
	}
	return uint32(id), nil
}

func readMeta(m *ebpf.Map) (Meta, error) {
	var meta Meta
	if err := m.Lookup(uint32(0), &meta); err != nil {
		return meta, fmt.Errorf("read the tables' description: %w", err)
	}
	return meta, nil
}
