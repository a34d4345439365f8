package main

import (
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// printer writes what the demo does, with the time since it began, and counts claims.
type printer struct {
	w      io.Writer
	begin  time.Time
	colour bool
	claims int
	failed int
}

func newPrinter(w io.Writer) *printer {
	p := &printer{w: w, begin: time.Now()}
	if f, ok := w.(*os.File); ok && os.Getenv("NO_COLOR") == "" {
		_, err := unix.IoctlGetTermios(int(f.Fd()), unix.TCGETS)
		p.colour = err == nil
	}
	return p
}

// Colours of a terminal.
const (
	bold  = "1"
	green = "32"
	red   = "31"
	dim   = "2"
)

func (p *printer) paint(colour, text string) string {
	if !p.colour {
		return text
	}
	return "\x1b[" + colour + "m" + text + "\x1b[0m"
}

// scene begins a part of the demo.
func (p *printer) scene(title string) {
	fmt.Fprintf(p.w, "\n%s %s\n", p.paint(dim, fmt.Sprintf("%5.1fs", time.Since(p.begin).Seconds())), p.paint(bold, title))
}

// say writes a line.
func (p *printer) say(format string, args ...any) {
	fmt.Fprintf(p.w, "       %s\n", fmt.Sprintf(format, args...))
}

// lines writes a block as it is, indented.
func (p *printer) lines(block string) {
	for line := range strings.Lines(strings.Trim(block, "\n") + "\n") {
		fmt.Fprintf(p.w, "       %s", line)
	}
}

// command shows a command line.
func (p *printer) command(args ...string) {
	p.say("%s", p.paint(dim, "$ headgate "+strings.Join(args, " ")))
}

// claim says whether something held.
func (p *printer) claim(held bool, format string, args ...any) {
	p.claims++
	mark := p.paint(green, "✓ held:")
	if !held {
		p.failed++
		mark = p.paint(red, "✗ DID NOT HOLD:")
	}
	p.say("%s %s", mark, fmt.Sprintf(format, args...))
}
