package dptest

import (
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"testing"

	"github.com/cilium/ebpf"

	"github.com/headgate/headgate/loader"
)

// Rehearsal is a rehearsal on the Bed's tables.
type Rehearsal struct {
	bed *Bed
	*loader.Rehearsal
}

// Rehearsal loads one. It ends with the test.
func (b *Bed) Rehearsal(tb testing.TB) *Rehearsal {
	tb.Helper()
	r := &Rehearsal{bed: b}
	spec, err := loader.Spec()
	if err == nil {
		err = b.configure(spec)
	}
	if err == nil {
		r.Rehearsal, err = loader.Rehearse(spec, loader.MapsOf(b.coll), loader.Meta{Secret: b.secret(), Hz: b.options.HZ})
	}
	if err != nil {
		tb.Fatalf("rehearsal: %s", describe(err))
	}
	tb.Cleanup(r.Close)
	return r
}

// Run tries out a frame that arrives at an interface.
func (r *Rehearsal) Run(ifindex int, frame []byte) (out loader.Outcome) {
	var err error
	r.bed.space.do(func() { out, err = r.Rehearsal.Run(frame, ifindex) })
	must(err)
	return out
}

// Content is what each map holds that a program can write, by its name: a digest of every byte that user
// space can read.
func (b *Bed) Content() map[string]string {
	content := map[string]string{}
	for name, m := range b.coll.Maps {
		switch {
		case m.Type() == ebpf.RingBuf:
			content[name] = fmt.Sprint(b.signals.AvailableBytes())
		case name[0] != '.' && m.Type() != ebpf.DevMap: // which only user space can write
			content[name] = digest(name, m)
		}
	}
	return content
}

func digest(name string, m *ebpf.Map) string {
	sum := sha256.New()
	if memory, err := m.Memory(); err == nil {
		all := make([]byte, memory.Size())
		if _, err := memory.ReadAt(all, 0); err != nil {
			panic(fmt.Sprintf("read %s: %v", name, err))
		}
		sum.Write(all)
		return string(sum.Sum(nil))
	}
	if m.Type() == ebpf.Array {
		fmt.Fprint(sum, entriesOf(name, m))
		return string(sum.Sum(nil))
	}
	var entries [][]byte
	var key []byte
	for k, err := m.NextKeyBytes(nil); ; k, err = m.NextKeyBytes(key) {
		if err != nil {
			panic(fmt.Sprintf("read %s: %v", name, err))
		}
		if k == nil {
			break
		}
		value, err := m.LookupBytes(k)
		if err != nil && !errors.Is(err, ebpf.ErrKeyNotExist) {
			panic(fmt.Sprintf("read %s: %v", name, err))
		}
		entries = append(entries, slices.Concat(binary.NativeEndian.AppendUint32(nil, uint32(len(k))), k, value))
		key = k
	}
	slices.SortFunc(entries, slices.Compare[[]byte])
	for _, e := range entries {
		sum.Write(e)
	}
	return string(sum.Sum(nil))
}

// entriesOf is what an array holds, at once.
func entriesOf(name string, m *ebpf.Map) any {
	n := int(m.MaxEntries())
	entry := reflect.ArrayOf(int(m.ValueSize()), reflect.TypeFor[byte]())
	values := reflect.MakeSlice(reflect.SliceOf(entry), n, n).Interface()
	var cursor ebpf.MapBatchCursor
	read, err := m.BatchLookup(&cursor, make([]uint32, n), values, nil)
	if read != n || err != nil && !errors.Is(err, ebpf.ErrKeyNotExist) {
		panic(fmt.Sprintf("read %s: %d of %d: %v", name, read, n, err))
	}
	return values
}
