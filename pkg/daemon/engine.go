package daemon

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"os"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/headgate/headgate/pkg/api"
	"github.com/headgate/headgate/pkg/events"
	"github.com/headgate/headgate/pkg/health"
	"github.com/headgate/headgate/pkg/maps"
	"github.com/headgate/headgate/pkg/metrics"
	"github.com/headgate/headgate/pkg/netdev"
	"github.com/headgate/headgate/pkg/reconcile"
	"github.com/headgate/headgate/pkg/state"
	"github.com/headgate/headgate/pkg/store"
)

// What the engine brings together, as small as it needs them.
type (
	desiredStore interface {
		updater
		Get() store.Desired
		Change(fn func(*store.Draft) error) (store.Desired, error)
		Watch() <-chan struct{}
	}
	checker interface {
		Set(targets []health.Target)
		Changes() <-chan struct{}
		Snapshot() health.Results
		Stats() health.Stats
	}
	network interface {
		MoveTargets(came, gone []netip.Addr)
		Changes() <-chan struct{}
		Hops() netdev.Hops
		Links() []netdev.Link
		StripsTags(ifname string) (bool, error)
		Answers(l *netdev.Link, a netip.Addr) (bool, error)
	}
	applier interface {
		Apply(v *state.View, links []netdev.Link) (reconcile.Applied, error)
		Lingering() []netip.Addr
	}
	nodeReader interface {
		NodesWhere(wanted func(*maps.Node) bool) ([]maps.NodeState, error)
		CountSticks() (map[uint32]uint64, error)
		FillFrom(share float64, nodes []maps.NodeState) []maps.TableFill
		Refusals() ([]maps.Refusals, error)
		LivingClients() ([]maps.ClientFill, error)
	}
)

const (
	tickInterval = time.Second
	retryFirst   = 100 * time.Millisecond // after a failed Apply; doubles
	retryMost    = 5 * time.Second
	// How long a change waits for the next hops of new nodes, whose first packets would otherwise take
	// the way through the kernel. On a local network they answer in much less.
	holdMost = 50 * time.Millisecond
	// Between two views that only time makes: thousands of nodes may start slowly at once.
	wakeLeast = 100 * time.Millisecond
	// How long whom to check is left as it is, at least: telling it takes a look at all nodes.
	checksPause = 50 * time.Millisecond
	// So many services are touched at once, and in at most so many parts.
	touchAtOnce = 100
	touchParts  = 10
)

// engine owns the view: it takes what is desired, what checks found and what the network looks
// like, and lets the reconciler write it to the maps. All but published belongs to one goroutine.
type engine struct {
	store    desiredStore
	checks   checker
	network  network
	maps     applier
	reader   nodeReader
	ports    *ports
	file     *file
	reload   <-chan os.Signal
	state    *state.State
	progress *progress
	rates    *rates
	traffic  *traffic
	rounds   *metrics.Rounds
	notify   notifier
	says     *chronicle
	herald   herald
	limits   limits
	vips     *announcing
	signals  *signals
	unended  unended

	targeted   uint64 // what the checks were told last
	checksSet  time.Time
	checksDue  <-chan time.Time
	targets    map[netip.Addr]bool // next hops are kept for; false: of no node that is desired
	leaving    map[netip.Addr]bool // those of them that are of none
	retargeted time.Time

	fresh    []netip.Addr // targets that are new with the changes on hold
	hold     <-chan time.Time
	applied  uint64 // generation of the view that the maps have
	failure  error  // of the last Apply
	backoff  time.Duration
	retry    <-chan time.Time
	wake     <-chan time.Time
	wakeAt   time.Time // when wake was meant for
	warnings []string  // of the last Apply
	sampled  time.Time
	looking  bool // at all nodes
	looked   chan look

	touchDue  <-chan time.Time
	touchNext int // part

	published atomic.Pointer[snapshot]
}

// snapshot is what others may see of the engine. Nobody changes it.
type snapshot struct {
	view       *state.View
	interfaces []api.Interface
	file       api.FileStatus
	warnings   []string
}

// run follows everything that changes until the context ends.
func (e *engine) run(ctx context.Context) error {
	changed := e.store.Watch()
	e.takeDesired() // what changed before the watch
	e.settle(false)
	tick := time.NewTicker(tickInterval)
	defer tick.Stop()
	watchdog, stop := ticker(e.notify.watchdog())
	defer stop()
	for {
		force := false
		select {
		case <-ctx.Done():
			e.endLook()
			return nil
		case <-changed:
			e.takeDesired()
		case <-e.checks.Changes():
			e.state.SetHealth(e.checks.Snapshot())
		case <-e.signals.ejector.Changes():
			e.state.SetEjections(e.signals.ejector.Ejections(time.Now()))
		case <-e.network.Changes():
			e.takeNetwork()
		case <-e.vips.Changes():
			e.state.SetAnnounced(e.vips.answers())
		case <-e.reload:
			e.rereadFile()
		case <-e.retry:
			force = true
		case <-e.hold:
			e.hold = nil
		case <-e.wake:
			e.wakeAt = time.Time{}
			e.state.Advance()
		case <-e.checksDue:
			e.checksDue = nil
			e.retargetChecks()
		case now := <-tick.C:
			e.everySecond(now)
			force = e.retry == nil
		case <-e.touchDue:
			e.touch(e.touchNext)
			force = e.retry == nil
		case l := <-e.looked:
			e.takeLook(l)
		case <-watchdog:
			e.notify.alive()
		}
		e.settle(force)
	}
}

// ticker is a time.Ticker that for 0 never ticks.
func ticker(d time.Duration) (<-chan time.Time, func()) {
	if d <= 0 {
		return nil, func() {}
	}
	t := time.NewTicker(d)
	return t.C, t.Stop
}

// takeDesired follows the store.
func (e *engine) takeDesired() {
	d := e.store.Get()
	e.progress.desired(d.Revision)
	e.state.SetDesired(d.Revision, d.Balancers)
	e.announce()
	e.retargetChecks()
	fresh := e.addTargets()
	switch {
	case len(fresh) == 0:
	case e.hold != nil: // since an earlier change, which must not wait for longer
		e.fresh = append(e.fresh, fresh...)
	default:
		e.fresh, e.hold = fresh, time.After(holdMost)
	}
}

// takeNetwork follows links, routes and neighbours.
func (e *engine) takeNetwork() {
	e.ports.update(e.network.Links())
	e.announce()
	e.state.SetHops(e.network.Hops())
}

// announce has those VIPs announced that are to be, on the networks that there are.
func (e *engine) announce() {
	e.vips.update(e.store.Get().Balancers, e.network.Links(), e.ports.wanted)
	e.state.SetAnnounced(e.vips.answers())
}

// rereadFile applies the file again, as on SIGHUP.
func (e *engine) rereadFile() {
	e.notify.reloading()
	e.file.reread()
	e.takeDesired()
	e.settle(false)
	e.notify.ready(e.summary())
}

// settle writes the view to the maps if they have another one, or if forced, and publishes. While
// writing fails, it is tried again with growing pauses, and at once when the view changes.
func (e *engine) settle(force bool) {
	if e.hold != nil && allSettled(e.fresh, e.network.Hops()) {
		e.hold = nil
		e.state.SetHops(e.network.Hops())
	}
	v := e.state.View()
	e.wakeUp(e.state.Wake())
	e.herald.follow(v)
	if force || e.hold == nil && v.Generation != e.applied {
		e.apply(v)
	}
	e.publish(v)
}

// wakeUp makes the engine look again at the time when the view changes by itself; zero: it does not.
func (e *engine) wakeUp(at time.Time) {
	if at.Equal(e.wakeAt) {
		return
	}
	e.wake, e.wakeAt = nil, at
	if !at.IsZero() {
		e.wake = time.After(max(time.Until(at), wakeLeast))
	}
}

func (e *engine) apply(v *state.View) {
	e.hold = nil
	began := time.Now()
	done, err := e.maps.Apply(v, e.ports.ways(e.network.Links()))
	e.rounds.Done(time.Since(began), done.Writes, err)
	e.applied, e.warnings = v.Generation, done.Warnings
	if err == nil {
		if e.failure != nil {
			e.says.alert(slog.LevelInfo, ofMaps(e.failure, events.Event{Kind: events.Applied, To: fmt.Sprint(v.Revision),
				Text: fmt.Sprintf("the data path is up to date again with generation %d", v.Revision)}, gradeFull, gradeFree))
		} else if e.progress.now().Applied < v.Revision {
			e.says.caughtUp(v.Revision)
		}
		e.failure, e.retry, e.backoff = nil, nil, 0
		e.progress.applied(v.Revision)
		e.retarget()
		return
	}
	if e.failure == nil || e.failure.Error() != err.Error() {
		e.says.alert(slog.LevelError, ofMaps(err, events.Event{Kind: events.Applied, To: "failed",
			Text: fmt.Sprintf("write generation %d to the data path: %s", v.Revision, oneLine(err))}, gradeFree, gradeFull))
	}
	e.failure = err
	e.backoff = min(max(2*e.backoff, retryFirst), retryMost)
	e.retry = time.After(e.backoff)
}

// ofMaps makes an event that tells of an Apply one of a limit, if that is what the failure is about.
func ofMaps(failure error, e events.Event, was, is grade) events.Event {
	if errors.Is(failure, reconcile.ErrFull) {
		e.Kind, e.Limit, e.From, e.To = events.Limit, events.Maps, was.String(), is.String()
	}
	return e
}

// publish makes a new snapshot for others.
func (e *engine) publish(v *state.View) {
	e.published.Store(&snapshot{
		view:       v,
		interfaces: e.ports.interfaces(),
		file:       e.file.status,
		warnings:   e.allWarnings(),
	})
}

func (e *engine) allWarnings() []string {
	links := e.network.Links()
	out := slices.Concat(e.file.warnings(), e.ports.warnings(), tagless(e.ports.interfaces(), links, e.network.StripsTags),
		foreign(e.file.start.SNAT, links), e.vips.warnings(), e.warnings)
	if e.failure != nil {
		g := e.progress.now()
		out = append(out, fmt.Sprintf("the data path runs generation %d, %d is wanted: %s", g.Applied, g.Desired, oneLine(e.failure)))
	}
	return out
}

// foreign warns of the source addresses that no interface has: nobody answers for them on the network.
func foreign(snat []netip.Addr, links []netdev.Link) (out []string) {
	for _, a := range snat {
		if !slices.ContainsFunc(links, func(l netdev.Link) bool { return slices.Contains(l.Addrs, a) }) {
			out = append(out, fmt.Sprintf("snat %s is on no interface of this host: replies come back only if it is routed here", a))
		}
	}
	return out
}

// summary is one line for the service manager.
func (e *engine) summary() string {
	return fmt.Sprintf("generation %d, %d interfaces", e.progress.now().Applied, len(e.ports.wanted))
}

// oneLine joins the lines of joined errors.
func oneLine(err error) string { return strings.ReplaceAll(err.Error(), "\n", "; ") }
