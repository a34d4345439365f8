package daemon

import (
	"fmt"
	"log/slog"
	"sync"

	"github.com/headgate/headgate/pkg/events"
)

// ender is a capture of the loader: Close can be repeated until it succeeds.
type ender interface{ Close() error }

// unended is a capture that nobody wants any more, but whose program could not be replaced everywhere.
type unended struct {
	mu      sync.Mutex
	capture ender // nil: there is none
	err     error // of the last attempt
}

// end ends a capture. What fails is tried again every second: whoever has asked for the capture may be gone.
func (u *unended) end(c ender, says *chronicle) error {
	u.mu.Lock()
	defer u.mu.Unlock()
	err := c.Close()
	if err == nil {
		return nil
	}
	u.capture, u.err = c, err
	says.alert(slog.LevelError, events.Event{Kind: events.Daemon, Text: u.text()})
	return err
}

// retry is for every second.
func (u *unended) retry(says *chronicle) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.capture == nil {
		return
	}
	if u.err = u.capture.Close(); u.err != nil {
		return
	}
	u.capture = nil
	says.alert(slog.LevelInfo, events.Event{Kind: events.Daemon, Text: "all interfaces run the plain program again after a capture"})
}

func (u *unended) text() string {
	return fmt.Sprintf("a capture is over, but its program could not be replaced everywhere, where packets cost more; this is tried again every second: %v", u.err)
}

// warnings are what people should know.
func (u *unended) warnings() []string {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.capture == nil {
		return nil
	}
	return []string{u.text()}
}
