// Package loader brings the compiled program into the kernel and keeps it there: it loads it with its
// constants, pins tables and links in a directory of a bpf filesystem, attaches it, replaces it in
// place and takes it off again. It knows no policy; pkg/reconcile fills the tables.
package loader

import (
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"strings"
	"sync"

	"github.com/cilium/ebpf"
)

// Options say how to load the program.
type Options struct {
	Dir              string       // of the pins, on a bpf filesystem
	FlowsV4, FlowsV6 uint32       // entries of the flow tables when they are made; two for each flow
	Sticks           uint32       // stick entries, clients of all configs that stick
	Throttles        uint32       // clients whose rates are kept
	Mode             string       // ModeAuto, ModeNative or ModeGeneric; "": ModeAuto
	Log              *slog.Logger // nil: slog.Default()

	// ProgramOn tells the id of the XDP program on an interface, for the error that names it; may be nil.
	ProgramOn func(ifindex int) (id uint32, ok bool)
}

// Datapath is the loaded program and its tables. One goroutine uses it at a time, Sweep and Capture excepted.
type Datapath struct {
	dir       string
	options   Options
	lock      *lock
	coll      *ebpf.Collection
	maps      Maps
	takenOver bool
	warnings  []string

	mu          sync.Mutex // of what follows, and of the attachments themselves
	attachments map[int]Attachment
	upgrade     *upgrade // from an older layout, nil when there is none or it is over
	capture     *Capture // takes the program's place; nil: none
}

// Open locks the directory and loads the program: onto the tables that are pinned there, if any, so
// that their flows go on, else onto new ones. Tables of an older layout count until Complete. Errors:
// *HeldError when another daemon has the directory, *SchemaError when the tables have a layout that this
// build does not know, ErrPrivilege, or what the kernel lacks. An error leaves everything as it was.
func Open(o Options) (*Datapath, error) {
	if o.Mode == "" {
		o.Mode = ModeAuto
	}
	if o.Log == nil {
		o.Log = slog.Default()
	}
	if err := CheckKernel(); err != nil {
		return nil, err
	}
	if err := makeDir(o.Dir); err != nil {
		return nil, err
	}
	l, err := takeLock(o.Dir)
	if err != nil {
		return nil, err
	}
	d := &Datapath{dir: o.Dir, options: o, lock: l, attachments: map[int]Attachment{}}
	if err := d.load(); err != nil {
		l.release()
		return nil, err
	}
	return d, nil
}

func (d *Datapath) load() (err error) {
	d.takenOver = tablesPinned(d.dir)
	if !d.takenOver {
		d.coll, err = create(d.dir, d.options)
	} else if err = d.loadOntoPinned(); err == nil {
		d.compareSizes()
	}
	if err != nil {
		return err
	}
	d.maps = *MapsOf(d.coll)
	return nil
}

// loadOntoPinned loads the program onto the tables that are pinned, or beside them when their layout is older.
func (d *Datapath) loadOntoPinned() error {
	schema, err := schemaOf(filepath.Join(d.dir, mapsDir))
	switch {
	case err != nil:
		return err
	case schema < Schema:
		d.coll, d.upgrade, err = beginUpgrade(d.dir, schema, d.options)
		return err
	}
	if d.coll, err = takeOver(d.dir); err != nil { // which refuses other layouts
		return err
	}
	if d.upgrade, err = resumeUpgrade(d.dir, d.coll.Maps); err != nil {
		d.coll.Close()
	}
	return err
}

// compareSizes warns when the pinned tables are not as large as the configuration asks.
func (d *Datapath) compareSizes() {
	for name, want := range d.options.sizes() {
		have, unit := d.coll.Maps[name].MaxEntries(), uint32(1)
		if strings.HasPrefix(name, "flows") {
			unit = bucketSlots
		}
		if have != want {
			d.warnings = append(d.warnings, fmt.Sprintf(
				"table %s keeps its %d entries, though %d are configured: tables change size only after `headgate detach`, which ends all flows",
				name, have*unit, want*unit))
		}
	}
}

// Maps returns the program's maps; they belong to the Datapath.
func (d *Datapath) Maps() *Maps { return &d.maps }

// TakenOver says whether the tables were there before.
func (d *Datapath) TakenOver() bool { return d.takenOver }

// Tag returns the tag of the loaded program, as bpftool shows it.
func (d *Datapath) Tag() (string, error) {
	info, err := d.coll.Programs["headgate"].Info()
	if err != nil {
		return "", fmt.Errorf("read the program's tag: %w", err)
	}
	return info.Tag, nil
}

// Warnings are what the operator should know of the tables.
func (d *Datapath) Warnings() []string { return d.warnings }

// Close gives the directory free. Tables and attachments stay: the data path goes on forwarding. What was made
// of an older layout goes, unless it is complete: the old program has run all the time.
func (d *Datapath) Close() error {
	err := d.abandonCapture()
	if u := d.upgrade; u != nil {
		if !u.placed {
			err = errors.Join(err, u.discard())
		}
		err = errors.Join(err, u.close())
	}
	d.coll.Close()
	return errors.Join(err, d.lock.release())
}
