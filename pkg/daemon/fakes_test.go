package daemon

import (
	"cmp"
	"errors"
	"io"
	"log/slog"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/headgate/headgate/loader"
	"github.com/headgate/headgate/pkg/config"
	"github.com/headgate/headgate/pkg/events"
	"github.com/headgate/headgate/pkg/health"
	"github.com/headgate/headgate/pkg/lb"
	"github.com/headgate/headgate/pkg/maps"
	"github.com/headgate/headgate/pkg/metrics"
	"github.com/headgate/headgate/pkg/netdev"
	"github.com/headgate/headgate/pkg/reconcile"
	"github.com/headgate/headgate/pkg/state"
	"github.com/headgate/headgate/pkg/store"
	"github.com/headgate/headgate/pkg/usage"
)

func quiet() *slog.Logger { return slog.New(slog.NewTextHandler(io.Discard, nil)) }

// memoryStore is a store that forgets at the end.
type memoryStore struct {
	mu      sync.Mutex
	desired store.Desired
	full    error // what Update fails with
	changed chan struct{}
}

func newMemoryStore() *memoryStore { return &memoryStore{changed: make(chan struct{}, 1)} }

func (s *memoryStore) Get() store.Desired {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.desired
}

func (s *memoryStore) Watch() <-chan struct{} { return s.changed }

func (s *memoryStore) Change(fn func(*store.Draft) error) (store.Desired, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	d := store.NewDraft(s.desired, time.Now())
	if err := errors.Join(fn(d), s.full); err != nil {
		return store.Desired{}, err
	}
	next, err := d.Finish()
	if err != nil {
		return store.Desired{}, err
	}
	s.desired = next
	select {
	case s.changed <- struct{}{}:
	default:
	}
	return next, nil
}

func (s *memoryStore) Update(fn func([]lb.Balancer) ([]lb.Balancer, error)) (store.Desired, error) {
	return s.Change(func(d *store.Draft) error {
		next, err := fn(lb.Clone(d.Balancers()))
		if err == nil {
			d.Replace(next)
		}
		return err
	})
}

// fakeChecks gives the results that a test puts in.
type fakeChecks struct {
	mu      sync.Mutex
	targets []health.Target
	results map[lb.NodeKey]health.Result
	stats   health.Stats
	last    health.Results
	changed chan struct{}
}

func newFakeChecks() *fakeChecks {
	return &fakeChecks{results: map[lb.NodeKey]health.Result{}, changed: make(chan struct{}, 1)}
}

func (c *fakeChecks) Set(targets []health.Target) { c.targets = targets }
func (c *fakeChecks) Changes() <-chan struct{}    { return c.changed }

func (c *fakeChecks) Snapshot() health.Results {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.last = c.last.Next(c.results)
	return c.last
}

func (c *fakeChecks) Stats() health.Stats { return c.stats }

func (c *fakeChecks) result(key lb.NodeKey, h lb.Health, reason string) {
	c.mu.Lock()
	c.results[key] = health.Result{Key: key, Health: h, Reason: reason, At: time.Now()}
	c.mu.Unlock()
	c.changed <- struct{}{}
}

// fakeNetwork resolves every target to the same neighbour.
type fakeNetwork struct {
	mu          sync.Mutex
	targets     []netip.Addr
	links       []netdev.Link
	silent      bool         // neighbours do not answer
	unreachable string       // why no target can be reached
	ifName      string       // that targets are reached by; empty: eth0
	strips      bool         // interfaces take VLAN tags off
	routed      []netip.Addr // to the host, which answers for them
	changed     chan struct{}
}

func newFakeNetwork(names ...string) *fakeNetwork {
	n := &fakeNetwork{changed: make(chan struct{}, 1)}
	for i, name := range names {
		n.links = append(n.links, netdev.Link{Index: i + 2, Name: name, MAC: [6]byte{2, 0, 0, 0, 0, byte(i)}, Up: true})
	}
	return n
}

func (n *fakeNetwork) MoveTargets(came, gone []netip.Addr) {
	n.mu.Lock()
	n.targets = slices.DeleteFunc(append(n.targets, came...), func(a netip.Addr) bool { return slices.Contains(gone, a) })
	n.mu.Unlock()
	n.tell()
}

func (n *fakeNetwork) tell() {
	select {
	case n.changed <- struct{}{}:
	default:
	}
}

func (n *fakeNetwork) Changes() <-chan struct{} { return n.changed }

func (n *fakeNetwork) Links() []netdev.Link {
	n.mu.Lock()
	defer n.mu.Unlock()
	return slices.Clone(n.links)
}

func (n *fakeNetwork) Answers(l *netdev.Link, a netip.Addr) (bool, error) {
	return slices.Contains(l.Addrs, a) || slices.Contains(n.routed, a), nil
}

func (n *fakeNetwork) StripsTags(string) (bool, error) { return n.strips, nil }

// addNetwork gives the first link an address and its network.
func (n *fakeNetwork) addNetwork(cidr string) {
	links, p := n.Links(), netip.MustParsePrefix(cidr)
	links[0].Addrs, links[0].Prefixes = append(links[0].Addrs, p.Addr()), append(links[0].Prefixes, p.Masked())
	n.setLinks(links...)
}

func (n *fakeNetwork) setLinks(links ...netdev.Link) {
	n.mu.Lock()
	n.links = links
	n.mu.Unlock()
	n.tell()
}

func (n *fakeNetwork) Hops() netdev.Hops {
	n.mu.Lock()
	defer n.mu.Unlock()
	hops := map[netip.Addr]netdev.NextHop{}
	if n.silent {
		return netdev.Hops{}
	}
	for _, t := range n.targets {
		if n.unreachable != "" {
			hops[t] = netdev.NextHop{Reason: n.unreachable}
			continue
		}
		source := netip.MustParseAddr("10.0.0.1")
		if t.Is6() {
			source = netip.MustParseAddr("fd00::1")
		}
		hops[t] = netdev.NextHop{Resolved: true, IfIndex: 2, IfName: cmp.Or(n.ifName, "eth0"), SrcMAC: [6]byte{2}, DstMAC: [6]byte{2, 1}, Source: source, Via: t}
	}
	return netdev.HopsOf(hops)
}

// brokenTables applies, but for the first failures.
type brokenTables struct {
	applier
	mu       sync.Mutex
	failures []error
	tries    int
}

func (b *brokenTables) Apply(v *state.View, links []netdev.Link) (reconcile.Applied, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.tries++
	if len(b.failures) > 0 {
		err := b.failures[0]
		b.failures = b.failures[1:]
		return reconcile.Applied{}, err
	}
	return b.applier.Apply(v, links)
}

// fakeAttacher attaches in native mode, but for the interfaces that it refuses.
type fakeAttacher struct {
	refuse  map[string]error
	mode    string
	calls   []int
	kept    []int
	pruning int
}

func (a *fakeAttacher) Attach(ifindex int, name string) (loader.Attachment, error) {
	a.calls = append(a.calls, ifindex)
	if err := a.refuse[name]; err != nil {
		return loader.Attachment{}, err
	}
	mode := a.mode
	if mode == "" {
		mode = loader.ModeNative
	}
	return loader.Attachment{Interface: name, IfIndex: ifindex, Mode: mode}, nil
}

func (a *fakeAttacher) Prune(keep []int) error {
	a.pruning++
	a.kept = keep
	return nil
}

// quietly is a chronicle that only a test reads.
func quietly() *chronicle { return newChronicle(quiet(), events.NewLog(nil, nil)) }

// rig is an engine over fakes, its reconciler and tables being the real ones in memory.
type rig struct {
	*engine
	store     *memoryStore
	checks    *fakeChecks
	network   *fakeNetwork
	tables    *maps.Fake
	broken    *brokenTables
	claims    *fakeAnnouncer
	attacher  *fakeAttacher
	reload    chan os.Signal
	path      string
	reports   fakeReports
	hurried   fakeHurry
	answering fakeAnswers
}

// fakeReports hands over the reports that a test puts in.
type fakeReports chan []maps.Signal

func (f fakeReports) Next() ([]maps.Signal, error) {
	list, open := <-f
	if !open {
		return nil, maps.ErrSignalsClosed
	}
	return list, nil
}

func (f fakeReports) Close() error {
	close(f)
	return nil
}

// fakeHurry has the nodes that are checked, and how often somebody wanted them to be at once.
type fakeHurry map[lb.NodeKey]int

func (f fakeHurry) Hurry(key lb.NodeKey) bool {
	if _, checked := f[key]; !checked {
		return false
	}
	f[key]++
	return true
}

// fakeAnswers has the nodes that answer when they are asked.
type fakeAnswers map[netip.AddrPort]bool

func (f fakeAnswers) Answers(to netip.AddrPort) error {
	if !f[to] {
		return errors.New("no answer")
	}
	return nil
}

func newRig(t testing.TB, content string) *rig {
	t.Helper()
	return newRigOf(t, content, maps.FakeSizes{})
}

func newRigOf(t testing.TB, content string, sizes maps.FakeSizes) *rig {
	t.Helper()
	r := &rig{
		store: newMemoryStore(), checks: newFakeChecks(), network: newFakeNetwork("eth0", "eth1"),
		tables: maps.NewFake(sizes), claims: newFakeAnnouncer(), attacher: &fakeAttacher{}, reload: make(chan os.Signal),
		path: filepath.Join(t.TempDir(), "headgate.yaml"), reports: make(fakeReports), hurried: fakeHurry{}, answering: fakeAnswers{},
	}
	r.write(t, content)
	read, err := config.Load(r.path)
	if err != nil {
		t.Fatal(err)
	}
	r.broken = &brokenTables{applier: reconcile.New(r.tables, reconcile.Options{Log: quiet()})}
	says := quietly()
	r.engine = &engine{
		store: r.store, checks: r.checks, network: r.network, maps: r.broken, reader: r.tables.Reader(),
		ports: newPorts(read.Interfaces, read.XDPMode, r.attacher, says),
		file:  &file{path: r.path, start: read, store: r.store, says: says, now: time.Now, modified: modified(r.path)},
		state: state.New(nil), progress: newProgress(), rates: &rates{}, traffic: &traffic{meter: usage.New(usage.State{}), log: quiet()}, rounds: metrics.NewRounds(), notify: notifier{quiet()}, reload: r.reload,
		says: says, herald: herald{chronicle: says, drains: &drains{chronicle: says}}, limits: limits{chronicle: says}, looked: make(chan look, 1), signals: newSignals(r.reports, r.hurried, r.answering, r.tables.Reader(), says), vips: newAnnouncing(r.claims, nil, quiet()),
	}
	if err := r.file.apply(read); err != nil {
		t.Fatal(err)
	}
	r.takeDesired()
	r.settle(true)
	return r
}

// everySecond is the engine's, and takes what it has read.
func (r *rig) everySecond(now time.Time) {
	r.engine.everySecond(now)
	if r.looking {
		r.takeLook(<-r.looked)
	}
}

func (r *rig) write(t testing.TB, content string) {
	t.Helper()
	if err := os.WriteFile(r.path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
}

const twoNodes = `
interfaces: [eth0]
balancers:
  - label: web
    ipv4: 203.0.113.10
    configs:
      - port: 80
        check: connection
        check_interval: 2s
        check_timeout: 1s
        nodes:
          - {label: web-1, address: "192.0.2.11:8080"}
          - {label: web-2, address: "192.0.2.12:8080", weight: 100}
`

var web1 = lb.NodeKey{
	Config:  lb.ConfigKey{Balancer: "web", Port: 80, Protocol: lb.TCP},
	Address: netip.MustParseAddrPort("192.0.2.11:8080"),
}
