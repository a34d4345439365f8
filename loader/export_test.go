package loader

import "github.com/cilium/ebpf"

// RehearsalMaps names the maps that a rehearsal has a place for.
func RehearsalMaps() map[string]bool {
	known := map[string]bool{}
	for name := range rehearsalMaps {
		known[name] = true
	}
	return known
}

// Place puts the tables of an upgrade in place, and no more.
func Place(d *Datapath) error { return d.upgrade.place(d.coll.Maps) }

// Replace has another program attached instead of the data path's.
func Replace(d *Datapath, p *ebpf.Program) { d.coll.Programs["headgate"] = p }

// Fall lets a capture's reader fall silent, as one that was killed.
func (c *Capture) Fall() { c.stop() }

// Path is where the attachment is pinned.
func (a Attachment) Path(dir string) string { return a.path(dir) }
