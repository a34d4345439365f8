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

	"github.com/headgate/headgate/pkg/api"
)

// version and commit are set by the linker; else they are the module's.
var version, commit string

// build is what this binary is made of and runs on.
type build struct {
	Version  string `json:"version"`
	Commit   string `json:"commit"`
	Modified bool   `json:"modified"` // there were changes beside the commit
	Go       string `json:"go"`
	Clang    string `json:"clang"` // that compiled the program
	Kernel   string `json:"kernel"`
	Arch     string `json:"arch"`
	Daemon   string `json:"daemon"` // version and pid, or why there is none
}

func versionCommand(e env) *cli.Command {
	return &cli.Command{
		Name:      "version",
		Usage:     "version, commit, compilers and kernel",
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
	_, err := fmt.Fprintf(w, "headgate %s\ncommit   %s\ngo       %s\nbpf      %s\nkernel   %s %s\ndaemon   %s\n",
		b.Version, commit, b.Go, b.Clang, b.Kernel, b.Arch, b.Daemon)
	return err
}

// readBuild says what this binary is, and which daemon runs.
func readBuild(c *cli.Context) build {
	b := ownBuild()
	b.Daemon = readDaemon(c)
	return b
}

// ownBuild says what this binary is.
func ownBuild() build {
	b := build{Version: version, Commit: cmp.Or(commit, "unknown"), Go: runtime.Version(), Clang: compiler, Arch: runtime.GOARCH, Kernel: "unknown"}
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
