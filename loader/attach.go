package loader

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/cilium/ebpf/link"
	"golang.org/x/sys/unix"
)

// XDP modes, as the configuration names them.
const (
	ModeAuto    = "auto"    // native, else generic with a warning
	ModeNative  = "native"  // in the driver
	ModeGeneric = "generic" // after the driver, on socket buffers
)

// Attachment is one interface that the program is attached to.
type Attachment struct {
	Interface string // as it was called when it was attached; "" when read from the pins
	IfIndex   int
	Mode      string // ModeNative or ModeGeneric
	Warning   string // "" or what the operator should know
	ProgramID uint32
}

func pinName(ifindex int, mode string) string { return fmt.Sprintf("%d-%s", ifindex, mode) }

// parsePin is the reverse of pinName.
func parsePin(name string) (Attachment, bool) {
	index, mode, ok := strings.Cut(name, "-")
	n, err := strconv.Atoi(index)
	return Attachment{IfIndex: n, Mode: mode}, ok && err == nil
}

// pinnedLinks lists the pins under links/.
func pinnedLinks(dir string) ([]Attachment, error) {
	entries, err := os.ReadDir(filepath.Join(dir, linksDir))
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, explain(fmt.Errorf("list the attachments: %w", err))
	}
	var found []Attachment
	for _, e := range entries {
		if a, ok := parsePin(e.Name()); ok {
			found = append(found, a)
		}
	}
	return found, nil
}

func (a Attachment) path(dir string) string {
	return filepath.Join(dir, linksDir, pinName(a.IfIndex, a.Mode))
}

// Attach makes the interface run this program: a link that is pinned is switched over in place, so
// that no packet is missed; otherwise the program is attached, in the mode that the options ask for.
// It is idempotent. The error says so when another XDP program is there already.
func (d *Datapath) Attach(ifindex int, name string) (Attachment, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	links, err := pinnedLinks(d.dir)
	if err != nil {
		return Attachment{}, err
	}
	var previous []Attachment
	for _, a := range links {
		if a.IfIndex != ifindex {
			continue
		}
		a.Interface = name
		if d.wantsMode(a.Mode) && d.goOn(a) {
			return d.remember(d.warned(a)), nil
		}
		if err := unpinLink(d.dir, a); err != nil {
			return Attachment{}, err
		}
		if !d.wantsMode(a.Mode) {
			previous = append(previous, a)
		}
	}
	return d.attachAnew(ifindex, name, previous)
}

// attachAnew makes a new link, or else those again that there were before.
func (d *Datapath) attachAnew(ifindex int, name string, previous []Attachment) (Attachment, error) {
	a, err := d.attach(ifindex, name)
	if err != nil {
		return Attachment{}, errors.Join(err, d.restore(previous))
	}
	return d.remember(a), nil
}

// restore attaches the program again as it was before a change of mode that failed: an interface that
// carried traffic goes on carrying it.
func (d *Datapath) restore(previous []Attachment) error {
	for _, a := range previous {
		l, err := d.attachIn(a)
		if err != nil {
			return d.attachError(a, err)
		}
		if err := d.pinLink(l, a); err != nil {
			return err
		}
	}
	return nil
}

// warned adds what the operator should know of an attachment that an earlier start made.
func (d *Datapath) warned(a Attachment) Attachment {
	if d.options.Mode == ModeAuto && a.Mode == ModeGeneric {
		a.Warning = fmt.Sprintf("%s runs in generic mode, at a fraction of the speed, as when it was attached; `headgate detach` and a new start try native mode", a.Interface)
	}
	return a
}

func (d *Datapath) wantsMode(mode string) bool {
	return d.options.Mode == ModeAuto || d.options.Mode == mode
}

// goOn puts this program behind a pinned link, or will once the tables are complete. False: the link is dead.
func (d *Datapath) goOn(a Attachment) bool {
	if d.upgrade == nil {
		return d.switchOver(a)
	}
	l, err := d.openLink(a)
	if err != nil {
		return false
	}
	d.upgrade.links = append(d.upgrade.links, a)
	return l.Close() == nil
}

// switchOver puts this program behind a pinned link. False: the link is dead, its interface gone.
func (d *Datapath) switchOver(a Attachment) bool {
	l, err := d.openLink(a)
	if err != nil {
		return false
	}
	defer l.Close()
	return l.Update(d.program()) == nil
}

// openLink opens a pinned link, if it is alive.
func (d *Datapath) openLink(a Attachment) (link.Link, error) {
	l, err := link.LoadPinnedLink(a.path(d.dir), nil)
	if err != nil {
		return nil, err
	}
	info, err := l.Info()
	if err == nil && (info.XDP() == nil || info.XDP().Ifindex != uint32(a.IfIndex)) {
		err = errors.New("its interface is gone")
	}
	if err != nil {
		return nil, errors.Join(err, l.Close())
	}
	return l, nil
}

// attach makes a new link and pins it.
func (d *Datapath) attach(ifindex int, name string) (Attachment, error) {
	a := Attachment{Interface: name, IfIndex: ifindex, Mode: ModeNative}
	if d.options.Mode == ModeGeneric {
		a.Mode = ModeGeneric
	}
	l, err := d.attachIn(a)
	if err != nil && d.options.Mode == ModeAuto && !isTaken(err) {
		a.Mode = ModeGeneric
		a.Warning = fmt.Sprintf("%s runs in generic mode, at a fraction of the speed: its driver refuses native XDP (%v%s)", name, rootCause(err), largeMTU(a, err))
		l, err = d.attachIn(a)
	}
	if err != nil {
		return a, d.attachError(a, err)
	}
	return a, d.pinLink(l, a)
}

// pinLink pins a new link, which it closes: without a pin the attachment ends.
func (d *Datapath) pinLink(l link.Link, a Attachment) error {
	defer l.Close()
	if err := os.MkdirAll(filepath.Join(d.dir, linksDir), pinsMode); err != nil {
		return fmt.Errorf("attach to %s: %w", a.Interface, err)
	}
	if err := l.Pin(a.path(d.dir)); err != nil {
		return fmt.Errorf("attach to %s: pin the link: %w", a.Interface, err)
	}
	return nil
}

// attachIn makes a new link in the attachment's mode.
func (d *Datapath) attachIn(a Attachment) (link.Link, error) {
	flags := link.XDPDriverMode
	if a.Mode == ModeGeneric {
		flags = link.XDPGenericMode
	}
	return link.AttachXDP(link.XDPOptions{Program: d.program(), Interface: a.IfIndex, Flags: flags})
}

// rootCause strips the library's own words.
func rootCause(err error) error {
	var errno unix.Errno
	if errors.As(err, &errno) {
		return errno
	}
	return err
}

func (d *Datapath) remember(a Attachment) Attachment {
	d.attachments[a.IfIndex] = a
	return a
}

// Attachments lists where the program is attached by this daemon, in no order.
func (d *Datapath) Attachments() []Attachment {
	d.mu.Lock()
	defer d.mu.Unlock()
	list := make([]Attachment, 0, len(d.attachments))
	for _, a := range d.attachments {
		list = append(list, a)
	}
	return list
}

// Prune takes the program off every interface that is not in keep.
func (d *Datapath) Prune(keep []int) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	wanted := map[int]bool{}
	for _, index := range keep {
		wanted[index] = true
	}
	links, err := pinnedLinks(d.dir)
	if err != nil {
		return err
	}
	for _, a := range links {
		if wanted[a.IfIndex] {
			continue
		}
		if err := unpinLink(d.dir, a); err != nil {
			return err
		}
		delete(d.attachments, a.IfIndex)
	}
	return nil
}

// unpinLink ends a link: it detaches at once, where losing the pin alone would take a moment.
func unpinLink(dir string, a Attachment) error {
	l, err := link.LoadPinnedLink(a.path(dir), nil)
	if err == nil {
		err = errors.Join(ignoreDead(l.Detach()), l.Close())
	}
	if err == nil {
		err = os.Remove(a.path(dir))
	}
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return explain(fmt.Errorf("detach from interface %d: %w", a.IfIndex, err))
	}
	return nil
}

// ignoreDead forgives a link whose interface is gone already.
func ignoreDead(err error) error {
	if errors.Is(err, unix.ENOLINK) || errors.Is(err, unix.ENODEV) {
		return nil
	}
	return err
}
