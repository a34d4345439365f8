package maps

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net/netip"
)

// ErrInjected is what the operations of a Faulty fail with.
var ErrInjected = errors.New("injected fault")

// Faulty is Tables of which some operations fail: half of those without any effect, half after
// they took effect, because the caller of a failed write cannot know. Of several slots, some may
// have been written.
type Faulty struct {
	Tables
	rate   float64
	random *rand.Rand
	failed int
}

// NewFaulty wraps tables. rate is the share of operations that fail, 0 to 1; the same seed fails
// the same ones.
func NewFaulty(t Tables, rate float64, seed uint64) *Faulty {
	return &Faulty{Tables: t, rate: rate, random: rand.New(rand.NewPCG(seed, seed))}
}

// SetRate changes the share of operations that fail.
func (f *Faulty) SetRate(rate float64) { f.rate = rate }

// Failed returns how many operations have failed so far.
func (f *Faulty) Failed() int { return f.failed }

func (f *Faulty) hit() bool {
	if f.random.Float64() >= f.rate {
		return false
	}
	f.failed++
	return true
}

func (f *Faulty) write(what string, do func() error) error {
	if !f.hit() {
		return do()
	}
	if f.random.IntN(2) == 0 {
		if err := do(); err != nil {
			return err
		}
	}
	return fmt.Errorf("%s: %w", what, ErrInjected)
}

func fails[T any](f *Faulty, what string, read func() (T, error)) (T, error) {
	if f.hit() {
		var none T
		return none, fmt.Errorf("%s: %w", what, ErrInjected)
	}
	return read()
}

// The methods of Tables, each as the wrapped one unless it fails.

func (f *Faulty) ReadNode(id uint32) (Node, error) {
	return fails(f, "read nodes", func() (Node, error) { return f.Tables.ReadNode(id) })
}

func (f *Faulty) WriteNode(id uint32, n Node) error {
	return f.write("write nodes", func() error { return f.Tables.WriteNode(id, n) })
}

func (f *Faulty) WriteStatus(id uint32, s Status) error {
	return f.write("write status", func() error { return f.Tables.WriteStatus(id, s) })
}

func (f *Faulty) WriteDeadline(id uint32, at Moment) error {
	return f.write("write deadline", func() error { return f.Tables.WriteDeadline(id, at) })
}

func (f *Faulty) WriteHop(id uint32, h Hop) error {
	return f.write("write hop", func() error { return f.Tables.WriteHop(id, h) })
}

func (f *Faulty) WriteIdle(id uint32, i Idle) error {
	return f.write("write idle", func() error { return f.Tables.WriteIdle(id, i) })
}

func (f *Faulty) WriteSNATs(id uint32, r SNATRange) error {
	return f.write("write node's snats", func() error { return f.Tables.WriteSNATs(id, r) })
}

func (f *Faulty) WriteLoad(id uint32, l Load) error {
	return f.write("write node's load", func() error { return f.Tables.WriteLoad(id, l) })
}

func (f *Faulty) StartNode(id uint32, nextPort uint64) error {
	return f.write("start node", func() error { return f.Tables.StartNode(id, nextPort) })
}

func (f *Faulty) Active(id uint32) (uint64, error) {
	return fails(f, "read nodes_live", func() (uint64, error) { return f.Tables.Active(id) })
}

func (f *Faulty) ReadNodeInfo(id uint32) (NodeInfo, error) {
	return fails(f, "read nodes_info", func() (NodeInfo, error) { return f.Tables.ReadNodeInfo(id) })
}

func (f *Faulty) WriteNodeInfo(id uint32, i NodeInfo) error {
	return f.write("write nodes_info", func() error { return f.Tables.WriteNodeInfo(id, i) })
}

func (f *Faulty) ReadService(id uint32) (ServiceWord, error) {
	return fails(f, "read services", func() (ServiceWord, error) { return f.Tables.ReadService(id) })
}

func (f *Faulty) WriteService(id uint32, w ServiceWord) error {
	return f.write("write services", func() error { return f.Tables.WriteService(id, w) })
}

func (f *Faulty) ReadStickPolicy(id uint32) (StickPolicy, error) {
	return fails(f, "read stick policy", func() (StickPolicy, error) { return f.Tables.ReadStickPolicy(id) })
}

func (f *Faulty) WriteStickPolicy(id uint32, p StickPolicy) error {
	return f.write("write stick policy", func() error { return f.Tables.WriteStickPolicy(id, p) })
}

func (f *Faulty) ReadThrottlePolicy(id uint32) (ThrottlePolicy, error) {
	return fails(f, "read throttle policy", func() (ThrottlePolicy, error) { return f.Tables.ReadThrottlePolicy(id) })
}

func (f *Faulty) WriteThrottlePolicy(id uint32, p ThrottlePolicy) error {
	return f.write("write throttle policy", func() error { return f.Tables.WriteThrottlePolicy(id, p) })
}

func (f *Faulty) StartService(id uint32) error {
	return f.write("start service", func() error { return f.Tables.StartService(id) })
}

func (f *Faulty) ReadServiceInfo(id uint32) (ServiceInfo, error) {
	return fails(f, "read services_info", func() (ServiceInfo, error) { return f.Tables.ReadServiceInfo(id) })
}

func (f *Faulty) WriteServiceInfo(id uint32, i ServiceInfo) error {
	return f.write("write services_info", func() error { return f.Tables.WriteServiceInfo(id, i) })
}

func (f *Faulty) ReadSlots(first, count uint32) ([]uint64, error) {
	return fails(f, "read slots", func() ([]uint64, error) { return f.Tables.ReadSlots(first, count) })
}

func (f *Faulty) WriteSlots(first uint32, words []uint64) error {
	if !f.hit() {
		return f.Tables.WriteSlots(first, words)
	}
	if err := f.Tables.WriteSlots(first, words[:f.random.IntN(len(words)+1)]); err != nil {
		return err
	}
	return fmt.Errorf("write slots: %w", ErrInjected)
}

func (f *Faulty) VIPs() (map[VIP]uint32, error) {
	return fails(f, "read vips", f.Tables.VIPs)
}

func (f *Faulty) ReadFoundAt(service uint32) (VIP, error) {
	return fails(f, "read services", func() (VIP, error) { return f.Tables.ReadFoundAt(service) })
}

func (f *Faulty) PutVIP(v VIP, service uint32) error {
	return f.write("write vips", func() error { return f.Tables.PutVIP(v, service) })
}

func (f *Faulty) DeleteVIP(v VIP) error {
	return f.write("delete from vips", func() error { return f.Tables.DeleteVIP(v) })
}

func (f *Faulty) Addresses() ([]netip.Addr, error) {
	return fails(f, "read addresses", f.Tables.Addresses)
}

func (f *Faulty) PutAddress(a netip.Addr) error {
	return f.write("write addresses", func() error { return f.Tables.PutAddress(a) })
}

func (f *Faulty) Announced() (map[Announced][6]byte, error) {
	return fails(f, "read announced", f.Tables.Announced)
}

func (f *Faulty) PutAnnounced(a Announced, mac [6]byte) error {
	return f.write("write announced", func() error { return f.Tables.PutAnnounced(a, mac) })
}

func (f *Faulty) DeleteAnnounced(a Announced) error {
	return f.write("delete from announced", func() error { return f.Tables.DeleteAnnounced(a) })
}

func (f *Faulty) DeleteAddress(a netip.Addr) error {
	return f.write("delete from addresses", func() error { return f.Tables.DeleteAddress(a) })
}

func (f *Faulty) ReadLink(index uint16) (Link, error) {
	return fails(f, "read links", func() (Link, error) { return f.Tables.ReadLink(index) })
}

func (f *Faulty) WriteLink(index uint16, l Link) error {
	return f.write("write links", func() error { return f.Tables.WriteLink(index, l) })
}

func (f *Faulty) ReadTags(index uint8) (t Tags, retired bool, err error) {
	t, err = fails(f, "read tags", func() (t Tags, err error) {
		t, retired, err = f.Tables.ReadTags(index)
		return t, err
	})
	return t, retired, err
}

func (f *Faulty) RetireTags(index uint8, retired bool) error {
	return f.write("write tags", func() error { return f.Tables.RetireTags(index, retired) })
}

func (f *Faulty) FreeTags(index uint8) error {
	return f.write("write tags", func() error { return f.Tables.FreeTags(index) })
}

func (f *Faulty) ReadSNAT(index uint16) (netip.Addr, error) {
	return fails(f, "read snats", func() (netip.Addr, error) { return f.Tables.ReadSNAT(index) })
}

func (f *Faulty) WriteSNAT(index uint16, a netip.Addr) error {
	return f.write("write snats", func() error { return f.Tables.WriteSNAT(index, a) })
}

func (f *Faulty) ReadOurs(word int) (uint64, error) {
	return fails(f, "read ours", func() (uint64, error) { return f.Tables.ReadOurs(word) })
}

func (f *Faulty) WriteOurs(word int, bits uint64) error {
	return f.write("write ours", func() error { return f.Tables.WriteOurs(word, bits) })
}

func (f *Faulty) InUse() (*Usage, error) { return fails(f, "read flows", f.Tables.InUse) }

var _ Tables = (*Faulty)(nil)
