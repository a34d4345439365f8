package loader

import (
	"encoding/binary"
	"errors"
	"net/netip"

	"github.com/cilium/ebpf"
)

// keys are frameKeys, or of a later fragment the key of its datagram's flow.
func (r *Rehearsal) keys(frame []byte) ([]flowKey, error) {
	key, ok := fragmentKey(frame)
	if !ok {
		return frameKeys(frame), nil
	}
	var f Fragment
	switch err := r.real.Fragments.Lookup(key, &f); {
	case errors.Is(err, ebpf.ErrKeyNotExist):
		return frameKeys(frame), nil
	case err != nil:
		return nil, err
	}
	port := func(address [4]uint32, raw uint16) netip.AddrPort {
		var b [16]byte
		for i, word := range address {
			binary.NativeEndian.PutUint32(b[4*i:], word)
		}
		a := netip.AddrFrom16(b)
		if key.Family == 4 {
			a = netip.AddrFrom4([4]byte(b[:]))
		}
		return netip.AddrPortFrom(a, binary.BigEndian.Uint16(binary.NativeEndian.AppendUint16(nil, raw)))
	}
	return append(frameKeys(frame), flowKey{port(key.Src, f.Sport), port(key.Dst, f.Dport), f.Proto}), nil
}

// copyDatagram copies what is known of a fragment's datagram.
func (r *Rehearsal) copyDatagram(frame []byte) error {
	key, ok := fragmentKey(frame)
	if !ok {
		return nil
	}
	return copyEntry[Fragment](r.own.Fragments, r.real.Fragments, key)
}

// fragmentKey is key_of_part of bpf/fragment.h; false: the frame is no fragment.
func fragmentKey(frame []byte) (key FragmentKey, ok bool) {
	if len(frame) < 14+40 && (len(frame) < 14+20 || binary.BigEndian.Uint16(frame[12:]) != etherIPv4) {
		return key, false
	}
	ip := frame[14:]
	switch binary.BigEndian.Uint16(frame[12:]) {
	case etherIPv4:
		key.Family, key.Proto, key.Id = 4, ip[9], uint32(binary.NativeEndian.Uint16(ip[4:]))
		key.Src[0], key.Dst[0] = binary.NativeEndian.Uint32(ip[12:]), binary.NativeEndian.Uint32(ip[16:])
		return key, binary.BigEndian.Uint16(ip[6:])&0x3fff != 0
	case etherIPv6:
		next, rest := skipOptions(ip[6], ip[40:])
		if next != protoFragment || len(rest) < 8 {
			return key, false
		}
		key.Family, key.Id = 6, binary.NativeEndian.Uint32(rest[4:])
		for i := range 4 {
			key.Src[i], key.Dst[i] = binary.NativeEndian.Uint32(ip[8+4*i:]), binary.NativeEndian.Uint32(ip[24+4*i:])
		}
		return key, true
	}
	return key, false
}
