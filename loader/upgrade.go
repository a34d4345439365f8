package loader

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"
)

// upgrade is the way from tables of an older layout to this build's, in two steps. Open makes the new tables
// and pins them aside; the daemon fills them. Complete puts them in place of the old ones, switches all links
// to the new program, and carries over what the old one still counted. Until then nothing has changed for
// whoever comes instead, and after it, whoever comes goes on from there.
type upgrade struct {
	dir    string
	schema uint32 // of the old tables
	types  oldTypes
	old    map[string]*ebpf.Map
	counts *carrier
	placed bool         // the new tables are in their place, the old ones aside
	links  []Attachment // to be switched over
}

// beginUpgrade loads the program onto new tables, which get what the old ones hold.
func beginUpgrade(dir string, schema uint32, o Options) (*ebpf.Collection, *upgrade, error) {
	u, err := newUpgrade(dir, mapsDir, schema)
	if err != nil {
		return nil, nil, err
	}
	coll, err := u.begin(o)
	if err != nil {
		return nil, nil, errors.Join(fmt.Errorf("take over tables of layout %d: %w", schema, err), u.discard(), u.close())
	}
	return coll, u, nil
}

// newUpgrade opens the old tables, wherever they lie.
func newUpgrade(dir, where string, schema uint32) (*upgrade, error) {
	types, err := typesIn(schema)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, &SchemaError{Dir: dir, Pinned: schema}
	}
	if err != nil {
		return nil, err
	}
	old, err := openAll(filepath.Join(dir, where))
	if err != nil {
		return nil, err
	}
	return &upgrade{dir: dir, schema: schema, types: types, old: old}, nil
}

func (u *upgrade) begin(o Options) (*ebpf.Collection, error) {
	spec, err := Spec()
	if err != nil {
		return nil, err
	}
	for name, entries := range o.sizes() {
		spec.Maps[name].MaxEntries = entries
	}
	keep, translations, err := plan(u.old, u.types, spec)
	if err != nil {
		return nil, err
	}
	meta, err := u.meta(translations)
	if err != nil {
		return nil, err
	}
	coll, err := load(spec, meta, keep)
	if err != nil {
		return nil, err
	}
	if err := u.fill(coll.Maps, translations, meta); err != nil {
		coll.Close()
		return nil, err
	}
	return coll, nil
}

// meta is what the old tables were made with, in this build's layout.
func (u *upgrade) meta(translations []*succession) (meta Meta, err error) {
	for _, s := range translations {
		if s.name != "meta" {
			continue
		}
		from, to := make([]byte, s.old.ValueSize()), make([]byte, s.size)
		if err := s.old.Lookup(uint32(0), from); err != nil {
			return meta, fmt.Errorf("read the tables' description: %w", err)
		}
		apply(s.values, from, to)
		if err := binary.Read(bytes.NewReader(to), binary.NativeEndian, &meta); err != nil {
			return meta, fmt.Errorf("read the tables' description: %w", err)
		}
	}
	meta.Schema = Schema
	return meta, nil
}

// fill fills the new tables and pins them aside.
func (u *upgrade) fill(tables map[string]*ebpf.Map, translations []*succession, meta Meta) (err error) {
	for _, s := range translations {
		if err := s.fill(tables[s.name]); err != nil {
			return err
		}
	}
	if err := tables["meta"].Put(uint32(0), meta); err != nil {
		return fmt.Errorf("describe the tables: %w", err)
	}
	if u.counts, err = newCarrier(u, tables["nodes_live"]); err != nil {
		return err
	}
	return pinAside(u.dir, tables)
}

// resumeUpgrade finds out whether an upgrade was interrupted after its tables had been put in place; nil if not.
func resumeUpgrade(dir string, tables map[string]*ebpf.Map) (*upgrade, error) {
	schema, err := schemaOf(filepath.Join(dir, mapsAside))
	if err != nil || schema >= Schema {
		return nil, nil // nothing is aside, or what a start has left that came to nothing
	}
	u, err := newUpgrade(dir, mapsAside, schema)
	if err != nil {
		return nil, err
	}
	u.placed = true
	if u.counts, err = openCarrier(u, tables["nodes_live"]); err != nil {
		return nil, errors.Join(err, u.close())
	}
	return u, nil
}

// place puts the new tables where the old ones are, which go aside, in one step.
func (u *upgrade) place(tables map[string]*ebpf.Map) error {
	if u.placed {
		return nil
	}
	if err := carryReasons(u.old["reasons"], u.types, tables["reasons"]); err != nil {
		return err
	}
	err := unix.Renameat2(unix.AT_FDCWD, filepath.Join(u.dir, mapsAside), unix.AT_FDCWD, filepath.Join(u.dir, mapsDir), unix.RENAME_EXCHANGE)
	if err != nil {
		return fmt.Errorf("put the new tables in place: %w", err)
	}
	u.placed = true
	return nil
}

// finish carries over what the old program counted until it ran no more, and ends the old tables.
func (u *upgrade) finish() error {
	awaitPackets()
	u.counts.carry()
	return errors.Join(u.discard(), u.close())
}

// discard removes what is aside: the old tables at the end, or the new ones of an upgrade that came to nothing.
func (u *upgrade) discard() error {
	if err := os.RemoveAll(filepath.Join(u.dir, mapsAside)); err != nil {
		return fmt.Errorf("remove the tables of layout %d: %w", u.schema, err)
	}
	return removeCarrier(u.dir)
}

func (u *upgrade) close() error {
	err := closeAll(u.old)
	if u.counts != nil {
		err = errors.Join(err, u.counts.close())
	}
	return err
}

// Complete ends the way from tables of an older layout, once the new ones are written: from now on these
// count, on all interfaces that were attached to. It does nothing where the layout was this build's.
func (d *Datapath) Complete() error {
	u, err := d.changeOver()
	if u == nil || err != nil {
		return err
	}
	return u.finish()
}

// changeOver puts the new tables in place and all links on the new program. It returns the upgrade that is to be
// finished, nil when there is none.
func (d *Datapath) changeOver() (*upgrade, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	u := d.upgrade
	if u == nil {
		return nil, nil
	}
	if err := u.place(d.coll.Maps); err != nil {
		return nil, err
	}
	for _, a := range u.links {
		if d.switchOver(a) {
			continue
		}
		if err := unpinLink(d.dir, a); err != nil {
			return nil, err
		}
		if _, err := d.attachAnew(a.IfIndex, a.Interface, nil); err != nil {
			return nil, err
		}
	}
	d.upgrade = nil
	return u, nil
}
