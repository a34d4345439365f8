package lb

import (
	"fmt"
	"strings"
	"time"
)

// Limit is the allowed range of a number, both ends included.
type Limit struct{ Min, Max int64 }

// Reason says in words why v is outside, or "" when it is inside.
func (l Limit) Reason(v int64) string {
	if v >= l.Min && v <= l.Max {
		return ""
	}
	return fmt.Sprintf("must be from %d to %d, not %d", l.Min, l.Max, v)
}

// Must says in words what a number inside is.
func (l Limit) Must() string { return fmt.Sprintf("a number from %d to %d", l.Min, l.Max) }

// Span is the allowed range of a duration, both ends included.
type Span struct{ Min, Max time.Duration }

// Reason says in words why d is outside, or "" when it is inside.
func (s Span) Reason(d time.Duration) string {
	if d >= s.Min && d <= s.Max {
		return ""
	}
	return fmt.Sprintf("must be from %s to %s, not %s", FormatDuration(s.Min), FormatDuration(s.Max), FormatDuration(d))
}

// What people may set.
var (
	PortLimit   = Limit{1, 65535}
	WeightLimit = Limit{1, 255}

	MinEligibleNodes   = Limit{1, 32767} // more nodes than the data path has ids for
	MinEligiblePercent = Limit{1, 100}
	MaxConnsLimit      = Limit{0, 1_000_000_000} // 0: none
	FailbackDelaySpan  = Span{0, 24 * time.Hour}
	SlowStartSpan      = Span{0, time.Hour}

	// The data path keeps time in 32 bits of jiffies, at up to 1,000 a second: idle times stay well
	// below half of their circle of 49 days.
	TCPIdleSpan = Span{time.Minute, 7 * 24 * time.Hour}
	UDPIdleSpan = Span{time.Second, 24 * time.Hour}

	// Of a node's flows: see the fields of Config. Short of the same half circle.
	DeadlineSpan  = Span{time.Second, 7 * 24 * time.Hour}
	StickTTLSpan  = Span{time.Second, 7 * 24 * time.Hour}
	ThrottleLimit = Limit{0, 20} // new flows a second; 0: any number
)

// LabelMin and LabelMax bound the length of a label in bytes. The tables in the kernel hold 32.
const (
	LabelMin = 3
	LabelMax = 32
)

// TagMost bounds the length of a tag in characters, TagsMost the number of tags of a balancer.
const (
	TagMost  = 50
	TagsMost = 100
)

// Protocols, Algorithms and the others list what each word may be, the default first.
var (
	Protocols    = []Protocol{TCP, UDP}
	Algorithms   = []Algorithm{RoundRobin, LeastConn, Source, RingHash}
	OnNoBackends = []OnNoBackend{NoBackendReset, NoBackendDrop, NoBackendOpen}
	OnDowns      = []OnDown{DownKeep, DownReset}
	Modes        = []Mode{Accept, Reject, Drain, Backup}
	Overrides    = []Override{OverrideNone, OverrideUp, OverrideDown}
)

// ByClient says that the address of a client alone chooses its node.
func (a Algorithm) ByClient() bool { return a == Source || a == RingHash }

// AlgorithmsOf lists what the algorithm of a config with that protocol may be, the default first.
func AlgorithmsOf(p Protocol) []Algorithm {
	if p == UDP {
		return []Algorithm{RoundRobin, LeastConn, RingHash}
	}
	return []Algorithm{RoundRobin, LeastConn, Source}
}

// StickinessesOf lists what the stickiness of a config of a protocol may be, the default first.
func StickinessesOf(p Protocol) []Stickiness {
	if p == UDP {
		return []Stickiness{StickSession, StickNone, StickSourceIP}
	}
	return []Stickiness{StickNone, StickTable}
}

// FormatDuration writes d as people do: 1h rather than 1h0m0s. time.ParseDuration reads it back.
func FormatDuration(d time.Duration) string {
	s := d.String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}
