package health

import (
	"context"
	"fmt"
	"log/slog"
	"math"
	"net/netip"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"github.com/headgate/headgate/pkg/lb"
)

// stream is what the checks of one node find, one after the other, and the last for ever: + a success, - a
// failure, s a success in half the timeout, even if it is cancelled meanwhile, t nothing until the timeout, ! that this host cannot check.
type stream struct {
	results string
	next    int
}

func (s *stream) take() byte {
	r := s.results[min(s.next, len(s.results)-1)]
	s.next++
	return r
}

// done is one check that came to its end.
type done struct {
	number     int // of all checks that began
	start, end time.Time
	result     byte
	cancelled  bool
}

// streams answers checks from streams and writes down how they went.
type streams struct {
	mu     sync.Mutex
	nodes  map[netip.AddrPort]*stream
	begun  int // checks
	log    map[netip.AddrPort][]done
	flying map[netip.AddrPort]int
	faults []string
}

func (s *streams) check(ctx context.Context, to netip.AddrPort, c lb.Check) error {
	s.mu.Lock()
	number, start, result := s.begun, time.Now(), s.nodes[to].take()
	s.begun++
	if s.flying[to]++; s.flying[to] > 1 {
		s.faults = append(s.faults, fmt.Sprintf("%s: two checks at a time", to))
	}
	s.mu.Unlock()
	err := map[byte]error{'-': errRefused, '!': fmt.Errorf("%w: no files", ErrInconclusive)}[result]
	switch result {
	case 's':
		time.Sleep(c.Timeout / 2) // of the bubble
	case 't':
		<-ctx.Done()
		err = ctx.Err()
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.flying[to]--
	s.log[to] = append(s.log[to], done{number, start, time.Now(), result, ctx.Err() == context.Canceled})
	if took := time.Since(start); took > c.Timeout {
		s.faults = append(s.faults, fmt.Sprintf("%s: a check of %v took %v", to, c.Timeout, took))
	}
	return err
}

// life is the checks that may begin while a node is a target.
type life struct{ from, to int }

const forever = math.MaxInt

func (l life) has(d done) bool { return d.number >= l.from && d.number < l.to }

// script is what a random test does.
type script struct {
	check   lb.Check
	streams []string
	steps   []scriptStep
}

type scriptStep struct {
	targets []int // per target which node: several may be one
	pass    time.Duration
}

func drawScript(t *rapid.T) script {
	s := script{check: lb.Check{
		Type:     lb.CheckConnection,
		Interval: rapid.SampledFrom([]time.Duration{100 * time.Millisecond, time.Second, 5 * time.Second}).Draw(t, "interval"),
		Attempts: rapid.IntRange(1, 4).Draw(t, "attempts"),
		Rise:     rapid.IntRange(1, 4).Draw(t, "rise"),
	}}
	s.check.Timeout = s.check.Interval * time.Duration(rapid.IntRange(1, 9).Draw(t, "timeout")) / 10
	s.streams = rapid.SliceOfN(rapid.StringMatching(`[+\-st!]{1,30}`), 1, 4).Draw(t, "streams")
	for range rapid.IntRange(1, 6).Draw(t, "steps") {
		s.steps = append(s.steps, scriptStep{
			targets: rapid.SliceOfN(rapid.IntRange(0, len(s.streams)-1), 0, 6).Draw(t, "targets"),
			pass:    s.check.Interval * time.Duration(rapid.IntRange(0, 100).Draw(t, "pass")) / 10,
		})
	}
	return s
}

// TestManagerAgreesWithWhatItsChecksFound runs random scripts and compares each result with one that is counted
// from the log of the checks: those that began and ended while the node was a target.
func TestManagerAgreesWithWhatItsChecksFound(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		s := drawScript(rt)
		var faults []string
		synctest.Test(t, func(t *testing.T) { faults = s.run(t) })
		if len(faults) > 0 {
			rt.Fatalf("%v", faults)
		}
	})
}

func (s *script) run(t *testing.T) (faults []string) {
	w := &streams{nodes: map[netip.AddrPort]*stream{}, log: map[netip.AddrPort][]done{}, flying: map[netip.AddrPort]int{}}
	for i, r := range s.streams {
		w.nodes[node(i).Address] = &stream{results: r}
	}
	m := New(Options{Log: slog.New(slog.DiscardHandler), Check: w.check})
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error)
	go func() { ended <- m.Run(ctx) }()
	lives := map[netip.AddrPort][]life{}
	for _, step := range s.steps {
		targets := s.targets(step)
		bury(lives, targets, w.begun) // nothing runs: all is at rest
		m.Set(targets)
		pass(step.pass)
		for _, tg := range targets {
			faults = append(faults, s.compare(m, w, lives, tg.Key)...)
		}
		if got := m.Snapshot().Len(); got != len(targets) {
			faults = append(faults, fmt.Sprintf("%d results of %d targets", got, len(targets)))
		}
	}
	cancel()
	<-ended
	return append(append(faults, w.faults...), s.pace(w, lives)...)
}

// targets are of configs of their own: the n-th target of a node is in config n.
func (s *script) targets(step scriptStep) (out []Target) {
	count := map[int]int{}
	for _, i := range step.targets {
		tg := target(i, s.check)
		tg.Key.Config.Port = uint16(80 + count[i])
		count[i]++
		out = append(out, tg)
	}
	return out
}

// bury ends the lives of nodes that are no target any more, and begins those of new ones.
func bury(lives map[netip.AddrPort][]life, targets []Target, now int) {
	wanted := map[netip.AddrPort]bool{}
	for _, tg := range targets {
		wanted[tg.Key.Address] = true
	}
	for addr, all := range lives {
		if last := &all[len(all)-1]; last.to == forever && !wanted[addr] {
			last.to = now
		}
	}
	for addr := range wanted {
		if all := lives[addr]; len(all) == 0 || all[len(all)-1].to != forever {
			lives[addr] = append(all, life{now, forever})
		}
	}
}

// tally counts results anew.
type tally struct {
	check      lb.Check
	health     lb.Health
	ups, downs int
	all        int
}

func (c *tally) count(d done) {
	if d.cancelled || d.result == '!' {
		return
	}
	c.all++
	if d.result == '+' || d.result == 's' {
		c.ups, c.downs = c.ups+1, 0
	} else {
		c.ups, c.downs = 0, c.downs+1
	}
	switch {
	case c.ups > 0 && (c.health == lb.Unknown || c.ups >= c.check.Rise):
		c.health = lb.Up
	case c.downs >= c.check.Attempts:
		c.health = lb.Down
	}
}

// mayChange says that the next results may change health.
func (c *tally) mayChange() bool {
	return c.health == lb.Unknown || c.health == lb.Up && c.downs > 0 || c.health == lb.Down && c.ups > 0
}

// compare counts anew what the node's last life has seen.
func (s *script) compare(m *Manager, w *streams, lives map[netip.AddrPort][]life, key lb.NodeKey) (faults []string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	last := lives[key.Address][len(lives[key.Address])-1]
	want := tally{check: s.check, health: lb.Unknown}
	for _, d := range w.log[key.Address] {
		if last.has(d) {
			want.count(d)
		}
	}
	r, known := m.Result(key)
	if !known || r.Health != want.health || r.Streak != want.ups-want.downs || len(m.History(key)) != min(want.all, HistoryMost) {
		faults = append(faults, fmt.Sprintf("%s: %+v with %d remembered, want %+v", key, r, len(m.History(key)), want))
	}
	return faults
}

// pace looks at the times between the checks of each life: never longer than the interval, or than the check
// before took; a node that may be changing is not left alone for longer than a second.
func (s *script) pace(w *streams, lives map[netip.AddrPort][]life) (faults []string) {
	for addr, all := range lives {
		for _, l := range all {
			in := slices.DeleteFunc(slices.Clone(w.log[addr]), func(d done) bool { return !l.has(d) })
			c := tally{check: s.check, health: lb.Unknown}
			for i := 1; i < len(in); i++ {
				c.count(in[i-1])
				most := s.check.Interval
				if c.mayChange() || in[i-1].result == '!' {
					most = min(most, fastest)
				}
				if gap := in[i].start.Sub(in[i-1].start); gap > max(most, in[i-1].end.Sub(in[i-1].start)) {
					faults = append(faults, fmt.Sprintf("%s: %v between two checks", addr, gap))
				}
			}
		}
	}
	return faults
}
