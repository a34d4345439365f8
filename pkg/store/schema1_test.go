package store

import (
	"compress/gzip"
	"io"
	"net/netip"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	bolt "go.etcd.io/bbolt"

	"github.com/headgate/headgate/pkg/lb"
)

// of1 is what the store of schema 1 declares at revision 2; what the schema did not have has its default.
func of1() []lb.Balancer {
	b := lb.Balancer{
		Label: "web", IPv4: netip.MustParseAddr("203.0.113.10"), IPv6: netip.MustParseAddr("2001:db8::10"),
		Configs: []lb.Config{{
			Port: 53, Protocol: lb.UDP, Algorithm: lb.RoundRobin, OnNoBackend: lb.NoBackendOpen, OnDown: lb.DownReset,
			TCPIdle: time.Hour + 1, UDPIdle: 16*time.Second + 1,
			Check: lb.Check{Type: lb.CheckConnection, Port: 5353, Interval: 31*time.Second + 1, Timeout: 30*time.Second - 1, Attempts: 7, Rise: 8},
			Nodes: []lb.Node{
				{Label: "ns-1", Address: netip.MustParseAddrPort("192.0.2.11:53"), Weight: 100, Mode: lb.Drain},
				{Label: "ns-1", Address: netip.MustParseAddrPort("[2001:db8:1::11]:53"), Weight: 255, Mode: lb.Backup},
			},
		}},
	}
	b.SetDefaults()
	return []lb.Balancer{b, balancer(7, 3)}
}

// schema1 puts a store in dir as the first release wrote it.
func schema1(t *testing.T, dir string) {
	t.Helper()
	f, err := os.Open(filepath.Join("testdata", "schema1.db.gz"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	data, err := io.ReadAll(z)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, FileName), data, 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestAStoreOfSchema1IsMigrated(t *testing.T) {
	dir := t.TempDir()
	schema1(t, dir)
	want := Desired{Revision: 2, Balancers: of1()}
	var first Desired
	for round := range 2 {
		s := openStore(t, dir)
		d := s.Get()
		if diff := cmp.Diff(want, d, compareOptions); diff != "" {
			t.Error(diff)
		}
		if got := ids(d.Balancers); !cmp.Equal(got, []int{1, 2, 3, 4, 5, 6, 7, 8, 9}) {
			t.Errorf("ids %v", got)
		}
		if round == 0 {
			first = d
		}
		if diff := cmp.Diff(first, d, exact); diff != "" {
			t.Errorf("opened again: %s", diff)
		}
		mustClose(t, s)
	}
	s := openStore(t, dir)
	defer mustClose(t, s)
	if d := set(t, s, want.Balancers[:1]); d.Revision != 3 {
		t.Errorf("revision %d", d.Revision)
	}
}

func TestUDPNodesOfSchema1AreCheckedWhereTheyWere(t *testing.T) {
	for port, want := range map[uint16]uint16{0: 53, 5353: 5353} {
		r := balancerRecord1{Configs: []configRecord1{{
			Protocol: "udp", Check: "connection", CheckPort: port, Nodes: []nodeRecord1{{Address: netip.MustParseAddrPort("192.0.2.11:53")}},
		}}}
		b := r.restore()
		if got := b.Configs[0].Probe().Port; got != want {
			t.Errorf("check_port %d: checked at %d, want %d", port, got, want)
		}
	}
}

func TestADamagedStoreOfSchema1IsRefusedAndLeftAlone(t *testing.T) {
	for name, tt := range map[string]struct {
		damage func(tx *bolt.Tx) error
		want   string
	}{
		"balancer missing": {func(tx *bolt.Tx) error { return tx.Bucket(balancersBucket).Delete([]byte("web")) }, "balancer web: no record"},
		"one too many": {func(tx *bolt.Tx) error {
			b := tx.Bucket(balancersBucket)
			return b.Put([]byte("more"), b.Get([]byte("web")))
		}, "3 balancers instead of 2"},
		"not valid": {func(tx *bolt.Tx) error {
			data, err := seal(balancerRecord1{Label: "web"})
			if err != nil {
				return err
			}
			return tx.Bucket(balancersBucket).Put([]byte("web"), data)
		}, "balancers[0]: needs a virtual address"},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			schema1(t, dir)
			edit(t, dir, tt.damage)
			before, err := os.ReadFile(filepath.Join(dir, FileName))
			if err != nil {
				t.Fatal(err)
			}
			_, err = Open(dir)
			wantOpenError(t, err, ErrCorrupted, tt.want)
			if after, err := os.ReadFile(filepath.Join(dir, FileName)); err != nil || string(after) != string(before) {
				t.Errorf("the file was changed (%v)", err)
			}
		})
	}
}
