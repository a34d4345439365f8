package loader

import (
	"errors"
	"fmt"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/link"
)

// ErrCapturing: a capture runs, and there is one at a time.
var ErrCapturing = errors.New("a capture runs already: end it first")

// ErrUpgrading: tables of an older layout count still, and a capture would bring in the new ones.
var ErrUpgrading = errors.New("the tables of an older release are being taken over: capture once that is done")

// Capture begins a capture on all interfaces that the program is attached to, or will be while it runs. The error
// matches ErrCapturing when there is one, ErrUpgrading before Complete. Close of the capture, or of the Datapath, ends
// it. When the process dies before, what is attached goes on forwarding, captures nothing more, and is replaced by the next Open
// and Attach.
func (d *Datapath) Capture(o CaptureOptions) (*Capture, error) {
	c, err := NewCapture(&d.maps, o) // takes a second, in which packets need not wait
	if err != nil {
		return nil, err
	}
	if err := d.beginCapture(c); err != nil {
		return nil, errors.Join(err, c.Close())
	}
	return c, nil
}

func (d *Datapath) beginCapture(c *Capture) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.capture != nil {
		return ErrCapturing
	}
	if d.upgrade != nil {
		return ErrUpgrading
	}
	if err := d.replaceAll(c.Program()); err != nil {
		return fmt.Errorf("capture: %w", errors.Join(err, d.replaceAll(d.coll.Programs["headgate"])))
	}
	d.capture = c
	c.end = func() error { return d.endCapture(c) }
	return nil
}

// endCapture puts the plain program back. Until all interfaces run it, the capture is not over, and the call can be
// repeated. It does nothing for one that is over.
func (d *Datapath) endCapture(c *Capture) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.capture != c {
		return nil
	}
	if err := d.replaceAll(d.coll.Programs["headgate"]); err != nil {
		return err
	}
	d.capture = nil
	return nil
}

// abandonCapture ends a capture with the Datapath: what cannot be put back is for the next Open and Attach.
func (d *Datapath) abandonCapture() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.capture == nil {
		return nil
	}
	d.capture = nil
	return d.replaceAll(d.coll.Programs["headgate"])
}

// Capturing says whether a capture runs.
func (d *Datapath) Capturing() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.capture != nil
}

// program is what interfaces are to run.
func (d *Datapath) program() *ebpf.Program {
	if d.capture != nil {
		return d.capture.Program()
	}
	return d.coll.Programs["headgate"]
}

// replaceAll puts a program behind every attachment, in place: no packet is missed.
func (d *Datapath) replaceAll(p *ebpf.Program) error {
	var errs []error
	for _, a := range d.attachments {
		if err := replaceOne(a.path(d.dir), p); err != nil {
			errs = append(errs, explain(fmt.Errorf("replace the program on %s: %w", a.Interface, err)))
		}
	}
	return errors.Join(errs...)
}

func replaceOne(path string, p *ebpf.Program) error {
	l, err := link.LoadPinnedLink(path, nil)
	if err != nil {
		return err
	}
	defer l.Close()
	return ignoreDead(l.Update(p))
}
