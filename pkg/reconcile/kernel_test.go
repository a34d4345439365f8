package reconcile

import (
	"os"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/headgate/headgate/loader"
	"github.com/headgate/headgate/pkg/lb"
	"github.com/headgate/headgate/pkg/maps"
	"github.com/headgate/headgate/pkg/netdev"
	"github.com/headgate/headgate/pkg/state"
)

// kernelTables makes maps of the kernel for one test.
func kernelTables(t *testing.T) *maps.Kernel {
	if os.Getuid() != 0 {
		t.Skip("making BPF maps takes root")
	}
	k, m, err := maps.Scratch(16)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := k.Close(); err != nil {
			t.Error(err)
		}
		loader.CloseMaps(m)
	})
	return k
}

// throughLo makes a View whose only interface is one that every namespace has.
func throughLo(v *state.View) *state.View {
	out := *v
	out.Hops = netdev.Hops{}
	out.Services = nil
	for _, s := range v.Services {
		nodes := make([]state.Node, len(s.Nodes))
		for i, n := range s.Nodes {
			n.Hop.IfIndex, n.Hop.SrcMAC = 1, [6]byte{2, 0, 0, 0, 0, 1}
			nodes[i] = n
		}
		s.Nodes = nodes
		out.Services = append(out.Services, s)
	}
	return &out
}

func TestKernelMapsSayWhatFakeOnesSay(t *testing.T) {
	w := newWorld(t)
	k := kernelTables(t)
	kernel, fake := New(k, w.options()), w.r
	views := []func(){
		func() { w.desire(w.balancer(lb.TCP, "a", "b", "c")) },
		func() { w.health("a", lb.Down) },
		func() { w.desire(w.balancer(lb.UDP, "b", "d")) },
		func() { w.desire() },
	}
	for step, change := range views {
		change()
		for range 8 {
			v := throughLo(w.state.View())
			if _, err := kernel.Apply(v, nil); err != nil {
				t.Fatalf("step %d, kernel: %v", step, err)
			}
			if _, err := fake.Apply(v, nil); err != nil {
				t.Fatalf("step %d, fake: %v", step, err)
			}
			if diff := cmp.Diff(content(w.tables, w.tables.Reader()), content(k, k.Reader())); diff != "" {
				t.Fatalf("step %d: kernel maps differ (-fake +kernel):\n%s", step, diff)
			}
			w.clock.advance(2 * time.Second)
		}
	}
	if services, err := k.Reader().Services(); err != nil || len(services) > 0 {
		t.Errorf("left over: %v, %v", services, err)
	}
}

func TestRestartOnKernelMapsWritesNothing(t *testing.T) {
	w := newWorld(t)
	k := kernelTables(t)
	w.desire(w.balancer(lb.TCP, "a", "b"), w.balancer(lb.UDP, "c"))
	v := throughLo(w.state.View())
	if _, err := New(k, w.options()).Apply(v, nil); err != nil {
		t.Fatal(err)
	}
	r := New(k, w.options())
	restored, err := r.Restore()
	if err != nil || len(restored) != 3 {
		t.Fatalf("restored %v, %v; want 3 nodes", restored, err)
	}
	if done, err := r.Apply(v, nil); err != nil || done.Writes != 0 {
		t.Errorf("%d writes, %v; want none", done.Writes, err)
	}
}
