package loader

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"

	"github.com/cilium/ebpf"
)

// prepare makes the rehearsal's own maps what those are that packets meet; the frame has no tags.
func (r *Rehearsal) prepare(frame []byte) error {
	return errors.Join(
		copyArray(r.own.NodesLive, r.real.NodesLive),
		copyArray(r.own.ServicesLive, r.real.ServicesLive),
		copyCPUs[refusalBucket](r.own.Refusals, r.real.Refusals),
		clearCPUs[Reasons](r.own.Reasons), clearCPUs[headgateCreation](r.own.Creations),
		forget[uint32](r.own.Flows4), forget[uint32](r.own.Flows6), forget[StickKey](r.own.Sticks), forget[ThrottleKey](r.own.Throttles),
		forget[FragmentKey](r.own.Fragments), copyArray(r.own.Datagrams, r.real.Datagrams),
		copyArray(r.own.Tags, r.real.Tags),
		r.copyClient(frame), r.copyDatagram(frame),
	)
}

// refusalBucket is struct refusal_bucket of bpf/abi.h.
type refusalBucket struct{ Tokens, Filled uint64 }

// copyArray copies an array that is mapped into memory.
func copyArray(to, from *ebpf.Map) error {
	source, err := from.Memory()
	if err != nil {
		return err
	}
	target, err := to.Memory()
	if err != nil {
		return err
	}
	content := make([]byte, min(source.Size(), target.Size()))
	if _, err := source.ReadAt(content, 0); err != nil {
		return err
	}
	_, err = target.WriteAt(content, 0)
	return err
}

// copyCPUs copies the only entry of an array per CPU.
func copyCPUs[V any](to, from *ebpf.Map) error {
	var cpus []V
	if err := from.Lookup(uint32(0), &cpus); err != nil {
		return err
	}
	return to.Put(uint32(0), cpus)
}

func clearCPUs[V any](m *ebpf.Map) error {
	cpus, err := ebpf.PossibleCPU()
	if err != nil {
		return err
	}
	return m.Put(uint32(0), make([]V, cpus))
}

// forget empties a hash.
func forget[K any](m *ebpf.Map) error {
	var keys []K
	var key K
	for err := m.NextKey(nil, &key); ; err = m.NextKey(key, &key) {
		if errors.Is(err, ebpf.ErrKeyNotExist) {
			break
		}
		if err != nil {
			return err
		}
		keys = append(keys, key)
	}
	for _, k := range keys {
		if err := m.Delete(k); err != nil && !errors.Is(err, ebpf.ErrKeyNotExist) {
			return err
		}
	}
	return nil
}

// copyClient copies what is remembered of a frame's client. User space's look at these maps does not count as
// a use, so nothing of them stays for longer because somebody asked.
func (r *Rehearsal) copyClient(frame []byte) error {
	keys := frameKeys(frame)
	if len(keys) == 0 {
		return nil
	}
	client := keys[0].src.Addr()
	var vip VIPKey
	var id uint32
	it := r.real.Vips.Iterate()
	for it.Next(&vip, &id) {
		var s Service
		if id >= r.real.Services.MaxEntries() {
			continue // a VIP without ports
		}
		if err := r.real.Services.Lookup(id, &s); err != nil {
			return fmt.Errorf("service %d: %w", id, err)
		}
		if err := errors.Join(copyEntry[StickEntry](r.own.Sticks, r.real.Sticks, stickKey(id, client)),
			copyEntry[ThrottleEntry](r.own.Throttles, r.real.Throttles, throttleKey(s.Throttle.Group, client))); err != nil {
			return err
		}
	}
	return it.Err()
}

func copyEntry[V, K any](to, from *ebpf.Map, key K) error {
	var v V
	switch err := from.Lookup(key, &v); {
	case errors.Is(err, ebpf.ErrKeyNotExist):
		return nil
	case err != nil:
		return err
	}
	return to.Put(key, v)
}

// stickKey is set_stick_key of bpf/sticky.h.
func stickKey(service uint32, client netip.Addr) StickKey {
	k := StickKey{Service: service}
	b := client.AsSlice()
	for i := 0; i < len(b); i += 4 {
		k.Client[i/4] = binary.NativeEndian.Uint32(b[i:])
	}
	return k
}

// throttleKey is set_throttle_key of bpf/throttle.h.
func throttleKey(group uint32, client netip.Addr) ThrottleKey {
	b := client.AsSlice()
	if client.Is4() {
		return ThrottleKey{Client: uint64(binary.NativeEndian.Uint32(b)), Group: group, Family: 4}
	}
	return ThrottleKey{Client: binary.NativeEndian.Uint64(b), Group: group, Family: 6}
}
