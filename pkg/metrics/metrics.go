// Package metrics serves what a Prometheus server asks for. Nothing is counted for it: each scrape reads
// the maps that the data path counts in and what the daemon knows at that moment, so figures are those that
// `headgate status` shows, and cost nothing between scrapes.
//
// Counters of nodes begin at 0 when a node is added. What people need to add up is labelled alike: `config` is
// BALANCER/PORT[/udp], `node` its label, `address` tells apart nodes with one label. `lifecycle` is present, or
// removed for a node that was taken away and whose last flows still run.
package metrics

import (
	"log/slog"
	"net/http"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/headgate/headgate/pkg/health"
	"github.com/headgate/headgate/pkg/lb"
	"github.com/headgate/headgate/pkg/maps"
	"github.com/headgate/headgate/pkg/state"
)

// Sources is where a scrape finds its figures. The functions may be called from any goroutine.
type Sources struct {
	Maps        *maps.Reader
	View        func() *state.View
	Checks      Checks
	Ejections   func() uint64 // since the daemon started
	Generations func() (desired, applied uint64)
	Interfaces  func() []Interface
	Rounds      *Rounds
	Build       Build
}

// Checks is what finds the nodes' health; *health.Manager is one.
type Checks interface {
	Result(key lb.NodeKey) (health.Result, bool)
	Stats() health.Stats
}

// Interface is one that the program is wanted on. Mode is native or generic, empty when it is not attached.
type Interface struct {
	Name, Mode string
}

// Build says which program this is.
type Build struct {
	Version string // of the daemon
	Tag     string // of the data path's program, as bpftool shows it
	Schema  uint32 // of the maps
}

// scrapesMost bounds how many scrapes are worked on at a time. One of 10,000 nodes takes less than a second.
const scrapesMost = 4

// Handler answers scrapes. A figure that cannot be read is left out and logged; the others are served.
func Handler(s Sources, log *slog.Logger) http.Handler {
	r := prometheus.NewRegistry()
	r.MustRegister(
		&nodeCollector{s}, &configCollector{s}, &dataPathCollector{s}, &daemonCollector{s}, s.Rounds,
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
	)
	return promhttp.HandlerFor(r, promhttp.HandlerOpts{
		ErrorLog:            slog.NewLogLogger(log.Handler(), slog.LevelWarn),
		ErrorHandling:       promhttp.ContinueOnError,
		DisableCompression:  true, // it would take longer than to send the bytes over a loopback or a local network
		MaxRequestsInFlight: scrapesMost,
	})
}
