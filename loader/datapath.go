// Package loader brings the compiled program into the kernel and keeps it there: it loads it with its
// constants, pins tables and links in a directory of a bpf filesystem, attaches it, replaces it in
// place and takes it off again. It knows no policy; pkg/reconcile fills the tables.
package loader

import (
	"fmt"
	"log/slog"
	"strings"

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
}

// Datapath is the loaded program and its tables. One goroutine uses it at a time, Sweep excepted.
type Datapath struct {
	dir         string
	options     Options
	lock        *lock
	coll        *ebpf.Collection
	maps        Maps
	takenOver   bool
	warnings    []string
	attachments map[int]Attachment
}

// Open locks the directory and loads the program: onto the tables that are pinned there, if any, so
// that their flows go on, else onto new ones. Errors: *HeldError when another daemon has the
// directory, *SchemaError when the tables have another layout, ErrPrivilege, or what the kernel
// lacks. An error leaves everything as it was.
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
	if d.takenOver {
		d.coll, err = takeOver(d.dir)
	} else {
		d.coll, err = create(d.dir, d.options)
	}
	if err != nil {
		return err
	}
	if d.takenOver {
		d.compareSizes()
	}
	d.maps = *MapsOf(d.coll)
	return nil
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

// Close gives the directory free. Tables and attachments stay: the data path goes on forwarding.
func (d *Datapath) Close() error {
	d.coll.Close()
	return d.lock.release()
}
