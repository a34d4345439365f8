package daemon

import (
	"context"
	"errors"
	"net/netip"
	"os"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/headgate/headgate/pkg/api"
	"github.com/headgate/headgate/pkg/lb"
	"github.com/headgate/headgate/pkg/maps"
	"github.com/headgate/headgate/pkg/netdev"
	"github.com/headgate/headgate/pkg/reconcile"
)

// running runs the engine in a bubble of fake time while the test does its part.
func running(t *testing.T, content string, test func(t *testing.T, r *rig)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, content)
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- r.run(ctx) }()
		synctest.Wait()
		test(t, r)
		cancel()
		if err := <-done; err != nil {
			t.Errorf("the engine ended with %v", err)
		}
	})
}

// inMaps gives the node at that address as the maps have it.
func (r *rig) inMaps(t *testing.T, address string) maps.NodeState {
	t.Helper()
	nodes, err := r.tables.Reader().Nodes()
	if err != nil {
		t.Fatal(err)
	}
	for _, n := range nodes {
		if n.Address == netip.MustParseAddrPort(address) {
			return n
		}
	}
	t.Fatalf("no node %s in the maps: %+v", address, nodes)
	return maps.NodeState{}
}

func (r *rig) setMode(mode lb.Mode) uint64 {
	d, _ := r.store.Update(func(b []lb.Balancer) ([]lb.Balancer, error) {
		b[0].Configs[0].Nodes[0].Mode = mode
		return b, nil
	})
	return d.Revision
}

func TestAChangeIsInTheMapsAtOnce(t *testing.T) {
	running(t, twoNodes, func(t *testing.T, r *rig) {
		generation := r.setMode(lb.Drain)
		synctest.Wait() // no time passes
		if n := r.inMaps(t, "192.0.2.11:8080"); n.Status.Mode != lb.Drain {
			t.Errorf("the maps say %s", n.Status.Mode)
		}
		if g := r.progress.now(); g.Applied != generation || g.Desired != generation {
			t.Errorf("%+v, want %d", g, generation)
		}
	})
}

// What people set wins over what checks find, and both are shown.
func TestOverrideIsInTheMapsAtOnceAndApartFromHealth(t *testing.T) {
	running(t, twoNodes, func(t *testing.T, r *rig) {
		b := backendOf(r)
		r.checks.result(web1, lb.Down, "refused")
		for _, tt := range []struct {
			override lb.Override
			takes    bool
		}{{lb.OverrideUp, true}, {lb.OverrideDown, false}, {lb.OverrideNone, false}} {
			if _, err := b.Edit(t.Context(), setNode("web/80/web-1", "override", string(tt.override))); err != nil {
				t.Fatal(err)
			}
			synctest.Wait()
			n := r.inMaps(t, "192.0.2.11:8080")
			if takes := n.Status.Actions&maps.TakesNew != 0; takes != tt.takes || n.Status.Override != tt.override || n.Status.Health != lb.Down {
				t.Errorf("override %s: the maps say %+v", tt.override, n.Status)
			}
			st, err := b.Status(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			shown, err := st.Node("web/80/web-1")
			if err != nil || shown.Health != "DOWN" || shown.Reason != "refused" || shown.Override != override(tt.override) || shown.TakesNew != tt.takes {
				t.Errorf("override %s: status says %+v (%v)", tt.override, shown, err)
			}
			dead, err := (&Pinned{looker: newLooker(r.tables.Reader())}).reader.Nodes()
			if got := configsOf(dead, nil, nil)[0].Nodes[0]; err != nil || got.Override != override(tt.override) || got.Health != "DOWN" {
				t.Errorf("override %s: without a daemon %+v (%v)", tt.override, got, err)
			}
		}
		r.setMode(lb.Drain)
		if _, err := b.Edit(t.Context(), setNode("web/80/web-1", "override", "up")); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if n := r.inMaps(t, "192.0.2.11:8080"); n.Status.Actions != maps.Reports {
			t.Errorf("a node in drain does %v for its being held up", n.Status.Actions)
		}
	})
}

func TestHealthIsInTheMapsAtOnce(t *testing.T) {
	running(t, twoNodes, func(t *testing.T, r *rig) {
		if len(r.checks.targets) != 2 {
			t.Errorf("checked: %v", r.checks.targets)
		}
		r.checks.result(web1, lb.Down, "refused")
		synctest.Wait()
		if n := r.inMaps(t, "192.0.2.11:8080"); n.Status.Health != lb.Down {
			t.Errorf("the maps say %s", n.Status.Health)
		}
		if r.progress.now().Applied != r.progress.now().Desired {
			t.Errorf("a result is no change of what is desired: %+v", r.progress.now())
		}
	})
}

func TestTheTimeOfTheLastCheckReachesTheMapsWithinASecond(t *testing.T) {
	running(t, twoNodes, func(t *testing.T, r *rig) {
		r.checks.result(web1, lb.Up, "")
		time.Sleep(10 * time.Second)
		r.checks.mu.Lock()
		again := r.checks.results[web1]
		again.At = time.Now()
		r.checks.results[web1] = again // confirmed, which nobody announces
		r.checks.mu.Unlock()
		time.Sleep(tickInterval)
		synctest.Wait()
		if n := r.inMaps(t, "192.0.2.11:8080"); !n.CheckedAt.Equal(again.At) {
			t.Errorf("the maps say %v, the check was at %v", n.CheckedAt, again.At)
		}
	})
}

func TestAFailedWriteIsSaidAndTriedAgain(t *testing.T) {
	running(t, twoNodes, func(t *testing.T, r *rig) {
		before := r.progress.now().Applied
		r.broken.mu.Lock()
		r.broken.failures = slices.Repeat([]error{errors.Join(errors.New("map full"), errors.New("map gone"))}, 3)
		r.broken.mu.Unlock()
		generation := r.setMode(lb.Reject)
		synctest.Wait()
		if g := r.progress.now(); g.Applied != before || g.Desired != generation {
			t.Errorf("while it fails: %+v", g)
		}
		warnings := strings.Join(r.published.Load().warnings, "\n")
		if !strings.Contains(warnings, "the data path runs generation 1, 2 is wanted: map full; map gone") {
			t.Errorf("warnings: %q", warnings)
		}
		if err := r.progress.wait(t.Context(), generation); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if w := r.published.Load().warnings; len(w) > 0 {
			t.Errorf("after it worked: %q", w)
		}
		if n := r.inMaps(t, "192.0.2.11:8080"); n.Status.Mode != lb.Reject {
			t.Errorf("the maps say %s", n.Status.Mode)
		}
	})
}

func TestRetriesGrowApart(t *testing.T) {
	running(t, twoNodes, func(t *testing.T, r *rig) {
		r.broken.mu.Lock()
		r.broken.failures = slices.Repeat([]error{errors.New("no")}, 1000)
		r.broken.tries = 0
		r.broken.mu.Unlock()
		r.setMode(lb.Reject)
		time.Sleep(time.Minute)
		synctest.Wait()
		r.broken.mu.Lock()
		defer r.broken.mu.Unlock()
		if r.broken.tries < 10 || r.broken.tries > 20 {
			t.Errorf("%d tries in a minute", r.broken.tries)
		}
	})
}

func TestRemovedNodesKeepTheirNextHopsWhileFlowsLast(t *testing.T) {
	running(t, twoNodes, func(t *testing.T, r *rig) {
		gone := r.inMaps(t, "192.0.2.11:8080")
		flow := maps.Flow{
			Protocol: lb.TCP, Class: maps.Established, NodeID: gone.ID,
			Client: netip.MustParseAddrPort("198.51.100.7:40000"), VIP: netip.MustParseAddrPort("203.0.113.10:80"),
			Source: netip.MustParseAddrPort("10.0.0.1:1600"), Node: gone.Address,
		}
		if err := r.tables.AddFlow(flow); err != nil {
			t.Fatal(err)
		}
		_, _ = r.store.Update(func(b []lb.Balancer) ([]lb.Balancer, error) {
			b[0].Configs[0].Nodes = b[0].Configs[0].Nodes[1:]
			return b, nil
		})
		time.Sleep(time.Minute)
		synctest.Wait()
		if !slices.Contains(r.network.targets, gone.Address.Addr()) {
			t.Errorf("with a flow: next hops are kept for %v", r.network.targets)
		}
		r.tables.EndFlows(gone.ID)
		r.network.tell()
		time.Sleep(time.Minute)
		synctest.Wait()
		if slices.Contains(r.network.targets, gone.Address.Addr()) {
			t.Errorf("without: next hops are kept for %v", r.network.targets)
		}
	})
}

func TestSIGHUPAppliesTheFileAgain(t *testing.T) {
	running(t, twoNodes, func(t *testing.T, r *rig) {
		r.setMode(lb.Drain)
		r.reload <- os.Interrupt
		synctest.Wait()
		if n := r.inMaps(t, "192.0.2.11:8080"); n.Status.Mode != lb.Accept {
			t.Errorf("the file wins, yet the maps say %s", n.Status.Mode)
		}
		r.write(t, strings.Replace(twoNodes, "weight: 100", "weight: 7", 1))
		r.reload <- os.Interrupt
		synctest.Wait()
		if n := r.inMaps(t, "192.0.2.12:8080"); n.Weight != 7 {
			t.Errorf("the maps say weight %d", n.Weight)
		}
	})
}

func TestAFaultyFileChangesNothingAndStatusSaysSo(t *testing.T) {
	running(t, twoNodes, func(t *testing.T, r *rig) {
		r.setMode(lb.Drain)
		synctest.Wait()
		before := r.progress.now()
		r.write(t, strings.NewReplacer("weight: 100", "weight: 256", "port: 80", "port: 0").Replace(twoNodes))
		r.reload <- os.Interrupt
		synctest.Wait()
		if n := r.inMaps(t, "192.0.2.11:8080"); n.Status.Mode != lb.Drain || r.progress.now() != before {
			t.Errorf("the maps say %s, %+v", n.Status.Mode, r.progress.now())
		}
		s := r.published.Load()
		if len(s.file.Faults) != 2 || !strings.Contains(s.file.Faults[0], r.path+":7:") {
			t.Errorf("faults: %q", s.file.Faults)
		}
		if w := strings.Join(s.warnings, "\n"); !strings.Contains(w, "keeps what it runs") || !strings.Contains(w, "256") {
			t.Errorf("warnings: %q", w)
		}
		r.write(t, twoNodes)
		r.reload <- os.Interrupt
		synctest.Wait()
		if s := r.published.Load(); len(s.file.Faults) > 0 || len(s.warnings) > 0 {
			t.Errorf("after it was mended: %q, %q", s.file.Faults, s.warnings)
		}
	})
}

func TestAFileThatCannotBeReadHasNoFault(t *testing.T) {
	logged(t, twoNodes, func(t *testing.T, r *rig, j *journal) {
		if err := os.Remove(r.path); err != nil {
			t.Fatal(err)
		}
		r.rereadFile()
		s := r.published.Load()
		if len(s.warnings) != 1 || !strings.HasPrefix(s.warnings[0], r.path+" cannot be read, nothing is changed: ") {
			t.Errorf("warnings: %q", s.warnings)
		}
		if lines := j.take(); len(lines) != 1 || !strings.Contains(lines[0], "cannot be read, nothing is changed: ") || strings.Contains(lines[0], "fault=") {
			t.Errorf("the log says %q", lines)
		}
		if len(s.file.Faults) != 1 || r.store.Get().Revision != 1 {
			t.Errorf("%+v, revision %d", s.file, r.store.Get().Revision)
		}
	})
}

func TestAFileThatContradictsWhatItDoesNotNameChangesNothing(t *testing.T) {
	running(t, twoNodes, func(t *testing.T, r *rig) {
		r.write(t, strings.Replace(twoNodes, "label: web\n", "label: other\n", 1)) // with the VIP of web
		r.reload <- os.Interrupt
		synctest.Wait()
		s := r.published.Load()
		if len(s.file.Faults) != 1 {
			t.Fatalf("faults: %q", s.file.Faults)
		}
		// In words of the file, and with the way out: this is what a new label looks like.
		for _, part := range []string{"other: ipv4 203.0.113.10 is already the VIP of web", "headgate apply --prune"} {
			if !strings.Contains(s.file.Faults[0], part) {
				t.Errorf("%q lacks %q", s.file.Faults[0], part)
			}
		}
		if d := r.store.Get(); len(d.Balancers) != 1 || d.Balancers[0].Label != "web" {
			t.Errorf("desired: %+v", d.Balancers)
		}
	})
}

func TestSettingsThatNeedARestartAreNamed(t *testing.T) {
	running(t, twoNodes, func(t *testing.T, r *rig) {
		r.write(t, strings.Replace(twoNodes, "[eth0]", "[eth0, eth1]", 1)+"snat: [10.9.9.9]\n")
		r.reload <- os.Interrupt
		synctest.Wait()
		w := strings.Join(r.published.Load().warnings, "\n")
		if !strings.Contains(w, "interfaces was changed") || !strings.Contains(w, "snat was changed") || strings.Contains(w, "bpffs") {
			t.Errorf("warnings: %q", w)
		}
	})
}

func TestASettingThatOutlivesARestartIsNotSaidToCountFromIt(t *testing.T) {
	running(t, twoNodes, func(t *testing.T, r *rig) {
		r.write(t, twoNodes+"flow_table: {v4: 2048}\nbpffs: /sys/fs/bpf/other\n")
		r.reload <- os.Interrupt
		synctest.Wait()
		warnings := r.published.Load().warnings
		if len(warnings) != 2 {
			t.Fatalf("warnings: %q", warnings)
		}
		bpffs, table := warnings[0], warnings[1]
		if !strings.Contains(bpffs, "in /sys/fs/bpf/headgate stays attached") || !strings.Contains(bpffs, "headgate --bpffs /sys/fs/bpf/headgate detach") {
			t.Errorf("bpffs: %q", bpffs)
		}
		if !strings.Contains(table, "flow_table was changed there and counts only after") || !strings.Contains(table, "headgate detach") || strings.Contains(table, "next start") {
			t.Errorf("flow_table: %q", table)
		}
	})
}

func TestAnInterfaceThatGoesAndComesIsAttachedAgain(t *testing.T) {
	running(t, twoNodes, func(t *testing.T, r *rig) {
		r.network.setLinks(netdev.Link{Index: 3, Name: "eth1", Up: true})
		synctest.Wait()
		s := r.published.Load()
		if s.interfaces[0].Index != 0 || !strings.Contains(strings.Join(s.warnings, "\n"), "interface eth0 is gone") {
			t.Errorf("while gone: %+v, %q", s.interfaces, s.warnings)
		}
		r.network.setLinks(netdev.Link{Index: 9, Name: "eth0", Up: true})
		synctest.Wait()
		s = r.published.Load()
		if s.interfaces[0].Index != 9 || s.interfaces[0].Mode != "native" || len(s.warnings) > 0 {
			t.Errorf("when back: %+v, %q", s.interfaces, s.warnings)
		}
		if !slices.Equal(r.attacher.kept, []int{9}) {
			t.Errorf("kept: %v", r.attacher.kept)
		}
	})
}

func TestProbesAreNotSentFromAVIP(t *testing.T) {
	running(t, twoNodes, func(t *testing.T, r *rig) {
		dst := netip.MustParseAddr("192.0.2.11")
		if a := r.probeSource(dst); a.IsValid() {
			t.Errorf("the kernel's choice is good, yet %v", a)
		}
		r.setVIP(t, "10.0.0.1") // what the kernel would send from
		r.network.setLinks(netdev.Link{Index: 2, Name: "eth0", Up: true, Addrs: []netip.Addr{
			netip.MustParseAddr("fd00::1"), netip.MustParseAddr("10.0.0.1"), netip.MustParseAddr("10.0.0.2"),
		}})
		synctest.Wait()
		if a := r.probeSource(dst); a != netip.MustParseAddr("10.0.0.2") {
			t.Errorf("%v, want the link's other address", a)
		}
	})
}

func TestASourceAddressThatNoInterfaceHasIsNamed(t *testing.T) {
	running(t, "snat: [10.0.0.1, 10.0.0.250]\n"+twoNodes, func(t *testing.T, r *rig) {
		r.network.setLinks(
			netdev.Link{Index: 2, Name: "eth0", Up: true, Addrs: []netip.Addr{netip.MustParseAddr("10.0.0.1")}},
			netdev.Link{Index: 3, Name: "lo", Up: true})
		synctest.Wait()
		want := []string{"snat 10.0.0.250 is on no interface of this host: replies come back only if it is routed here"}
		if w := r.published.Load().warnings; !slices.Equal(w, want) {
			t.Errorf("%q, want %q", w, want)
		}
		r.network.setLinks(
			netdev.Link{Index: 2, Name: "eth0", Up: true, Addrs: []netip.Addr{netip.MustParseAddr("10.0.0.1")}},
			netdev.Link{Index: 3, Name: "lo", Up: true, Addrs: []netip.Addr{netip.MustParseAddr("10.0.0.250")}})
		synctest.Wait()
		if w := r.published.Load().warnings; len(w) > 0 {
			t.Errorf("when an interface has it: %q", w)
		}
	})
}

func (r *rig) setVIP(t *testing.T, vip string) {
	t.Helper()
	_, _ = r.store.Update(func(b []lb.Balancer) ([]lb.Balancer, error) {
		b[0].IPv4 = netip.MustParseAddr(vip)
		return b, nil
	})
	synctest.Wait()
}

// add adds a node with that address.
func (r *rig) add(address string) uint64 {
	d, _ := r.store.Update(func(b []lb.Balancer) ([]lb.Balancer, error) {
		n := b[0].Configs[0].Nodes[0]
		n.ID, n.Address = 0, netip.MustParseAddrPort(address)
		b[0].Configs[0].Nodes = append(b[0].Configs[0].Nodes, n)
		return b, nil
	})
	return d.Revision
}

func TestAChangeWaitsShortlyForTheNextHopsOfNewNodes(t *testing.T) {
	silence := func(r *rig, silent bool) {
		r.network.mu.Lock()
		r.network.silent = silent
		r.network.mu.Unlock()
		r.network.tell()
	}
	running(t, twoNodes, func(t *testing.T, r *rig) {
		silence(r, true)
		synctest.Wait()
		start := time.Now()
		generation := r.add("192.0.2.13:8080")
		synctest.Wait()
		if g := r.progress.now(); g.Applied == generation {
			t.Error("it did not wait")
		}
		time.Sleep(20 * time.Millisecond)
		silence(r, false)
		if err := r.progress.wait(t.Context(), generation); err != nil {
			t.Fatal(err)
		}
		if !r.inMaps(t, "192.0.2.13:8080").Hop.Resolved() || time.Since(start) != 20*time.Millisecond {
			t.Errorf("after %v: %+v", time.Since(start), r.inMaps(t, "192.0.2.13:8080"))
		}
		silence(r, true)
		synctest.Wait()
		start = time.Now()
		generation = r.add("192.0.2.14:8080")
		if err := r.progress.wait(t.Context(), generation); err != nil {
			t.Fatal(err)
		}
		if time.Since(start) > holdMost {
			t.Errorf("a node that does not answer held a change for %v", time.Since(start))
		}
	})
}

func TestChangesThatFollowEachOtherDoNotWaitTogetherForLonger(t *testing.T) {
	running(t, twoNodes, func(t *testing.T, r *rig) {
		r.network.silent = true
		synctest.Wait()
		first := r.add("192.0.2.13:8080")
		start := time.Now()
		go func() {
			for i := range 50 { // each comes while the one before waits
				time.Sleep(10 * time.Millisecond)
				r.add(netip.AddrPortFrom(netip.AddrFrom4([4]byte{192, 0, 2, byte(100 + i)}), 8080).String())
			}
		}()
		if err := r.progress.wait(t.Context(), first); err != nil {
			t.Fatal(err)
		}
		if waited := time.Since(start); waited > 100*time.Millisecond {
			t.Errorf("E20: the first change took %v", waited)
		}
		time.Sleep(time.Second)
	})
}

func TestAStartDoesNotWaitForWhatCannotBeReached(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, twoNodes)
		start := time.Now()
		r.network.unreachable = "no route to it"
		r.awaitHops(t.Context())
		if waited := time.Since(start); waited > 0 {
			t.Errorf("it waited %v for nodes without a route", waited)
		}
		r.network.silent = true
		r.awaitHops(t.Context())
		if waited := time.Since(start); waited != hopsPatience {
			t.Errorf("it waited %v for nodes that may still answer, not %v", waited, hopsPatience)
		}
	})
}

func TestStatusSaysWhatTheDataPathRuns(t *testing.T) {
	r := newRig(t, twoNodes)
	b := &backend{looker: newLooker(r.tables.Reader()), d: &daemon{engine: r.engine, progress: r.progress, rates: r.rates, config: r.file.start, store: r.store}}
	status := func() api.Config {
		t.Helper()
		st, err := b.Status(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		return st.Configs[0]
	}
	if c := status(); c.Status != configUp || !c.Nodes[0].TakesNew || len(c.Refusing) > 0 {
		t.Errorf("%+v", c)
	}
	r.tables = maps.NewFake(maps.FakeSizes{})
	r.broken.applier = reconcile.New(r.tables, reconcile.Options{Log: quiet()})
	b.reader = r.tables.Reader()
	r.network.unreachable = "no route to it" // nor an address to send from
	r.takeNetwork()
	r.settle(true)
	c := status()
	if c.Status != configDown || len(c.Refusing) != 1 {
		t.Errorf("clients are refused, yet %s, refusing %v", c.Status, c.Refusing)
	}
	if n := c.Nodes[0]; n.TakesNew || n.Why != notInTable {
		t.Errorf("%+v", n)
	}
}

func TestAStartThatCannotKeepTheFileGoesOnOnlyWithWhatWasThere(t *testing.T) {
	r := newRig(t, twoNodes)
	d := &daemon{engine: r.engine, config: r.file.start, store: r.store}
	r.store.full = errors.New("no space left on device")
	if err := d.applyFile(t.Context()); err != nil {
		t.Errorf("with a state from before: %v", err)
	}
	if faults := r.file.status.Faults; len(faults) != 1 || !strings.Contains(faults[0], "no space left") {
		t.Errorf("status says %q", faults)
	}
	empty := newMemoryStore()
	empty.full = r.store.full
	r.file.store, d.store = empty, empty
	if err := d.applyFile(t.Context()); err == nil || !strings.Contains(err.Error(), "no space left") {
		t.Errorf("with nothing to run: %v", err)
	}
}

func TestAStartWritesWhatThereIsRoomFor(t *testing.T) {
	r := newRig(t, twoNodes)
	r.tables = maps.NewFake(maps.FakeSizes{Nodes: 2}) // id 0 is nobody's
	r.broken.applier = reconcile.New(r.tables, reconcile.Options{Log: quiet()})
	d := &daemon{engine: r.engine}
	if err := d.writeTable(t.Context()); err != nil {
		t.Fatalf("a daemon that does not start cannot be told to have less: %v", err)
	}
	if nodes, err := r.tables.Reader().Nodes(); err != nil || len(nodes) != 1 {
		t.Errorf("%d nodes, %v", len(nodes), err)
	}
	if w := strings.Join(r.published.Load().warnings, "\n"); !strings.Contains(w, "all 1 ids are in use") {
		t.Errorf("warnings: %q", w)
	}
	r.broken.failures = []error{errors.New("not permitted")}
	if err := d.writeTable(t.Context()); err == nil {
		t.Error("it starts although the tables cannot be written")
	}
}
