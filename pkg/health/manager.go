package health

import (
	"context"
	"log/slog"
	"net/netip"

	"github.com/headgate/headgate/pkg/lb"
)

type Options struct {
	Log *slog.Logger
	// Source chooses the address that a probe to dst is sent from; nil, or an invalid address, leaves it to the kernel.
	Source func(dst netip.Addr) netip.Addr
}
type Manager struct{}

func New(opts Options) *Manager                                  { return &Manager{} }
func (m *Manager) Run(ctx context.Context) error                 { return nil }
func (m *Manager) Set(targets []Target)                          {}
func (m *Manager) Changes() <-chan struct{}                      { return nil }
func (m *Manager) Snapshot() map[lb.NodeKey]Result               { return nil }
func (m *Manager) Result(key lb.NodeKey) (Result, bool)          { return Result{}, false }
func (m *Manager) History(key lb.NodeKey) []Check                { return nil }
func (m *Manager) Stats() Stats                                  { return Stats{} }
