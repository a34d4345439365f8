package maps

import (
	"encoding/binary"
	"net/netip"
	"time"

	"github.com/headgate/headgate/loader"
)

// AddStick makes a stick entry as the program would that has just chosen the node for the client. backups:
// it is the backups' turn, and the node is one.
func (f *Fake) AddStick(service uint32, client netip.Addr, node uint32, age time.Duration, backups bool) error {
	n, err := f.ReadNode(node)
	if err != nil {
		return err
	}
	policy, err := f.ReadStickPolicy(service)
	if err != nil {
		return err
	}
	key, raw := loader.StickKey{Service: service}, encodeAddr(client)
	for i := range key.Client {
		key.Client[i] = binary.NativeEndian.Uint32(raw[4*i:])
	}
	e := loader.StickEntry{
		Node: node, Generation: n.Status.Generation,
		Born: jiffies64At(&f.meta, monotonic()) - uint64(f.jiffies(age)),
	}
	if backups {
		e.Tier = policy.Tier
	}
	f.ports.sticks[key] = e
	return nil
}
