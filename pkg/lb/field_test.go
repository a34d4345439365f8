package lb

import (
	"net/netip"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"
)

// TestEveryFieldOfTheVocabularyIsInATable changes each value that a balancer, a config and a node have, and
// looks for the key that shows it: what is in no table can be written in no file and set by no command. Ids are
// nobody's to write, and tags are a list as configs and nodes are.
func TestEveryFieldOfTheVocabularyIsInATable(t *testing.T) {
	allShown(t, BalancerFields, "ID", "Tags", "Configs")
	allShown(t, ConfigFields, "ID", "Nodes")
	allShown(t, NodeFields, "ID")
}

func allShown[T any](t *testing.T, table []Field[T], others ...string) {
	t.Helper()
	var v T
	shown := func() (out []string) {
		for i := range table {
			out = append(out, table[i].Get(&v))
		}
		return out
	}
	var walk func(value reflect.Value, path string)
	walk = func(value reflect.Value, path string) {
		before := shown()
		switch x := value.Addr().Interface().(type) {
		case *netip.Addr:
			*x = netip.MustParseAddr("192.0.2.1")
		case *netip.AddrPort:
			*x = netip.MustParseAddrPort("192.0.2.1:80")
		default:
			switch value.Kind() {
			case reflect.String:
				value.SetString("x")
			case reflect.Int, reflect.Int64:
				value.SetInt(7)
			case reflect.Uint16:
				value.SetUint(7)
			case reflect.Bool:
				value.SetBool(true)
			case reflect.Struct:
				for i := range value.NumField() {
					if name := value.Type().Field(i).Name; !slices.Contains(others, name) {
						walk(value.Field(i), path+"."+name)
					}
				}
				return
			default:
				t.Fatalf("%s: teach this test about %s", path, value.Type())
			}
		}
		if slices.Equal(before, shown()) {
			t.Errorf("%s is the value of no key", path)
		}
	}
	walk(reflect.ValueOf(&v).Elem(), reflect.TypeOf(v).Name())
}

// TestFieldsReadWhatTheyWrite gives each field what it must take, and what it must refuse.
func TestFieldsReadWhatTheyWrite(t *testing.T) {
	b := sample()[0]
	for _, bad := range [][]string{
		readsBack(t, BalancerFields, &b),
		readsBack(t, ConfigFields, &b.Configs[0]),
		readsBack(t, NodeFields, &b.Configs[0].Nodes[0]),
	} {
		for _, key := range bad {
			if !slices.Contains([]string{"check_body", "check_send", "check_expect", "check_service"}, key) {
				t.Errorf("%s takes anything", key)
			}
		}
	}
}

func readsBack[T any](t *testing.T, table []Field[T], v *T) (takeAnything []string) {
	t.Helper()
	for i := range table {
		f := &table[i]
		if text := f.Get(v); text != "" {
			if err := f.Set(v, text); err != nil || f.Get(v) != text || f.Reason(v) != "" {
				t.Errorf("%s: %q: %v, then %q (%s)", f.Key, text, err, f.Get(v), f.Reason(v))
			}
		}
		before := f.Get(v)
		if err := f.Set(v, "no such thing!"); err == nil {
			takeAnything = append(takeAnything, f.Key)
		} else if f.Get(v) != before || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: %v, and then it is %q, not %q", f.Key, err, f.Get(v), before)
		}
		if strings.Count(f.What, "`") != 2 || f.Must == "" || (f.Form == Word || f.Form == Truth) != (len(f.Words) > 0) {
			t.Errorf("%s says too little of itself: %+v", f.Key, f)
		}
		f.Clear(v)
		f.Spoil(v)
		if text := f.Get(v); text == before && before != "" && f.Form != Word && f.Form != Truth {
			t.Errorf("%s: still %q when spoiled", f.Key, text)
		}
	}
	return takeAnything
}

func TestWholeSecondsAreADuration(t *testing.T) {
	for text, want := range map[string]time.Duration{"2": 2 * time.Second, "250ms": 250 * time.Millisecond, "1h": time.Hour} {
		if got, err := parseDuration(text); err != nil || got != want {
			t.Errorf("%s: %v, %v", text, got, err)
		}
	}
	for _, text := range []string{"", "02", "2 s", "s", "1_0", "9999999999"} {
		if got, err := parseDuration(text); err == nil {
			t.Errorf("%q: %v", text, got)
		}
	}
}
