package metrics

import (
	"strconv"

	"github.com/prometheus/client_golang/prometheus"
)

var (
	build = gauge("build_info", "1 for the daemon's version, the tag of the program that the data path runs, and the layout of its maps.",
		"program_tag", "schema", "version")
	desired = gauge("desired_generation", "Generation of the desired state: each change makes a new one.")
	applied = gauge("applied_generation", "Generation that the data path runs.")

	checkTargets  = gauge("checked_nodes", "Nodes whose health is checked.")
	checkProbes   = gauge("check_probes", "Distinct checks; fewer than nodes where several share one.")
	checkInFlight = gauge("checks_in_flight", "Checks that run at this moment.")
	checkResults  = counter("checks_total", "Checks by their result; inconclusive ones could not be made by this host, and count for nobody.",
		"result")
	ejections   = counter("ejections_total", "Times that a node was to be ejected, because it failed connections and nobody checks it; half of the primaries stay nonetheless.")
	checkLag    = gauge("check_lag_seconds", "How late the last check was started.")
	checkLagP99 = gauge("check_lag_p99_seconds", "How late 99 in 100 checks of the last minute were started at most.")
	checkMaxLag = gauge("check_lag_max_seconds", "How late the latest check of the last minute was started.")
)

// daemonCollector tells of the daemon's own work.
type daemonCollector struct{ Sources }

// Describe implements prometheus.Collector.
func (c *daemonCollector) Describe(to chan<- *prometheus.Desc) {
	describe(to, build, desired, applied, checkTargets, checkProbes, checkInFlight, checkResults, ejections, checkLag, checkLagP99, checkMaxLag)
}

// Collect implements prometheus.Collector.
func (c *daemonCollector) Collect(to chan<- prometheus.Metric) {
	to <- build.of(1, c.Build.Tag, strconv.FormatUint(uint64(c.Build.Schema), 10), c.Build.Version)
	want, have := c.Generations()
	to <- desired.of(float64(want))
	to <- applied.of(float64(have))
	s := c.Checks.Stats()
	to <- checkTargets.of(float64(s.Targets))
	to <- checkProbes.of(float64(s.Probes))
	to <- checkInFlight.of(float64(s.InFlight))
	to <- checkResults.of(float64(s.Done-s.Failed), "success")
	to <- checkResults.of(float64(s.Failed), "failure")
	to <- checkResults.of(float64(s.Inconclusive), "inconclusive")
	to <- ejections.of(float64(c.Ejections()))
	to <- checkLag.of(s.Lag.Seconds())
	to <- checkLagP99.of(s.LagP99.Seconds())
	to <- checkMaxLag.of(s.MaxLag.Seconds())
}
