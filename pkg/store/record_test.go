package store

import (
	"encoding/json"
	"net/netip"
	"reflect"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/headgate/headgate/pkg/lb"
)

// TestTheRecordOnDiskIsThis changes only together with schema, and with a translation of the old one.
func TestTheRecordOnDiskIsThis(t *testing.T) {
	const want = `{"label":"web","ipv4":"203.0.113.10","ipv6":"2001:db8::10","configs":[{"port":53,"protocol":"udp","algorithm":"roundrobin",` +
		`"on_no_backend":"open","on_down":"reset","tcp_idle_ns":3600000000001,"udp_idle_ns":16000000001,` +
		`"check":"connection","check_port":5353,"check_interval_ns":31000000001,"check_timeout_ns":29999999999,"check_attempts":7,"check_rise":8,` +
		`"nodes":[{"label":"ns-1","address":"192.0.2.11:53","weight":100,"mode":"drain","override":"down"},` +
		`{"label":"ns-1","address":"[2001:db8:1::11]:53","weight":255,"mode":"backup","override":"up"}]}]}`
	record, err := encodeBalancer(full()[0])
	if err != nil {
		t.Fatal(err)
	}
	body, err := checked(record)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, string(body)); diff != "" {
		t.Error(diff)
	}
	back, err := decodeBalancer(record)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(full()[0], back, compareOptions); diff != "" {
		t.Error(diff)
	}
}

// TestWhatAnOlderRecordLacksHasItsDefault reads a record of schema 1.
func TestWhatAnOlderRecordLacksHasItsDefault(t *testing.T) {
	const old = `{"label":"web","ipv4":"203.0.113.10","configs":[{"port":80,"protocol":"tcp","algorithm":"roundrobin",` +
		`"on_no_backend":"reset","on_down":"keep","tcp_idle_ns":3600000000000,"udp_idle_ns":16000000000,` +
		`"check":"connection","check_interval_ns":31000000000,"check_timeout_ns":30000000000,"check_attempts":3,"check_rise":1,` +
		`"nodes":[{"label":"web-1","address":"192.0.2.11:8080","weight":50,"mode":"accept"}]}]}`
	want := lb.Balancer{Label: "web", IPv4: netip.MustParseAddr("203.0.113.10"), Configs: []lb.Config{{
		Port: 80, Check: lb.Check{Type: lb.CheckConnection},
		Nodes: []lb.Node{{Label: "web-1", Address: netip.MustParseAddrPort("192.0.2.11:8080"), Weight: lb.DefaultWeight}},
	}}}
	want.SetDefaults()
	record, err := seal(json.RawMessage(old))
	if err != nil {
		t.Fatal(err)
	}
	got, err := decodeBalancer(record)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got, compareOptions); diff != "" {
		t.Error(diff)
	}
}

// TestNoFieldOfTheVocabularyIsForgotten looks for a field that the sample leaves zero: then the test
// above could not see that the record lacks it.
func TestNoFieldOfTheVocabularyIsForgotten(t *testing.T) {
	var walk func(v reflect.Value, path string)
	walk = func(v reflect.Value, path string) {
		if v.IsZero() {
			t.Errorf("%s is not in the sample", path)
		}
		switch {
		case v.Kind() == reflect.Slice && v.Len() > 0:
			walk(v.Index(0), path+"[0]")
		case v.Kind() == reflect.Struct && v.Type().PkgPath() != "net/netip":
			for i := range v.NumField() {
				walk(v.Field(i), path+"."+v.Type().Field(i).Name)
			}
		}
	}
	walk(reflect.ValueOf(full()), "balancers")
}

func TestARecordThatIsNotWholeIsNoRecord(t *testing.T) {
	data, err := encodeBalancer(full()[0])
	if err != nil {
		t.Fatal(err)
	}
	for n := range data {
		if _, err := decodeBalancer(data[:n]); err == nil {
			t.Fatalf("cut to %d bytes it was taken", n)
		}
		changed := append([]byte(nil), data...)
		changed[n] ^= 1
		if _, err := decodeBalancer(changed); err == nil {
			t.Fatalf("with byte %d changed it was taken", n)
		}
	}
	unknown, err := seal(map[string]any{"label": "web", "bogus": 1})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := decodeBalancer(unknown); err == nil {
		t.Error("an unknown field was taken")
	}
}
