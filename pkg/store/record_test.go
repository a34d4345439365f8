package store

import (
	"encoding/json"
	"fmt"
	"reflect"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	bolt "go.etcd.io/bbolt"

	"github.com/headgate/headgate/pkg/lb"
)

// TestTheRecordsOnDiskAreThese changes only together with schema, and with a translation of the old ones. (With a
// key that is new to the vocabulary the schema goes up once a release: an older version would refuse it.)
func TestTheRecordsOnDiskAreThese(t *testing.T) {
	fields, err := json.Marshal(valuesOf(&full()[0].Configs[0], lb.ConfigFields))
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]string{
		"meta state": `{"schema":2,"revision":2,"last_id":4,"order":[1]}`,
		"balancers 1": `{"fields":{"announce":"true","client_conn_throttle":"20","client_udp_sess_throttle":"5","ipv4":"203.0.113.10","ipv6":"2001:db8::10","label":"web"},"tags":["a","b"],"type":"premium",` +
			`"created":"2026-01-02T03:04:05Z","updated":"2026-01-02T03:04:05Z","configs":[2]}`,
		"configs 2": fmt.Sprintf(`{"fields":%s,"http":true,"cipher_suite":"legacy","nodes":[3,4]}`, fields),
		"nodes 3":   `{"fields":{"address":"192.0.2.11:53","label":"ns-1","max_conns":"9","mode":"drain","override":"down","weight":"100"}}`,
		"nodes 4":   `{"fields":{"address":"[2001:db8:1::11]:53","label":"ns-1","max_conns":"10","mode":"backup","override":"up","weight":"255"}}`,
	}
	dir := t.TempDir()
	s, err := Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	s.now = func() time.Time { return time.Date(2026, 1, 2, 3, 4, 5, 678, time.Local).UTC() }
	noted(t, s)
	s.now = time.Now
	kept := s.Get()
	mustClose(t, s)
	got := map[string]string{}
	edit(t, dir, func(tx *bolt.Tx) error {
		return tx.ForEach(func(name []byte, b *bolt.Bucket) error {
			return b.ForEach(func(k, v []byte) error {
				id := string(k)
				if len(k) == 8 {
					id = string('0' + rune(k[7]))
				}
				body, err := checked(v)
				got[string(name)+" "+id] = string(body)
				return err
			})
		})
	})
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	back := openStore(t, dir)
	defer mustClose(t, back)
	if diff := cmp.Diff(kept, back.Get(), exact); diff != "" {
		t.Error(diff)
	}
}

// noted declares the sample with every note.
func noted(t failer, s keeper) Desired {
	t.Helper()
	d, err := s.Change(func(d *Draft) error {
		d.Replace(full())
		return nil
	})
	if err == nil {
		d, err = s.Change(func(d *Draft) error {
			b, note := d.Edit(1)
			note.Type = "premium"
			note.SetConfig(b.Configs[0].ID, ConfigNote{HTTP: true, CipherSuite: "legacy"})
			return nil
		})
	}
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// TestNoFieldOfTheVocabularyIsForgotten looks for a field that the sample leaves zero: then no test could see
// that it does not come back from the disk. Ids are the store's to give.
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
				if name := v.Type().Field(i).Name; name != "ID" {
					walk(v.Field(i), path+"."+name)
				}
			}
		}
	}
	walk(reflect.ValueOf(full()), "balancers")
}

func TestARecordThatIsNotWholeIsNoRecord(t *testing.T) {
	data, err := seal(recordConfig(&full()[0].Configs[0], ConfigNote{}))
	if err != nil {
		t.Fatal(err)
	}
	for n := range data {
		if err := unseal(data[:n], &configRecord{}); err == nil {
			t.Fatalf("cut to %d bytes it was taken", n)
		}
		changed := append([]byte(nil), data...)
		changed[n] ^= 1
		if err := unseal(changed, &configRecord{}); err == nil {
			t.Fatalf("with byte %d changed it was taken", n)
		}
	}
	unknown, err := seal(map[string]any{"label": "web", "bogus": 1})
	if err != nil {
		t.Fatal(err)
	}
	if err := unseal(unknown, &balancerRecord{}); err == nil {
		t.Error("an unknown field was taken")
	}
	for want, r := range map[string]nodeRecord{
		"has 1 fields, and 0 of them are known": {values{"bogus": "1"}},
		"weight must be from 1 to 255, not 256": {values{"weight": "256"}},
	} {
		if _, err := r.restore(1); err == nil || err.Error() != want {
			t.Errorf("%v: %v", r, err)
		}
	}
}

// TestWhatARecordLacksHasItsDefault reads a config as an older version wrote it.
func TestWhatARecordLacksHasItsDefault(t *testing.T) {
	data, err := seal(configRecord{Fields: values{"port": "80"}})
	if err != nil {
		t.Fatal(err)
	}
	var r configRecord
	if err := unseal(data, &r); err != nil {
		t.Fatal(err)
	}
	got, _, err := r.restore(7)
	if err != nil {
		t.Fatal(err)
	}
	want := lb.Config{ID: 7, Port: 80}
	want.SetDefaults()
	if diff := cmp.Diff(want, got, exact); diff != "" {
		t.Error(diff)
	}
}

// Before check_passive was a key of the vocabulary, what clients of the API wanted was a note.
func TestWhatOlderRecordsSayOfPassiveHolds(t *testing.T) {
	for text, want := range map[string]lb.Switch{
		`{"fields":{"port":"80","protocol":"tcp"}}`:                                          lb.On,
		`{"fields":{"port":"80","protocol":"tcp"},"no_passive":true}`:                        lb.Off,
		`{"fields":{"port":"80","protocol":"tcp","check_passive":"true"},"no_passive":true}`: lb.On,
		`{"fields":{"port":"53","protocol":"udp"},"nodes":[3]}`:                              lb.Off,
	} {
		var r configRecord
		if err := json.Unmarshal([]byte(text), &r); err != nil {
			t.Fatal(err)
		}
		c, _, err := r.restore(1)
		if err != nil || c.Check.Passive != want {
			t.Errorf("%s: %s, want %s (%v)", text, c.Check.Passive, want, err)
		}
	}
}
