package loader

import (
	"reflect"
	"testing"

	"github.com/cilium/ebpf/btf"
)

var (
	u16 = &btf.Int{Name: "u16", Size: 2}
	u32 = &btf.Int{Name: "u32", Size: 4}
	u64 = &btf.Int{Name: "u64", Size: 8}
)

// layout makes a struct of fields that follow one another.
func layout(fields ...any) *btf.Struct {
	s := &btf.Struct{Name: "thing"}
	for i := 0; i < len(fields); i += 2 {
		t := fields[i+1].(btf.Type)
		s.Members = append(s.Members, btf.Member{Name: fields[i].(string), Type: t, Offset: btf.Bits(s.Size * 8)})
		size, _ := btf.Sizeof(t)
		s.Size += uint32(size)
	}
	return s
}

func array(t btf.Type, n uint32) *btf.Array { return &btf.Array{Index: u32, Type: t, Nelems: n} }

func TestFieldsOfTheSameNameAreTranslated(t *testing.T) {
	for _, c := range []struct {
		name     string
		old, new btf.Type
		moves    []move
		agrees   bool
	}{
		{"the same", layout("a", u64, "b", u32, "c", u32), layout("a", u64, "b", u32, "c", u32), []move{{0, 0, 8}, {8, 8, 4}, {12, 12, 4}}, true},
		{"a field where there was room", layout("a", u64, "reserved", array(u64, 2)), layout("a", u64, "b", u64, "reserved", u64), []move{{0, 0, 8}}, true},
		{"it grew", layout("a", u64, "b", u32), layout("a", u64, "b", u32, "c", u32), []move{{0, 0, 8}, {8, 8, 4}}, false},
		{"fields changed places", layout("a", u32, "b", u32), layout("b", u32, "a", u32), []move{{4, 0, 4}, {0, 4, 4}}, false},
		{"a field went", layout("a", u32, "b", u32), layout("a", u32, "unused", u32), []move{{0, 0, 4}}, false},
		{"a field has another name", layout("a", u32, "b", u32), layout("a", u32, "c", u32), []move{{0, 0, 4}}, false},
		{"structs in it", layout("a", layout("x", u16, "y", u16), "b", u32), layout("b", u32, "a", layout("y", u16, "x", u16)),
			[]move{{4, 0, 4}, {2, 4, 2}, {0, 6, 2}}, false},
		{"an array grew", layout("a", array(u32, 2)), layout("a", array(u32, 4)), []move{{0, 0, 8}}, false},
		{"numbers", u64, u64, []move{{0, 0, 8}}, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := moves(c.old, c.new)
			if err != nil || !reflect.DeepEqual(got, c.moves) {
				t.Errorf("moves: %v, %v; want %v", got, err, c.moves)
			}
			if got := agrees(c.old, c.new); got != c.agrees {
				t.Errorf("they agree: %v", got)
			}
		})
	}
	if got, err := moves(layout("a", u32), layout("a", u64)); err == nil {
		t.Errorf("a number of another size is translated: %v", got)
	}
}

// Whoever adds a map says what becomes of it when an older layout is taken over.
func TestEveryMapIsInherited(t *testing.T) {
	err := eachMapName(func(name string) {
		if _, ok := inherited[name]; !ok {
			t.Errorf("upgrade_plan.go does not say what becomes of map %s when an older layout is taken over", name)
		}
	})
	if err != nil {
		t.Fatal(err)
	}
}

func eachMapName(f func(name string)) error {
	spec, err := Spec()
	if err != nil {
		return err
	}
	for name := range spec.Maps {
		if pinned(name) {
			f(name)
		}
	}
	return nil
}
