package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"runtime"
	"runtime/debug"
	"strings"

	"github.com/urfave/cli/v2"
	"golang.org/x/sys/unix"

	"github.com/headgate/headgate/loader"
	"github.com/headgate/headgate/pkg/api"
	"github.com/headgate/headgate/pkg/daemon"
)

// version and commit are set by the linker; else they are the module's.
var version, commit string

// build is what this binary is made of and runs on.
type build struct {
	Version  string `json:"version"`
	Commit   string `json:"commit"`
	Modified bool   `json:"modified"` // there were changes beside the commit
	Go       string `json:"go"`
	Clang    string `json:"clang"`  // that compiled the program
	Layout   uint32 `json:"layout"` // of the tables, ABI_SCHEMA
	Kernel   string `json:"kernel"`
	Arch     string `json:"arch"`
	Daemon   string `json:"daemon"` // version and pid, or why there is none
	Pinned   pinned `json:"pinned"`
}

// pinned is what lies in the directory of pins, or why that is not known.
type pinned struct {
	Dir string `json:"dir"`
	*daemon.Pins
	Trouble string `json:"trouble,omitempty"`
}

func (p pinned) String() string {
	if p.Pins == nil {
		return p.Trouble
	}
	where := "no interface"
	if len(p.Interfaces) > 0 {
		var names []string
		for _, i := range p.Interfaces {
			names = append(names, i.Name+" "+i.Mode)
		}
		where = strings.Join(names, ", ")
	}
	layout := fmt.Sprintf("layout %d", p.Layout)
	if p.Program != "" {
		layout += ", program " + p.Program
	}
	return fmt.Sprintf("%s on %s, in %s", layout, where, p.Dir)
}

func versionCommand(e env) *cli.Command {
	return &cli.Command{
		Name:      "version",
		Usage:     "version, commit, compilers, kernel, and what is attached",
		UsageText: text("version [-o table|json|yaml]", "headgate version"),
		Flags:     []cli.Flag{outputFlag()},
		Action: func(c *cli.Context) error {
			if err := noArgs(c); err != nil {
				return err
			}
			form, err := format(c)
			if err != nil {
				return err
			}
			b := readBuild(c)
			return printAs(e.stdout, form, b, func(w io.Writer) error { return printBuild(w, b) })
		},
	}
}

func printBuild(w io.Writer, b build) error {
	commit := b.Commit
	if b.Modified {
		commit += " (modified)"
	}
	_, err := fmt.Fprintf(w, "headgate %s\ncommit   %s\ngo       %s\nbpf      %s, layout %d\nkernel   %s %s\ndaemon   %s\npinned   %s\n",
		b.Version, commit, b.Go, b.Clang, b.Layout, b.Kernel, b.Arch, b.Daemon, b.Pinned)
	return err
}

// readBuild says what this binary is, and which daemon runs.
func readBuild(c *cli.Context) build {
	b := ownBuild()
	b.Daemon = readDaemon(c)
	b.Pinned = readPinned(c.String("bpffs"))
	return b
}

// ownBuild says what this binary is.
func ownBuild() build {
	b := build{Version: version, Commit: cmp.Or(commit, "unknown"), Go: runtime.Version(), Clang: compiler, Layout: loader.Schema, Arch: runtime.GOARCH, Kernel: "unknown"}
	if info, ok := debug.ReadBuildInfo(); ok {
		if b.Version == "" {
			b.Version = strings.Trim(info.Main.Version, "()")
		}
		for _, s := range info.Settings {
			switch s.Key {
			case "vcs.revision":
				b.Commit = s.Value
			case "vcs.modified":
				b.Modified = s.Value == "true"
			}
		}
	}
	var u unix.Utsname
	if err := unix.Uname(&u); err == nil {
		b.Kernel = unix.ByteSliceToString(u.Release[:])
	}
	return b
}

// compiler compiles the committed object of the program; see bpf2go's line in package loader.
const compiler = "clang 19"

func readPinned(dir string) pinned {
	pins, err := daemon.ReadPins(dir)
	switch {
	case errors.Is(err, loader.ErrNotPinned):
		return pinned{Dir: dir, Trouble: "nothing in " + dir}
	case err != nil:
		return pinned{Dir: dir, Trouble: err.Error()}
	}
	return pinned{Dir: dir, Pins: &pins}
}

func readDaemon(c *cli.Context) string {
	ctx, cancel := context.WithTimeout(c.Context, patience)
	defer cancel()
	return describeDaemon(api.NewClient(c.String("socket")).Status(ctx))
}

func describeDaemon(st api.Status, err error) string {
	switch {
	case errors.Is(err, fs.ErrPermission):
		return "unknown: its socket is for its owner only"
	case errors.As(err, new(*api.NotRunningError)):
		return "does not run"
	case err != nil:
		return "does not answer"
	}
	return fmt.Sprintf("%s, pid %d", st.Version, st.PID)
}
