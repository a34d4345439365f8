package maps

import (
	"fmt"
	"sync/atomic"

	"github.com/headgate/headgate/loader"
)

func (s *store) ReadLink(index uint16) (Link, error) {
	e, err := at("links", s.links, uint32(index))
	if err != nil {
		return Link{}, err
	}
	if e.Ifindex == 0 {
		return Link{}, nil
	}
	port, err := s.txPort(index)
	if err != nil {
		return Link{}, fmt.Errorf("tx_ports[%d]: %w", index, err)
	}
	l := Link{
		IfIndex: int(e.Ifindex), MAC: e.Mac, MTU: decodeMTU(e.Mtu),
		Redirect: e.Flags&loader.LinkRedirect != 0,
		Stale:    port != int(e.Ifindex),
	}
	if e.Flags&loader.LinkTagged != 0 {
		l.Tags, l.Parent = decodeTags(e.Tags), port
		l.Stale = port == 0 || port != int(e.Parent)
	}
	return l, nil
}

func (s *store) WriteLink(index uint16, l Link) error {
	e, err := at("links", s.links, uint32(index))
	if err != nil {
		return err
	}
	if l.IfIndex == 0 {
		atomic.StoreUint64(word64(&e.Ifindex), 0)
		if err := s.deleteTxPort(index); err != nil {
			return fmt.Errorf("tx_ports[%d]: %w", index, err)
		}
		return nil
	}
	port, parent := l.IfIndex, 0
	if l.Tags != (Tags{}) {
		port, parent = l.Parent, l.Parent
	}
	if err := s.putTxPort(index, port); err != nil {
		return fmt.Errorf("tx_ports[%d], interface %d: %w", index, port, err)
	}
	// The rest first: with the word of the interface the entry is there.
	want := loader.LinkEntry{Ifindex: uint32(l.IfIndex), Mac: l.MAC, Mtu: encodeMTU(l.MTU), Parent: uint32(parent)}
	if l.Redirect {
		want.Flags = loader.LinkRedirect
	}
	if l.Tags != (Tags{}) {
		want.Flags, want.Tags = want.Flags|loader.LinkTagged, l.Tags.word()
	}
	atomic.StoreUint64(&e.Tags, want.Tags)
	atomic.StoreUint32(&e.Mtu, want.Mtu)
	atomic.StoreUint32(&e.Parent, want.Parent)
	atomic.StoreUint32(word32(&e.Mac[4]), *word32(&want.Mac[4]))
	atomic.StoreUint64(word64(&e.Ifindex), *word64(&want.Ifindex))
	return nil
}
