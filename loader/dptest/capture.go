package dptest

import (
	"errors"
	"os"
	"testing"
	"time"

	"github.com/headgate/headgate/loader"
)

// Capture sees the frames of a Bed.
type Capture struct {
	bed *Bed
	*loader.Capture
}

// Capture loads one on the Bed's tables. It ends with the test.
func (b *Bed) Capture(tb testing.TB, spec loader.CaptureOptions) *Capture {
	tb.Helper()
	return b.CaptureAt(tb, spec, HZ)
}

// CaptureAt is Capture with another idea of how many jiffies a second has.
func (b *Bed) CaptureAt(tb testing.TB, spec loader.CaptureOptions, hz uint32) *Capture {
	tb.Helper()
	c, err := b.TryCapture(spec, hz)
	if err != nil {
		tb.Fatalf("capture: %s", describe(err))
	}
	tb.Cleanup(func() { c.Close() })
	return &Capture{b, c}
}

// TryCapture is CaptureAt for those that may be refused.
func (b *Bed) TryCapture(spec loader.CaptureOptions, hz uint32) (*loader.Capture, error) {
	program, err := loader.CaptureProgram()
	if err == nil {
		err = b.configure(program)
	}
	if err == nil {
		err = program.Variables["hz"].Set(hz)
	}
	if err != nil {
		return nil, err
	}
	return loader.CaptureBy(program, loader.MapsOf(b.coll), spec)
}

// Run runs a frame through the program that captures, and returns what that captured of it; nil if nothing.
func (c *Capture) Run(ifindex int, frame []byte) (Verdict, []byte, *loader.CapturedPacket) {
	verdict, out := c.bed.RunBy(c.Program(), ifindex, frame)
	seen, err := c.Read(time.Now()) // it is written before the run returns
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return verdict, out, nil
	}
	must(err)
	return verdict, out, &seen
}
