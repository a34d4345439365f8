package lb

import (
	"net/netip"
	"reflect"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

var compareAddresses = cmpopts.EquateComparable(netip.Addr{}, netip.AddrPort{})

// TestEveryFieldCounts changes each field in turn, so that a field added to the vocabulary cannot be
// forgotten by Equal, nor by Clone.
func TestEveryFieldCounts(t *testing.T) {
	fields := 0
	var walk func(v reflect.Value, path string, check func(path string))
	walk = func(v reflect.Value, path string, check func(path string)) {
		if v.CanInterface() {
			change := func(to any) {
				fields++
				old := reflect.ValueOf(v.Interface())
				v.Set(reflect.ValueOf(to).Convert(v.Type()))
				check(path)
				v.Set(old)
			}
			switch x := v.Interface().(type) {
			case netip.Addr:
				change(netip.MustParseAddr("198.51.100.77"))
				return
			case netip.AddrPort:
				change(netip.MustParseAddrPort("198.51.100.77:7"))
				return
			case time.Duration:
				change(x + 1)
				return
			}
			switch v.Kind() {
			case reflect.String:
				change(v.String() + "x")
			case reflect.Int:
				change(v.Int() + 1)
			case reflect.Bool:
				change(!v.Bool())
			case reflect.Uint16:
				change(v.Uint() + 1)
			case reflect.Struct:
				for i := range v.NumField() {
					walk(v.Field(i), path+"."+v.Type().Field(i).Name, check)
				}
			case reflect.Slice:
				walk(v.Index(0), path+"[0]", check)
			default:
				t.Fatalf("%s: teach this test about %s", path, v.Type())
			}
		}
	}

	original := sample()
	changed := Clone(original)
	if !Equal(original, changed) {
		t.Fatal("a clone is not equal")
	}
	walk(reflect.ValueOf(changed), "balancers", func(path string) {
		if Equal(original, changed) {
			t.Errorf("%s changed, Equal does not see it", path)
		}
		if diff := cmp.Diff(sample(), original, compareAddresses); diff != "" {
			t.Fatalf("%s: the clone shares memory: %s", path, diff)
		}
	})
	if fields < 20 {
		t.Errorf("only %d fields were changed", fields)
	}
}

func TestOrderAndLengthCount(t *testing.T) {
	a, b := sample(), sample()
	n := b[0].Configs[0].Nodes
	n[0], n[1] = n[1], n[0]
	if Equal(a, b) {
		t.Error("order of nodes")
	}
	b = sample()
	b[0].Configs = b[0].Configs[:1]
	if Equal(a, b) || Equal(a, a[:1]) {
		t.Error("length")
	}
}

func TestNilAndEmptyAreEqual(t *testing.T) {
	if !Equal(nil, []Balancer{}) || !Equal([]Balancer{{Label: "a"}}, []Balancer{{Label: "a", Configs: []Config{}}}) {
		t.Error("nil and empty differ")
	}
	if Clone(nil) != nil {
		t.Error("the clone of nil is not nil")
	}
}
