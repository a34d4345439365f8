package health

import (
	"context"
	"net/netip"
	"time"

	"github.com/headgate/headgate/pkg/lb"
)

// Hurry checks a node at once, because there is reason to think that it is not well: unless it is being checked
// or was a moment ago, so that whoever asks often makes no more checks than a node in transition has. False: the
// node is not checked at all.
func (m *Manager) Hurry(key lb.NodeKey) bool {
	if m.nodes.Load().of(key) == nil {
		return false
	}
	m.mu.Lock()
	if m.hurried == nil {
		m.hurried = map[lb.NodeKey]bool{}
	}
	m.hurried[key] = true
	m.mu.Unlock()
	signal(m.kick)
	return true
}

// answerMost is how long a node may take that is asked whether it takes connections.
const answerMost = time.Second

// Answers asks a node for one TCP handshake, whatever check it has or has not; nil: it took the connection.
func (m *Manager) Answers(to netip.AddrPort) error {
	ctx, cancel := context.WithTimeout(context.Background(), answerMost)
	defer cancel()
	return m.prepare(lb.Check{Type: lb.CheckConnection})(ctx, to)
}

// hurryAll moves the checks forward that were asked for.
func (l *loop) hurryAll() {
	l.mu.Lock()
	keys := l.hurried
	l.hurried = nil
	l.mu.Unlock()
	nodes := l.nodes.Load()
	for key := range keys {
		if p := nodes.of(key); p != nil {
			l.hurry(p, later(time.Now(), p.started.Add(min(p.key.how.Interval, fastest))))
		}
	}
}
