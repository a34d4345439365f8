package maps

import (
	"errors"
	"fmt"
	"maps"
	"net"
	"net/netip"

	"github.com/cilium/ebpf"

	"github.com/headgate/headgate/loader"
)

// Announced is a VIP and an interface on whose network the program answers for it.
type Announced struct {
	Addr    netip.Addr
	IfIndex int
}

// String gives ADDRESS at interface INDEX.
func (a Announced) String() string { return fmt.Sprintf("%s at interface %d", a.Addr, a.IfIndex) }

func encodeAnnounced(a Announced) loader.AnnouncedKey {
	return loader.AnnouncedKey{Addr: encodeAddr(a.Addr), Ifindex: uint32(a.IfIndex), Family: uint32(familyOf(a.Addr))}
}

func decodeAnnounced(k loader.AnnouncedKey) Announced {
	return Announced{decodeAddr(k.Addr, uint8(k.Family)), int(k.Ifindex)}
}

func (s *store) Announced() (map[Announced][6]byte, error) { return s.announced() }

func (s *store) PutAnnounced(a Announced, mac [6]byte) error { return s.putAnnounced(a, mac) }
func (s *store) DeleteAnnounced(a Announced) error           { return s.deleteAnnounced(a) }

func (r *Reader) dumpAnnounced(yield emit) {
	all, err := r.announced()
	if err != nil {
		yield(Entry{}, fmt.Errorf("read announced: %w", err))
		return
	}
	for a, mac := range all {
		e := Entry{Key: fmt.Sprintf("%s/%d", a.Addr, a.IfIndex), Value: fmt.Sprintf("at %s", net.HardwareAddr(mac[:]))}
		if !yield(e, nil) {
			return
		}
	}
}

func (o *kernelOutside) announcedMax() uint32 { return o.maps.Announced.MaxEntries() }

func (o *kernelOutside) announced() (map[Announced][6]byte, error) {
	out := map[Announced][6]byte{}
	var key loader.AnnouncedKey
	var value loader.Announcement
	it := o.maps.Announced.Iterate()
	for it.Next(&key, &value) {
		out[decodeAnnounced(key)] = value.Mac
	}
	if err := it.Err(); err != nil {
		return nil, fmt.Errorf("iterate map announced: %w", err)
	}
	return out, nil
}

func (o *kernelOutside) putAnnounced(a Announced, mac [6]byte) error {
	if err := o.maps.Announced.Put(encodeAnnounced(a), loader.Announcement{Mac: mac}); err != nil {
		return fmt.Errorf("map announced (%d entries), put %s: %w", o.announcedMax(), a, err)
	}
	return nil
}

func (o *kernelOutside) deleteAnnounced(a Announced) error {
	err := o.maps.Announced.Delete(encodeAnnounced(a))
	if err != nil && !errors.Is(err, ebpf.ErrKeyNotExist) {
		return fmt.Errorf("map announced, delete %s: %w", a, err)
	}
	return nil
}

func (o *fakeOutside) announcedMax() uint32                      { return fakeClients }
func (o *fakeOutside) announced() (map[Announced][6]byte, error) { return maps.Clone(o.answers), nil }

func (o *fakeOutside) putAnnounced(a Announced, mac [6]byte) error {
	o.answers[a] = mac
	return nil
}

func (o *fakeOutside) deleteAnnounced(a Announced) error {
	delete(o.answers, a)
	return nil
}
