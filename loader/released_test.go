package loader_test

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"os"
	"testing"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/btf"

	"github.com/headgate/headgate/loader"
)

// releasedObject is the program as it was in the last release of a layout; nil if there was none with it.
func releasedObject(t *testing.T, layout int) *ebpf.CollectionSpec {
	t.Helper()
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
		return spec
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
