package loader_test

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"sync"
	"testing"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/btf"

	"github.com/headgate/headgate/loader"
)

// releasedObject is the program as it was in the last release of a layout; nil if there was none with it.
func releasedObject(t *testing.T, layout int) *ebpf.CollectionSpec {
	t.Helper()
	released.Lock()
	defer released.Unlock()
	if spec := released.specs[layout]; spec != nil {
		return spec.Copy()
	}
	f, err := os.Open(fmt.Sprintf("../testdata/released/layout-%d.tar.gz", layout))
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	for files := tar.NewReader(z); ; {
		header, err := files.Next()
		if err != nil {
			t.Fatalf("layout %d: no object: %v", layout, err)
		}
		if header.Name != "./loader/headgate_bpfel.o" {
			continue
		}
		object, err := io.ReadAll(files)
		if err != nil {
			t.Fatal(err)
		}
		spec, err := ebpf.LoadCollectionSpecFromReader(bytes.NewReader(object))
		if err != nil {
			t.Fatal(err)
		}
		released.specs[layout] = spec
		return spec.Copy()
	}
}

// released are the programs that were read already, by layout.
var released = struct {
	sync.Mutex
	specs map[int]*ebpf.CollectionSpec
}{specs: map[int]*ebpf.CollectionSpec{}}

// typesOfMaps are the types of a program's maps, as the kernel's BTF has them.
func typesOfMaps(t *testing.T, spec *ebpf.CollectionSpec) []byte {
	t.Helper()
	var types []btf.Type
	for _, name := range slices.Sorted(maps.Keys(spec.Maps)) {
		if m := spec.Maps[name]; name[0] != '.' {
			types = append(types, m.Key, m.Value)
		}
	}
	b, err := btf.NewBuilder(types, &btf.BuilderOptions{Deduplicate: true})
	if err != nil {
		t.Fatal(err)
	}
	raw, err := b.Marshal(nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

// What the loader knows of older layouts is what was released.
func TestOlderLayoutsAreThoseOfTheReleases(t *testing.T) {
	for layout := 1; layout < loader.Schema; layout++ {
		spec := releasedObject(t, layout)
		if spec == nil {
			t.Errorf("layout %d is no more, and no release of it is kept: see scripts/package/keep-layout.sh", layout)
			continue
		}
		path, want := fmt.Sprintf("layouts/layout-%d.btf", layout), typesOfMaps(t, spec)
		if *update {
			if err := os.WriteFile(path, want, 0o644); err != nil {
				t.Fatal(err)
			}
		}
		if got, err := os.ReadFile(path); err != nil || !bytes.Equal(got, want) {
			t.Errorf("%s is not what the release with layout %d has (-update writes it): %v", path, layout, err)
		}
	}
}

// A map is described by all that must not change without a new number of the layout.
func described(spec *ebpf.CollectionSpec) map[string]string {
	all := map[string]string{}
	for name, m := range spec.Maps {
		if name[0] == '.' {
			continue // constants
		}
		all[name] = fmt.Sprintf("%v, flags %d, keys of %d bytes:\n%svalues of %d bytes:\n%s", m.Type, m.Flags, m.KeySize, fields(m.Key, 0), m.ValueSize, fields(m.Value, 0))
	}
	return all
}

// fields lists a type's fields with their places.
func fields(t btf.Type, at uint32) string {
	t = btf.UnderlyingType(t)
	s, ok := t.(*btf.Struct)
	if !ok {
		return fmt.Sprintf("%d: %v\n", at, t)
	}
	var list string
	for _, m := range s.Members {
		list += m.Name + " " + fields(m.Type, at+m.Offset.Bytes())
	}
	return list
}

// Tables of a release are taken over as they are by whoever speaks the same layout.
func TestTheLayoutOfAReleaseDoesNotChange(t *testing.T) {
	released := releasedObject(t, loader.Schema)
	if released == nil {
		return // this layout is not out yet
	}
	now, err := loader.Spec()
	if err != nil {
		t.Fatal(err)
	}
	before, after := described(released), described(now)
	for name, was := range before {
		if is, there := after[name]; !there || is != was {
			t.Errorf("map %s is not as in the release with layout %d: ABI_SCHEMA has to go up. It was %s\nand is %s", name, loader.Schema, was, is)
		}
		delete(after, name)
	}
	for name := range after {
		t.Errorf("map %s is new since the release with layout %d: ABI_SCHEMA has to go up", name, loader.Schema)
	}
}
