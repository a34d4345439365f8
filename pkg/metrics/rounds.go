package metrics

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Rounds counts the rounds in which the daemon brings the maps up to date: at least one a second, most of
// which find nothing to do.
type Rounds struct {
	duration prometheus.Histogram
	failed   prometheus.Counter
	writes   prometheus.Counter
}

// NewRounds makes an account of no rounds.
func NewRounds() *Rounds {
	return &Rounds{
		duration: prometheus.NewHistogram(prometheus.HistogramOpts{
			Namespace: namespace, Name: "reconcile_duration_seconds",
			Help:    "How long a round took in which the maps were brought up to date.",
			Buckets: prometheus.ExponentialBuckets(0.0001, 4, 8), // 0.1 ms to 1.6 s
		}),
		failed: prometheus.NewCounter(prometheus.CounterOpts{
			Namespace: namespace, Name: "reconcile_retries_total",
			Help: "Rounds that could not write everything and were tried again.",
		}),
		writes: prometheus.NewCounter(prometheus.CounterOpts{
			Namespace: namespace, Name: "reconcile_writes_total",
			Help: "Operations on maps by all rounds.",
		}),
	}
}

// Done counts a round. It may be called from any goroutine.
func (r *Rounds) Done(took time.Duration, writes int, err error) {
	r.duration.Observe(took.Seconds())
	r.writes.Add(float64(writes))
	if err != nil {
		r.failed.Inc()
	}
}

// Describe implements prometheus.Collector.
func (r *Rounds) Describe(to chan<- *prometheus.Desc) { prometheus.DescribeByCollect(r, to) }

// Collect implements prometheus.Collector.
func (r *Rounds) Collect(to chan<- prometheus.Metric) {
	r.duration.Collect(to)
	r.failed.Collect(to)
	r.writes.Collect(to)
}
