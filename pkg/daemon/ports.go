package daemon

import (
	"errors"
	"fmt"
	"log/slog"
	"slices"

	"github.com/headgate/headgate/loader"
	"github.com/headgate/headgate/pkg/api"
	"github.com/headgate/headgate/pkg/events"
	"github.com/headgate/headgate/pkg/netdev"
)

// attacher attaches the program to interfaces; *loader.Datapath is one.
type attacher interface {
	Attach(ifindex int, name string) (loader.Attachment, error)
	Prune(keep []int) error
}

// ports keeps the program attached to the wanted interfaces while these come and go. It belongs
// to one goroutine.
type ports struct {
	wanted   []*port
	mode     string // as configured
	attacher attacher
	says     *chronicle
}

// port is one wanted interface.
type port struct {
	name    string
	index   int // 0: not attached
	mode    string
	warning string // of the attachment
	trouble string // why it is not attached, or carries nothing
}

func newPorts(names []string, mode string, a attacher, says *chronicle) *ports {
	p := &ports{mode: mode, attacher: a, says: says}
	for _, name := range names {
		p.wanted = append(p.wanted, &port{name: name})
	}
	return p
}

// start attaches all, or says which one cannot be; then it detaches what is no longer wanted.
func (p *ports) start(links []netdev.Link) error {
	p.update(links)
	var errs []error
	for _, w := range p.wanted {
		if w.index == 0 {
			errs = append(errs, errors.New(w.trouble))
		}
	}
	return errors.Join(errs...)
}

// update follows the links: what came back is attached anew, what is gone is remembered, what
// could not be attached is tried again. It reports whether anything changed.
func (p *ports) update(links []netdev.Link) (changed bool) {
	attached := false
	for _, w := range p.wanted {
		before := *w
		i := slices.IndexFunc(links, func(l netdev.Link) bool { return l.Name == w.name })
		if other := renamed(w, links); i < 0 && other != "" {
			w.trouble = fmt.Sprintf("interface %s is called %s now: it is served as before until the next start; the file should name it so", w.name, other)
		} else if i < 0 {
			*w = port{name: w.name, trouble: fmt.Sprintf("interface %s is gone: the program is attached again when it is back", w.name)}
		} else if link := links[i]; w.index != link.Index {
			p.attach(w, link)
			attached = attached || w.index != 0
		} else {
			w.trouble = down(link)
		}
		if *w != before {
			changed = true
			p.report(w, &before)
		}
	}
	if attached {
		p.prune()
	}
	return changed
}

// renamed is what the interface is called that a port is attached to; "" if it is no more.
func renamed(w *port, links []netdev.Link) string {
	for _, l := range links {
		if w.index != 0 && l.Index == w.index {
			return l.Name
		}
	}
	return ""
}

func (p *ports) attach(w *port, link netdev.Link) {
	a, err := p.attacher.Attach(link.Index, link.Name)
	if err != nil {
		*w = port{name: w.name, trouble: err.Error()}
		return
	}
	*w = port{name: w.name, index: link.Index, mode: a.Mode, warning: a.Warning, trouble: down(link)}
	if a.Mode == loader.ModeGeneric && w.warning == "" && p.mode != loader.ModeGeneric {
		// Taken over from a daemon that had found out why.
		w.warning = fmt.Sprintf("%s runs in generic mode, at a fraction of the speed", w.name)
	}
}

func down(l netdev.Link) string {
	if l.Up {
		return ""
	}
	return fmt.Sprintf("interface %s is down", l.Name)
}

// prune detaches from interfaces that are not wanted, also from the pins of wanted ones that went.
func (p *ports) prune() {
	var keep []int
	for _, w := range p.wanted {
		if w.index != 0 {
			keep = append(keep, w.index)
		}
	}
	if err := p.attacher.Prune(keep); err != nil {
		p.says.alert(slog.LevelWarn, events.Event{Kind: events.Interface, Text: fmt.Sprintf("detach from interfaces no longer wanted: %v", err)})
	}
}

func (p *ports) report(now, before *port) {
	say := func(level slog.Level, format string, args ...any) {
		p.says.alert(level, events.Event{Kind: events.Interface, Text: fmt.Sprintf(format, args...)})
	}
	switch {
	case now.index != 0 && now.index != before.index:
		say(slog.LevelInfo, "attached to %s in %s mode", now.name, now.mode)
		if now.warning != "" {
			say(slog.LevelWarn, "%s", now.warning)
		}
	case now.trouble != "":
		say(slog.LevelWarn, "%s", now.trouble)
	case before.trouble != "":
		say(slog.LevelInfo, "interface %s is well again", now.name)
	}
}

// ways are the links as packets leave by them: frames come in by a VLAN link that the program is attached to, and
// not to the one below, without tags, and they leave by it without.
func (p *ports) ways(links []netdev.Link) []netdev.Link {
	attached := map[int]bool{}
	for _, w := range p.wanted {
		attached[w.index] = w.index != 0
	}
	out := slices.Clone(links)
	for i, l := range out {
		if l.Kind == "vlan" && attached[l.Index] && !attached[l.Parent] {
			out[i].Parent, out[i].Tags = l.Index, nil
		}
	}
	return out
}

// interfaces is what status shows.
func (p *ports) interfaces() []api.Interface {
	out := make([]api.Interface, len(p.wanted))
	for i, w := range p.wanted {
		out[i] = api.Interface{Name: w.name, Index: w.index, Mode: w.mode, Warning: w.warning}
	}
	return out
}

// warnings are what people should know.
func (p *ports) warnings() (out []string) {
	for _, w := range p.wanted {
		for _, s := range []string{w.trouble, w.warning} {
			if s != "" {
				out = append(out, s)
			}
		}
	}
	return out
}
