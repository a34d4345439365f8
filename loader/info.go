package loader

import (
	"os"
	"path/filepath"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/link"
)

// Info is what is pinned and attached, read without a daemon.
type Info struct {
	Dir         string
	Schema      uint32 // layout of the tables
	FlowsV4     uint32 // entries
	FlowsV6     uint32 // entries
	Attachments []Attachment
	ProgramTag  string // of the attached program, "" when none is
	HolderPID   int    // of the daemon that holds the pins; 0: none, or not known
}

// Pinned reads what is pinned in the directory, of whatever layout; the error matches ErrNotPinned when
// nothing is.
func Pinned(dir string) (Info, error) {
	info := Info{Dir: dir}
	if !tablesPinned(dir) {
		return info, notPinned(dir)
	}
	schema, err := schemaOf(filepath.Join(dir, mapsDir))
	if err != nil {
		return info, err
	}
	info.Schema = schema
	if info.FlowsV4, err = entriesOf(dir, "flows4"); err != nil {
		return info, err
	}
	if info.FlowsV6, err = entriesOf(dir, "flows6"); err != nil {
		return info, err
	}
	links, err := pinnedLinks(dir)
	if err != nil {
		return info, err
	}
	for _, a := range links {
		if id, alive := linkedProgram(filepath.Join(dir, linksDir, pinName(a.IfIndex, a.Mode))); alive {
			a.ProgramID = uint32(id)
			info.ProgramTag = programTag(id)
			info.Attachments = append(info.Attachments, a)
		}
	}
	if f, err := os.Open(dir); err == nil {
		info.HolderPID = holder(f)
		f.Close()
	}
	return info, nil
}

// entriesOf is how many halves of flows a table has room for.
func entriesOf(dir, table string) (uint32, error) {
	m, err := openMap(dir, table)
	if err != nil {
		return 0, err
	}
	defer m.Close()
	return m.MaxEntries() * bucketSlots, nil
}

// linkedProgram returns the program behind a pinned link; not alive when its interface is gone.
func linkedProgram(path string) (ebpf.ProgramID, bool) {
	l, err := link.LoadPinnedLink(path, &ebpf.LoadPinOptions{})
	if err != nil {
		return 0, false
	}
	defer l.Close()
	info, err := l.Info()
	if err != nil || info.XDP() == nil || info.XDP().Ifindex == 0 {
		return 0, false
	}
	return info.Program, true
}

func programTag(id ebpf.ProgramID) string {
	program, err := ebpf.NewProgramFromID(id)
	if err != nil {
		return ""
	}
	defer program.Close()
	info, err := program.Info()
	if err != nil {
		return ""
	}
	return info.Tag
}
