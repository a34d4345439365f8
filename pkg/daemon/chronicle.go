package daemon

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync"

	"github.com/headgate/headgate/pkg/events"
)

// newsMost is how many events of nodes and configs have a line each in the log until the next tick: a rack
// that goes away is one line there, not thousands. The event log has all of them.
const newsMost = 20

// chronicle is where whatever happens is written down, in the event log and in the daemon's log. Its
// methods may be called concurrently.
type chronicle struct {
	log  *slog.Logger
	book *events.Log

	mu      sync.Mutex
	said    int            // lines since the last tick
	held    map[string]int // events since the last tick that got no line, by what they are
	applied uint64         // generation that is not written down yet; 0: none
	fresh   bool           // one was written down since the last tick
}

func newChronicle(log *slog.Logger, book *events.Log) *chronicle {
	return &chronicle{log: log, book: book}
}

// note writes down what happened. Lines that would be too many for the log wait for the tick's summary.
func (c *chronicle) note(list ...events.Event) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.book.Add(list...)
	if c.said+len(list) > newsMost {
		if c.held == nil {
			c.held = map[string]int{}
		}
		for _, e := range list {
			c.held[summarized(e)]++
		}
		return
	}
	c.said += len(list)
	for _, e := range list {
		c.line(slog.LevelInfo, e)
	}
}

// alert writes down one event that must not be missed in the log.
func (c *chronicle) alert(level slog.Level, e events.Event) {
	c.book.Add(e)
	c.line(level, e)
}

// caughtUp writes down that the data path runs a generation; of many in a second the first and the last.
func (c *chronicle) caughtUp(generation uint64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.fresh {
		c.applied = generation
		return
	}
	c.fresh = true
	c.addApplied(generation)
}

func (c *chronicle) addApplied(generation uint64) {
	c.book.Add(events.Event{Kind: events.Applied, To: fmt.Sprint(generation), Text: fmt.Sprintf("the data path runs generation %d", generation)})
}

// tick writes down what was held back: for the log in one line.
func (c *chronicle) tick() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.applied != 0 {
		c.addApplied(c.applied)
	}
	c.fresh, c.applied = c.applied != 0, 0
	c.said = 0
	if len(c.held) == 0 {
		return
	}
	var words []string
	for _, what := range slices.Sorted(maps.Keys(c.held)) {
		words = append(words, fmt.Sprintf("%d %s", c.held[what], what))
	}
	c.held = nil
	c.log.Info("many things happened at once (`headgate events` lists them): " + strings.Join(words, ", "))
}

// summarized is what an event counts as in the summary: nodes are UP or DOWN, the rest is its kind.
func summarized(e events.Event) string {
	if e.Kind == events.Health {
		return e.To
	}
	return string(e.Kind)
}

// line logs an event, for people by its sentence and for machines by its parts.
func (c *chronicle) line(level slog.Level, e events.Event) {
	attrs := []slog.Attr{slog.String("event", string(e.Kind))}
	for _, a := range []slog.Attr{
		slog.String("config", e.Config), slog.String("node", e.Node), slog.String("from", e.From), slog.String("to", e.To), slog.String("limit", e.Limit),
	} {
		if a.Value.String() != "" {
			attrs = append(attrs, a)
		}
	}
	c.log.LogAttrs(context.Background(), level, e.Text, attrs...)
}
