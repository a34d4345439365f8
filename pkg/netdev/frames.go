package netdev

import (
	"errors"
	"fmt"
	"io"
	"net"
	"time"

	"github.com/mdlayher/packet"
	"golang.org/x/net/bpf"
	"golang.org/x/sys/unix"
)

// Frames is a socket for the frames of one link by which hosts tell each other who has an address: ARP, and
// neighbour advertisements and solicitations. It takes what the kernel gets to see, which of what the
// program answers is nothing.
type Frames struct {
	arp, nd *packet.Conn
	in      chan []byte
	done    chan struct{}
}

// frameMost is more than any of these frames has.
const frameMost = 2048

// OpenFrames opens the socket of the link with that index, in the calling thread's network namespace. It takes
// CAP_NET_RAW.
func OpenFrames(ifindex int) (*Frames, error) {
	link, err := net.InterfaceByIndex(ifindex)
	if err != nil {
		return nil, fmt.Errorf("interface %d: %w", ifindex, err)
	}
	arp, err := packet.Listen(link, packet.Raw, unix.ETH_P_ARP, nil)
	if err != nil {
		return nil, fmt.Errorf("listen for ARP on %s: %w", link.Name, err)
	}
	filter, err := bpf.Assemble(neighbourMessages)
	if err != nil {
		return nil, errors.Join(err, arp.Close())
	}
	nd, err := packet.Listen(link, packet.Raw, unix.ETH_P_IPV6, &packet.Config{Filter: filter})
	if err != nil {
		return nil, errors.Join(fmt.Errorf("listen for neighbour discovery on %s: %w", link.Name, err), arp.Close())
	}
	f := &Frames{arp: arp, nd: nd, in: make(chan []byte), done: make(chan struct{})}
	go f.read(arp)
	go f.read(nd)
	return f, nil
}

// Where things lie in an IPv6 frame without extension headers.
const (
	nextHeaderAt = 14 + 6
	icmpTypeAt   = 14 + 40
)

// neighbourMessages lets solicitations and advertisements through and nothing else of a busy host's IPv6.
var neighbourMessages = []bpf.Instruction{
	bpf.LoadAbsolute{Off: nextHeaderAt, Size: 1},
	bpf.JumpIf{Cond: bpf.JumpNotEqual, Val: unix.IPPROTO_ICMPV6, SkipTrue: 4},
	bpf.LoadAbsolute{Off: icmpTypeAt, Size: 1},
	bpf.JumpIf{Cond: bpf.JumpEqual, Val: 135, SkipTrue: 1},
	bpf.JumpIf{Cond: bpf.JumpNotEqual, Val: 136, SkipTrue: 1},
	bpf.RetConstant{Val: frameMost},
	bpf.RetConstant{Val: 0},
}

func (f *Frames) read(c *packet.Conn) {
	b := make([]byte, frameMost)
	for {
		n, _, err := c.ReadFrom(b)
		switch {
		case errors.Is(err, net.ErrClosed):
			return
		case err != nil: // the link went down, for example: the socket lives on
			select {
			case <-f.done:
				return
			case <-time.After(100 * time.Millisecond):
				continue
			}
		}
		select {
		case f.in <- append([]byte(nil), b[:n]...):
		case <-f.done:
			return
		}
	}
}

// Send sends a frame as it is.
func (f *Frames) Send(frame []byte) error {
	if len(frame) < 14 {
		return errors.New("send: no whole frame")
	}
	c := f.arp
	if frame[12] == unix.ETH_P_IPV6>>8 {
		c = f.nd
	}
	_, err := c.WriteTo(frame, &packet.Addr{HardwareAddr: net.HardwareAddr(frame[:6])})
	return err
}

// Receive waits for the next frame; after Close it gives io.EOF.
func (f *Frames) Receive() ([]byte, error) {
	select {
	case b := <-f.in:
		return b, nil
	case <-f.done:
		return nil, io.EOF
	}
}

// Close ends it. It must be called once.
func (f *Frames) Close() error {
	close(f.done)
	return errors.Join(f.arp.Close(), f.nd.Close())
}
