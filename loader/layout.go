package loader

import (
	"bytes"
	"embed"
	"fmt"
	"strings"

	"github.com/cilium/ebpf/btf"
)

// move is a run of bytes that means the same in two layouts of a struct.
type move struct{ from, to, size uint32 }

// moves pairs the fields of two layouts by their names, as deep as structs go. A field that only one of
// them has is left out, and so is what is there to fill.
func moves(old, new btf.Type) ([]move, error) {
	return appendMoves(nil, "", old, new, 0, 0)
}

func appendMoves(list []move, path string, old, new btf.Type, from, to uint32) ([]move, error) {
	old, new = btf.UnderlyingType(old), btf.UnderlyingType(new)
	oldStruct, wasStruct := old.(*btf.Struct)
	newStruct, isStruct := new.(*btf.Struct)
	if wasStruct && isStruct {
		return appendFields(list, path, oldStruct, newStruct, from, to)
	}
	have, err := btf.Sizeof(old)
	if err != nil {
		return nil, fmt.Errorf("field %s: %w", path, err)
	}
	want, err := btf.Sizeof(new)
	if err != nil {
		return nil, fmt.Errorf("field %s: %w", path, err)
	}
	if wasStruct != isStruct || !isArray(new) && want != have {
		return nil, fmt.Errorf("field %s was %v and is %v", path, old, new)
	}
	if size := uint32(min(have, want)); size > 0 { // of an array that grew, the beginning
		list = append(list, move{from, to, size})
	}
	return list, nil
}

func appendFields(list []move, path string, old, new *btf.Struct, from, to uint32) (_ []move, err error) {
	for _, field := range new.Members {
		if isFiller(field.Name) {
			continue
		}
		for _, before := range old.Members {
			if before.Name != field.Name {
				continue
			}
			list, err = appendMoves(list, path+"."+field.Name, before.Type, field.Type, from+before.Offset.Bytes(), to+field.Offset.Bytes())
			if err != nil {
				return nil, err
			}
		}
	}
	return list, nil
}

func isArray(t btf.Type) bool {
	_, ok := t.(*btf.Array)
	return ok
}

// isFiller says whether a field holds nothing: bytes between fields, or room for fields to come.
func isFiller(name string) bool {
	return strings.HasPrefix(name, "unused") || strings.HasPrefix(name, "reserved") || strings.HasPrefix(name, "pad")
}

// agrees says whether programs of both layouts may use one map at the same time: each field of the older
// one is where it was, and what is new lies where there was nothing.
func agrees(old, new btf.Type) bool {
	have, err := btf.Sizeof(old)
	if err != nil {
		return false
	}
	want, err := btf.Sizeof(new)
	if err != nil || have != want {
		return false
	}
	list, err := moves(old, new)
	if err != nil {
		return false
	}
	var moved uint32
	for _, m := range list {
		if m.from != m.to {
			return false
		}
		moved += m.size
	}
	return moved == filled(old)
}

// filled is how many bytes of a type hold something.
func filled(t btf.Type) (n uint32) {
	t = btf.UnderlyingType(t)
	s, ok := t.(*btf.Struct)
	if !ok {
		size, _ := btf.Sizeof(t) // its caller asked for the size of the whole before
		return uint32(size)
	}
	for _, field := range s.Members {
		if !isFiller(field.Name) {
			n += filled(field.Type)
		}
	}
	return n
}

// apply copies what the moves say.
func apply(list []move, from, to []byte) {
	for _, m := range list {
		copy(to[m.to:m.to+m.size], from[m.from:m.from+m.size])
	}
}

// layouts has the types of the maps of each layout that was released before this one. The kernel keeps them
// with the maps, but tells them only to who may do everything (CAP_SYS_ADMIN).
//
//go:embed layouts
var layouts embed.FS

// oldTypes are the types of a layout's maps.
type oldTypes struct{ spec *btf.Spec }

// typesIn gives the types of a layout; the error matches fs.ErrNotExist when it is not known.
func typesIn(layout uint32) (oldTypes, error) {
	raw, err := layouts.ReadFile(fmt.Sprintf("layouts/layout-%d.btf", layout))
	if err != nil {
		return oldTypes{}, err
	}
	spec, err := btf.LoadSpecFromReader(bytes.NewReader(raw))
	if err != nil {
		return oldTypes{}, fmt.Errorf("the types of layout %d: %w", layout, err)
	}
	return oldTypes{spec}, nil
}

// like finds the older layout of a type: the struct of the same name, or else the same type if it is as large.
func (t oldTypes) like(new btf.Type, size uint32) (btf.Type, error) {
	new = btf.UnderlyingType(new)
	if s, ok := new.(*btf.Struct); ok {
		var old *btf.Struct
		if err := t.spec.TypeByName(s.Name, &old); err != nil {
			return nil, fmt.Errorf("struct %s: %w", s.Name, err)
		}
		new = old
	}
	if have, err := btf.Sizeof(new); err != nil || uint32(have) != size {
		return nil, fmt.Errorf("it has %d bytes where %v has %d", size, new, have)
	}
	return new, nil
}
