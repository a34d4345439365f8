package daemon

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"runtime/debug"
	"time"

	"github.com/headgate/headgate/loader"
	"github.com/headgate/headgate/pkg/announce"
	"github.com/headgate/headgate/pkg/api"
	"github.com/headgate/headgate/pkg/api/v4"
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

// Options are what a daemon is run with.
type Options struct {
	File    string           // the configuration file
	Version string           // for status
	Log     *slog.Logger     // nil: slog.Default
	Reload  <-chan os.Signal // a value: read the file again; may be nil
	GiveUp  func() error     // gives up what may be done no more once the program is attached and the sockets are open; may be nil
}

// Run runs the daemon until the context ends, and returns nil then; the data path goes on
// forwarding. An error before the daemon is ready leaves no trace in the kernel, unless there was
// a data path before: that stays as it was.
func Run(ctx context.Context, o Options) error {
	if o.Log == nil {
		o.Log = slog.Default()
	}
	d := &daemon{Options: o, started: time.Now(), notify: notifier{o.Log}, group: newGroup(ctx)}
	err := d.start(d.group.ctx)
	if err == nil {
		d.ready = true
		d.notify.ready(d.engine.summary())
		d.says.alert(slog.LevelInfo, events.Event{Kind: events.Daemon, To: "started", Text: fmt.Sprintf(
			"ready: version %s, file %s, socket %s, generation %d", d.Version, d.File, d.config.API.Socket, d.progress.now().Applied)})
		debug.FreeOSMemory() // a start takes twice what is needed then, and the runtime gives it back over minutes
		<-d.group.ctx.Done()
	}
	if ctx.Err() != nil && errors.Is(err, ctx.Err()) {
		err = nil // told to stop while starting
	}
	return errors.Join(err, d.stop())
}

// daemon is all the parts of a running daemon.
type daemon struct {
	Options
	started   time.Time
	notify    notifier
	group     *group
	ready     bool
	config    *config.File
	modified  time.Time // when the file was changed last that was read
	datapath  *loader.Datapath
	tables    *maps.Kernel
	reader    *maps.Reader
	stage     *stage
	warnings  []string // of the data path, from its start
	store     desiredStore
	says      *chronicle
	keeper    *keeper
	listener  net.Listener
	door      *api.Door // for the API on TCP; nil: there is none
	traffic   *traffic
	scrapes   net.Listener // for metrics; nil: nobody asks
	network   *netdev.Resolver
	checks    *health.Manager
	announcer *announce.Announcer
	progress  *progress
	rates     *rates
	engine    *engine
	directory *reconcile.Directory
	closers   []func() error // in the order of opening
}

// start is the order in which the parts start. What can be refused comes first, what traffic sees
// comes last: the table is whole before the program is attached.
func (d *daemon) start(ctx context.Context) error {
	for _, stage := range []func(context.Context) error{
		d.readFile,
		d.findInterfaces,
		d.openDatapath, // from here on nobody else holds the pins
		d.listen,
		d.openDoor,
		d.listenForScrapes,
		d.openStore,
		d.openArchive,
		d.openUsage,
		d.watchNetwork,
		d.assemble,
		d.applyFile,
		d.awaitHops,
		d.writeTable,
		d.attach,
		d.giveUp,
		d.runParts,
	} {
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := stage(ctx); err != nil {
			return err
		}
	}
	return nil
}

// stop ends the parts and closes what was opened, last first. It returns what made them end, if
// that was not asked for.
func (d *daemon) stop() error {
	if d.ready {
		d.notify.stopping()
		d.says.alert(slog.LevelInfo, events.Event{Kind: events.Daemon, To: "stopped", Text: "stopping; the data path goes on forwarding"})
	}
	errs := []error{d.group.stop()}
	if d.keeper != nil {
		d.keeper.keep() // what was said after it had ended
	}
	for i := len(d.closers) - 1; i >= 0; i-- {
		errs = append(errs, d.closers[i]())
	}
	if d.datapath != nil && !d.ready && !d.datapath.TakenOver() {
		// A first start that failed: its pins would only be in the way.
		_, err := Detach(d.config.BPFFS)
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

func (d *daemon) closeLater(c func() error) { d.closers = append(d.closers, c) }

func (d *daemon) readFile(context.Context) (err error) {
	d.modified = modified(d.File)
	d.config, err = config.Load(d.File)
	if err == nil && len(d.config.Interfaces) == 0 {
		err = fmt.Errorf("%s: no interfaces: name at least one, as in `interfaces: [eth0]`", d.File)
	}
	return err
}

func (d *daemon) findInterfaces(context.Context) error {
	var errs []error
	for _, name := range d.config.Interfaces {
		_, err := netdev.LinkByName(name)
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

func (d *daemon) openDatapath(context.Context) (err error) {
	d.datapath, err = loader.Open(loader.Options{
		Dir:     d.config.BPFFS,
		FlowsV4: d.config.FlowTable.V4,
		FlowsV6: d.config.FlowTable.V6,

		Sticks: d.config.StickyTable, Throttles: d.config.ThrottleTable,
		Mode:      d.config.XDPMode,
		Log:       d.Log,
		ProgramOn: netdev.XDPProgram,
	})
	if err != nil {
		return err
	}
	d.closeLater(d.datapath.Close)
	d.warnings = d.datapath.Warnings()
	if d.tables, err = maps.NewKernel(d.datapath.Maps()); err != nil {
		return err
	}
	d.closeLater(d.tables.Close)
	d.reader = d.tables.Reader()
	d.stage = &stage{maps: d.datapath.Maps()}
	d.closeLater(d.stage.close)
	return nil
}

func (d *daemon) listen(context.Context) (err error) {
	if d.listener, err = api.Listen(d.config.API.Socket); err != nil {
		return err
	}
	d.closeLater(func() error {
		_ = d.listener.Close() // the server closed it already, if it ran
		return nil
	})
	return nil
}

// openDoor takes the address of the API on TCP, if there is to be one.
func (d *daemon) openDoor(context.Context) (err error) {
	a := d.config.API
	if a.Listen == "" {
		return nil
	}
	if d.door, err = api.ListenTCP(api.TCP{Listen: a.Listen, TokenFile: a.TokenFile, Cert: a.TLSCert, Key: a.TLSKey}); err != nil {
		return err
	}
	if a.TLSCert == "" {
		d.Log.Warn("the API listens on TCP without TLS: whoever can read the traffic has the token", "listen", a.Listen)
	}
	for _, file := range d.door.Exposed() {
		d.Log.Warn("any user of this host may read a secret of the API: chmod o-rwx "+file, "file", file)
	}
	d.closeLater(func() error {
		_ = d.door.Close() // the server closed it already, if it ran
		return nil
	})
	return nil
}

func (d *daemon) openStore(context.Context) error {
	s, err := store.Open(d.config.StateDir)
	if err != nil {
		return err
	}
	d.store = s
	d.closeLater(s.Close)
	return nil
}

// openArchive goes on with the events that were kept. A log of events that cannot be read is no reason not
// to balance: it is put aside.
func (d *daemon) openArchive(context.Context) error {
	archive, warning, err := store.OpenArchive(d.config.StateDir)
	if err != nil {
		return err
	}
	d.closeLater(archive.Close)
	kept, err := archive.Load()
	if err != nil {
		return err
	}
	d.says = newChronicle(d.Log, events.NewLog(kept, nil))
	d.keeper = &keeper{book: d.says.book, archive: archive, log: d.Log, kept: d.says.book.Last()}
	if warning != "" {
		d.says.alert(slog.LevelWarn, events.Event{Kind: events.Daemon, Text: warning})
	}
	return nil
}

// openUsage goes on adding up traffic. What cannot be read is put aside, as events are.
func (d *daemon) openUsage(context.Context) error {
	disk, warning, err := store.OpenUsage(d.config.StateDir)
	if err != nil {
		return err
	}
	d.closeLater(disk.Close)
	kept, err := disk.Load()
	if err != nil {
		return err
	}
	d.traffic = &traffic{meter: usage.New(kept), disk: disk, log: d.Log}
	if !d.datapath.TakenOver() {
		d.traffic.meter.Anew(time.Now())
	}
	if warning != "" {
		d.says.alert(slog.LevelWarn, events.Event{Kind: events.Daemon, Text: warning})
	}
	return nil
}

// watchNetwork starts to follow links, routes and neighbours.
func (d *daemon) watchNetwork(context.Context) (err error) {
	if d.network, err = netdev.New(d.Log); err != nil {
		return err
	}
	d.group.run("network", d.network.Run)
	return nil
}

// assemble makes the engine and what it brings together, with what the maps still know.
func (d *daemon) assemble(context.Context) error {
	known := state.New(nil)
	reconciler := reconcile.New(d.tables, reconcile.Options{SNAT: d.config.SNAT, Log: d.Log})
	restored, err := reconciler.Restore()
	if err != nil {
		return err
	}
	known.Remember(remembered(restored))
	known.RememberServing(serving(restored))
	if d.datapath.TakenOver() {
		d.tookOver()
	}
	d.progress, d.rates = newProgress(), &rates{}
	d.directory = reconciler.Directory()
	d.engine = &engine{
		store: d.store, network: d.network, maps: reconciler, reader: d.reader,
		ports:  newPorts(d.config.Interfaces, d.config.XDPMode, d.datapath, d.says),
		file:   &file{path: d.File, start: d.config, store: d.store, says: d.says, now: time.Now, modified: d.modified},
		reload: d.Reload, state: known, progress: d.progress, rates: d.rates, traffic: d.traffic, rounds: metrics.NewRounds(), notify: d.notify,
		says: d.says, herald: herald{chronicle: d.says, drains: &drains{chronicle: d.says}}, limits: limits{chronicle: d.says}, looked: make(chan look, 1),
	}
	d.checks = health.New(health.Options{Log: d.Log, Source: d.engine.probeSource})
	d.engine.checks = d.checks
	reports, err := maps.NewSignals(d.datapath.Maps(), d.reader)
	if err != nil {
		return err
	}
	d.closeLater(func() error {
		_ = reports.Close() // whoever reads them closed it already, if it ran
		return nil
	})
	d.engine.signals = newSignals(reports, d.checks, d.checks, d.reader, d.says)
	d.announcer = announce.New(announce.Options{
		Open:   func(link int) (announce.Port, error) { return netdev.OpenFrames(link) },
		Join:   netdev.JoinGroup,
		Leave:  netdev.LeaveGroup,
		Report: reported(d.says),
		Log:    d.Log,
	})
	d.engine.vips = newAnnouncing(d.announcer, reconciler.Announced(), d.Log)
	return nil
}

// tookOver logs what there was before the start. A count that cannot be read is status's to say.
func (d *daemon) tookOver() {
	if nodes, err := d.reader.Nodes(); err == nil {
		d.says.alert(slog.LevelInfo, events.Event{Kind: events.Daemon, To: "took over",
			Text: fmt.Sprintf("took over what is pinned in %s with %d flows", d.config.BPFFS, activeFlows(nodes))})
	}
}

func remembered(restored []reconcile.Restored) map[lb.NodeKey]state.Known {
	known := map[lb.NodeKey]state.Known{}
	for _, r := range restored {
		if !r.Removed {
			known[r.Key] = state.Known{Health: r.Health, At: r.CheckedAt, Mode: r.Mode, ModeSince: r.ModeSince}
		}
	}
	return known
}

// serving are the nodes that took new flows before the start.
func serving(restored []reconcile.Restored) map[lb.NodeKey]bool {
	nodes := map[lb.NodeKey]bool{}
	for _, r := range restored {
		nodes[r.Key] = r.Serving
	}
	return nodes
}

// applyFile goes on with what the store has if the file cannot be applied; with nothing there it fails.
func (d *daemon) applyFile(context.Context) error {
	err := d.engine.file.apply(d.config)
	if err != nil && d.store.Get().Revision == 0 {
		return err
	}
	d.engine.takeDesired()
	return nil
}

func (d *daemon) awaitHops(ctx context.Context) error {
	d.engine.awaitHops(ctx)
	return nil
}

// writeTable writes the table. What there is no room for keeps no daemon from starting: it is logged, status
// shows it, and only a daemon that runs can be told to have less.
func (d *daemon) writeTable(context.Context) error {
	d.engine.state.SetHops(d.engine.network.Hops())
	d.engine.settle(true)
	if errors.Is(d.engine.failure, reconcile.ErrFull) {
		return nil
	}
	return d.engine.failure
}

func (d *daemon) attach(context.Context) error {
	if err := d.engine.ports.start(d.network.Links()); err != nil {
		return err
	}
	if err := d.datapath.Complete(); err != nil {
		return err
	}
	d.engine.settle(false) // the interfaces are known now
	return nil
}

func (d *daemon) runParts(context.Context) error {
	if err := d.serveMetrics(); err != nil {
		return err
	}
	server := d.server()
	// Tables that were taken over keep their size, whatever the file says.
	sweep := &sweeper{sweep: d.datapath.Sweep, log: d.Log, tables: []table{
		{family: 4, buckets: d.datapath.Maps().Flows4.MaxEntries()},
		{family: 6, buckets: d.datapath.Maps().Flows6.MaxEntries()},
	}}
	d.group.run("health checks", d.checks.Run)
	d.group.run("reports of the data path", d.engine.signals.run)
	d.group.run("announcements", d.announcer.Run)
	d.group.run("engine", d.engine.run)
	d.group.run("sweep", sweep.run)
	d.group.run("events", d.keeper.run)
	d.group.run("traffic", d.traffic.run)
	d.group.run("api", func(ctx context.Context) error { return server.Serve(ctx, d.listener) })
	if d.door != nil {
		d.group.run("api on tcp", func(ctx context.Context) error { return server.ServeTCP(ctx, d.door) })
	}
	return nil
}

// pool is what VIPs are given out of.
func (d *daemon) pool() lb.Pool {
	return lb.Pool{Prefixes: d.config.VIPPool, Shunned: d.config.SNAT}
}

// server makes what answers the API, on whatever it listens.
func (d *daemon) server() *api.Server {
	b := &backend{looker: newLooker(d.reader), d: d}
	server := api.NewServer(b, d.Log)
	version4 := v4.New(&nodebalancers{b}, v4.Site{
		Region: d.config.Region, Domain: d.config.Domain, Pool: d.pool(),
	}, d.Log)
	for _, prefix := range v4.Prefixes {
		server.Mount(prefix, version4)
	}
	return server
}
