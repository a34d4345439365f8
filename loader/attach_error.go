package loader

import (
	"errors"
	"fmt"
	"net"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"
)

// attachError says what to do about an interface that the program cannot be attached to.
func (d *Datapath) attachError(a Attachment, err error) error {
	switch {
	case isTaken(err):
		return fmt.Errorf("attach to %s: %s is attached there: take it off first (ip link set dev %s xdp off; another Headgate's: headgate --bpffs DIR detach)",
			a.Interface, d.occupant(a.IfIndex), a.Interface)
	case a.Mode == ModeNative && largeMTU(a, err) != "":
		return fmt.Errorf("attach to %s in native mode: the driver refuses (%v%s; xdp_mode: auto falls back to generic mode)", a.Interface, rootCause(err), largeMTU(a, err))
	case a.Mode == ModeNative && errors.Is(err, unix.EOPNOTSUPP):
		return fmt.Errorf("attach to %s in native mode: its driver knows no native XDP (%v): xdp_mode: auto falls back to generic mode, which is slower",
			a.Interface, rootCause(err))
	}
	return explain(fmt.Errorf("attach to %s in %s mode: %w", a.Interface, a.Mode, rootCause(err)))
}

func isTaken(err error) bool { return errors.Is(err, unix.EBUSY) || errors.Is(err, unix.EEXIST) }

// occupant names the XDP program of somebody else as far as it is known: its name only to who may do
// everything (CAP_SYS_ADMIN).
func (d *Datapath) occupant(ifindex int) string {
	if d.options.ProgramOn == nil {
		return "another XDP program"
	}
	id, ok := d.options.ProgramOn(ifindex)
	if !ok {
		return "another XDP program"
	}
	program, err := ebpf.NewProgramFromID(ebpf.ProgramID(id))
	if err != nil {
		return fmt.Sprintf("another XDP program (id %d)", id)
	}
	defer program.Close()
	info, err := program.Info()
	if err != nil {
		return fmt.Sprintf("another XDP program (id %d)", id)
	}
	return fmt.Sprintf("another XDP program (%s, id %d)", info.Name, id)
}

// What fits a page beside the room that XDP wants (XDP_PACKET_HEADROOM, skb_shared_info) and a header with tags. Drivers
// that know no frames of several buffers take no larger MTU; some, an even smaller one.
const onePageMTU = 4096 - 256 - 320 - 22

// largeMTU says what to set where a driver refuses an MTU: veth and others with ERANGE, most with EINVAL, some as
// if they knew no XDP at all.
func largeMTU(a Attachment, err error) string {
	may := errors.Is(err, unix.EINVAL) || errors.Is(err, unix.EOPNOTSUPP)
	certain := errors.Is(err, unix.ERANGE)
	dev, lookup := net.InterfaceByIndex(a.IfIndex)
	if !may && !certain || lookup != nil || dev.MTU <= 1500 || dev.Flags&net.FlagLoopback != 0 {
		return ""
	}
	why, most := "perhaps for its MTU", onePageMTU
	if certain {
		why = "for its MTU"
	}
	if dev.MTU <= most {
		most = 1500
	}
	return fmt.Sprintf(", %s of %d: set it to %d at most, ip link set dev %s mtu %d", why, dev.MTU, most, a.Interface, most)
}
