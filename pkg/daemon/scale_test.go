package daemon

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"

	"github.com/headgate/headgate/pkg/maps"
	"github.com/headgate/headgate/pkg/store"
)

// crowded is a file of so many balancers, each with so many configs of so many nodes.
func crowded(balancers, configs, nodes int) string {
	var b strings.Builder
	b.WriteString("interfaces: [eth0]\nbalancers:\n")
	count := 0
	for i := range balancers {
		fmt.Fprintf(&b, "  - label: lb-%d\n    ipv4: 203.%d.%d.1\n    configs:\n", i, i/200, i%200)
		for p := range configs {
			fmt.Fprintf(&b, "      - port: %d\n        check: connection\n        nodes:\n", 1000+p)
			for range nodes {
				count++
				a := netip.AddrFrom4([4]byte{10, byte(count >> 16), byte(count >> 8), byte(count)})
				fmt.Fprintf(&b, "          - {label: n-%d, address: \"%s:80\"}\n", count, a)
			}
		}
	}
	return b.String()
}

// BenchmarkOneChange is a change of one node among ten thousand, from the store to the maps.
func BenchmarkOneChange(b *testing.B) {
	b.Run("1,000 configs of 10", func(b *testing.B) { oneChange(b, 100, 10, 10, "roundrobin") })
	b.Run("1 config of 10,000", func(b *testing.B) { oneChange(b, 1, 1, 10_000, "roundrobin") })
	b.Run("1 config of 10,000, by hash", func(b *testing.B) { oneChange(b, 1, 1, 10_000, "source") })
}

func oneChange(b *testing.B, balancers, configs, nodes int, algorithm string) {
	file := strings.ReplaceAll(crowded(balancers, configs, nodes), "check: connection", "check: connection\n        algorithm: "+algorithm)
	r := newRigOf(b, file, maps.FakeSizes{Nodes: 32768, Services: 8192, Slots: 1 << 22})
	disk, err := store.Open(b.TempDir())
	if err != nil {
		b.Fatal(err)
	}
	if _, err := disk.Change(func(d *store.Draft) error { d.Replace(r.store.Get().Balancers); return nil }); err != nil {
		b.Fatal(err)
	}
	r.engine.store = disk
	r.takeNetwork()
	r.takeDesired()
	r.settle(true)
	i := 0
	b.ResetTimer()
	for b.Loop() {
		i++
		if _, err := disk.Change(func(d *store.Draft) error {
			x, _ := d.Edit(d.Balancers()[i%balancers].ID)
			n := &x.Configs[i%configs].Nodes[i%7]
			n.Weight = 1 + (n.Weight+1)%255
			return nil
		}); err != nil {
			b.Fatal(err)
		}
		r.takeDesired()
		r.settle(false)
	}
}
