package dptest

import (
	"cmp"
	"errors"
	"fmt"
	"sync"
	"testing"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/ringbuf"
	"github.com/cilium/ebpf/rlimit"

	"github.com/headgate/headgate/loader"
)

// HZ is what a Bed without another one takes for the kernel's jiffies a second: hundreds of times as many as there are, so that
// real time passes as good as not, and Age alone makes a difference.
const HZ = 100_000

// secret keys the hash of every Bed that has no other.
var secret = [3]uint64{0x9e3779b97f4a7c15, 0xbf58476d1ce4e5b9, 0x94d049bb133111eb}

// Sizes of a Bed's tables; ids and indices are below these.
const (
	MaxNodes    = 32
	MaxServices = 8
)

// Options of a Bed.
type Options struct {
	Buckets4, Buckets6 uint32 // of the flow tables, powers of two; 0: 4
	RefuseRate         uint32 // refusals a second; 0: 10,000
	Words              uint32 // of slots for each service, of four node ids or a column; 0: 64
	SignalBytes        uint32 // of the ring of reports, a power of two of pages, and every one is made; 0: as it is written
	Secret             uint64 // key of the flow table's hash, odd; 0: the same one always
	HZ                 uint32 // jiffies a second that the program takes there to be; 0: HZ
	Rest               uint32 // seconds that half-open and closing flows may be idle; 0: 10
	Steps              bool   // the program counts what it executes
	NoPortSearch       bool   // a flow is refused when the first few source ports are taken
}

// whole returns the options with what is left out.
func (o Options) whole() Options {
	o.Buckets4, o.Buckets6 = cmp.Or(o.Buckets4, 4), cmp.Or(o.Buckets6, 4)
	o.HZ, o.Words, o.Secret = cmp.Or(o.HZ, HZ), cmp.Or(o.Words, 64), cmp.Or(o.Secret, secret[0])
	return o
}

// Bed is the program with tables of its own. One goroutine uses it at a time.
type Bed struct {
	options Options
	space   *space
	coll    *ebpf.Collection
	entry   *ebpf.Program // dirties the head-room, then runs the program
	next    *ebpf.Map     // what entry goes on to
	signals *ringbuf.Reader
	ours    [1024]uint64

	families map[uint32]uint8 // by service
	tagged   map[uint16]bool  // links of VLAN interfaces
	tb       testing.TB
	flags    uint32   // of the program
	steps    []uint64 // instructions of each block that is counted
}

// idle are Beds that no test uses, by their options: to load the program takes a good part of a second.
var idle = struct {
	sync.Mutex
	beds map[Options][]*Bed
}{beds: map[Options][]*Bed{}}

// Open returns a Bed with empty tables: one that another test has had, or the program is loaded. The test has it until
// it ends. Without root, or on a kernel that cannot load the program, the test fails.
func Open(tb testing.TB, options Options) *Bed {
	tb.Helper()
	options = options.whole()
	b := take(options)
	if b == nil {
		b = &Bed{options: options, space: openSpace(tb)}
		if err := b.load(); err != nil {
			b.space.close()
			tb.Fatalf("data path: %s", describe(err))
		}
	}
	b.tb = tb
	b.Reset()
	tb.Cleanup(func() {
		idle.Lock()
		defer idle.Unlock()
		idle.beds[options] = append(idle.beds[options], b)
	})
	return b
}

func take(options Options) (b *Bed) {
	idle.Lock()
	defer idle.Unlock()
	if beds := idle.beds[options]; len(beds) > 0 {
		b, idle.beds[options] = beds[len(beds)-1], beds[:len(beds)-1]
	}
	return b
}

func describe(err error) string {
	var refused *ebpf.VerifierError
	if errors.As(err, &refused) {
		return fmt.Sprintf("%+v", refused)
	}
	return err.Error()
}

func (b *Bed) load() error {
	if err := rlimit.RemoveMemlock(); err != nil {
		return err
	}
	spec, err := loader.Spec()
	if err != nil {
		return err
	}
	if err := b.configure(spec); err != nil {
		return err
	}
	if b.options.Steps {
		if b.steps, err = countSteps(spec, "headgate"); err != nil {
			return err
		}
	}
	if b.coll, err = ebpf.NewCollection(spec); err != nil {
		return err
	}
	b.flags = spec.Programs["headgate"].Flags
	if b.signals, err = ringbuf.NewReader(b.coll.Maps["signals"]); err != nil {
		return err
	}
	b.entry, b.next, err = newDirtyingEntry(b.coll.Programs["headgate"], spec.Programs["headgate"])
	return err
}

// configure makes the tables small and the hash the same in every run.
func (b *Bed) configure(spec *ebpf.CollectionSpec) error {
	for name, entries := range map[string]uint32{
		"flows4": b.options.Buckets4, "flows6": b.options.Buckets6, "nodes": MaxNodes, "nodes_live": MaxNodes,
		"nodes_stats": MaxNodes, "nodes_trouble": MaxNodes, "nodes_info": MaxNodes, "services": MaxServices, "services_live": MaxServices,
		"services_info": MaxServices, "services_stats": MaxServices, "vips": 64, "slots": MaxServices * b.options.Words,
		"sticks": maxClients, "throttles": maxClients, "fragments": maxClients,
	} {
		spec.Maps[name].MaxEntries = entries
	}
	constants := map[string]any{
		"hz": b.options.HZ, "flows4_mask": b.options.Buckets4 - 1, "flows6_mask": b.options.Buckets6 - 1,
		"secret0": b.options.Secret, "secret1": secret[1], "secret2": secret[2],
	}
	if b.options.SignalBytes != 0 {
		spec.Maps["signals"].MaxEntries = b.options.SignalBytes
		constants["report_ms"] = uint32(0)
	}
	if b.options.RefuseRate != 0 {
		constants["refuse_rate"] = b.options.RefuseRate
		constants["refuse_burst"] = b.options.RefuseRate
	}
	if b.options.Rest != 0 {
		constants["half_open_idle"], constants["closing_idle"] = b.options.Rest, b.options.Rest
	}
	if b.options.NoPortSearch {
		constants["port_search_most"] = uint32(0)
	}
	for name, value := range constants {
		variable, ok := spec.Variables[name]
		if !ok {
			return fmt.Errorf("the program has no constant %s", name)
		}
		if err := variable.Set(value); err != nil {
			return fmt.Errorf("constant %s: %w", name, err)
		}
	}
	return nil
}

// secret is what the flow tables are hashed with.
func (b *Bed) secret() [3]uint64 { return [3]uint64{b.options.Secret, secret[1], secret[2]} }

// must panics: a Bed's own map operations fail only when the Bed is wrong.
func must(err error) {
	if err != nil {
		panic(err)
	}
}
