// Package packaging tests what `make package` makes: the units, the Debian package and its life on a system.
package packaging

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// root of the project.
const root = "../.."

// within bounds any one command.
const within = 5 * time.Minute

// run runs a command in the project's root and returns what it printed.
func run(t *testing.T, name string, args ...string) string {
	t.Helper()
	out, err := try(t, name, args...)
	if err != nil {
		t.Fatalf("%s %s: %v\n%s", name, strings.Join(args, " "), err, out)
	}
	return out
}

func try(t *testing.T, name string, args ...string) (string, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), within)
	defer cancel()
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir = root
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// system is a directory that dpkg takes for a system of its own.
type system struct {
	t   *testing.T
	dir string
}

func newSystem(t *testing.T) *system {
	t.Helper()
	s := &system{t, t.TempDir()}
	for _, dir := range []string{"var/lib/dpkg/info", "var/lib/dpkg/updates", "var/lib/dpkg/triggers", "etc", "run/systemd/system"} {
		if err := os.MkdirAll(filepath.Join(s.dir, dir), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	s.write("var/lib/dpkg/status", "")
	return s
}

func (s *system) write(path, content string) {
	s.t.Helper()
	if err := os.WriteFile(filepath.Join(s.dir, path), []byte(content), 0o644); err != nil {
		s.t.Fatal(err)
	}
}

func (s *system) dpkg(args ...string) {
	s.t.Helper()
	run(s.t, "dpkg", append([]string{"--root=" + s.dir, "--force-script-chrootless", "--log=" + s.dir + "/dpkg.log"}, args...)...)
}

// read returns a file's content; empty when there is none.
func (s *system) read(path string) string {
	s.t.Helper()
	data, err := os.ReadFile(filepath.Join(s.dir, path))
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		s.t.Fatal(err)
	}
	return string(data)
}

func TestThePackageIsInstalledUpgradedAndRemoved(t *testing.T) {
	for _, version := range []string{"1.0.0", "1.0.1"} {
		run(t, "scripts/package/build.sh", version)
	}
	arch := strings.TrimSpace(run(t, "go", "env", "GOARCH"))
	deb := func(version string) string { return "build/headgate_" + version + "_" + arch + ".deb" }
	s := newSystem(t)

	s.dpkg("--install", deb("1.0.0"))
	headgate := filepath.Join(s.dir, "usr/bin/headgate")
	if out := run(t, headgate, "version"); !strings.HasPrefix(out, "headgate 1.0.0\n") {
		t.Errorf("installed: %s", out)
	}
	unitsAreCleanAndTight(t, s)
	theFileDoesNothing(t, s, headgate)
	page := run(t, "man", "--warnings", "-l", filepath.Join(s.dir, "usr/share/man/man8/headgate.8.gz"))
	for _, part := range []string{"node set", "SIGHUP reads the file again", "EXIT STATUS", "ENVIRONMENT", "FILES"} {
		if !strings.Contains(strings.Join(strings.Fields(page), " "), part) {
			t.Errorf("the manual does not tell of %s", part)
		}
	}

	const file = "etc/headgate/headgate.yaml"
	s.write(file, "interfaces: [eth0]\n")
	if err := os.MkdirAll(filepath.Join(s.dir, "var/lib/headgate"), 0o700); err != nil {
		t.Fatal(err)
	}
	s.dpkg("--install", deb("1.0.1"))
	if out := run(t, headgate, "version"); !strings.HasPrefix(out, "headgate 1.0.1\n") || s.read(file) != "interfaces: [eth0]\n" {
		t.Errorf("upgraded: %s, the file has %q", out, s.read(file))
	}
	s.dpkg("--remove", "headgate")
	if _, err := os.Stat(headgate); err == nil || s.read(file) == "" {
		t.Errorf("removed: the binary is gone (%v), the file has %q", err, s.read(file))
	}
	s.dpkg("--purge", "headgate")
	for _, path := range []string{"etc/headgate/headgate.yaml", "var/lib/headgate"} {
		if _, err := os.Stat(filepath.Join(s.dir, path)); err == nil {
			t.Errorf("purged: %s is still there", path)
		}
	}
}

// addWhatUnitsNeed adds what every system with systemd has and our units refer to.
func (s *system) addWhatUnitsNeed() {
	s.t.Helper()
	for _, target := range []string{"sysinit", "basic", "shutdown", "multi-user", "network-online"} {
		s.write("usr/lib/systemd/system/"+target+".target", "[Unit]\nDescription="+target+"\n")
	}
	if err := os.MkdirAll(filepath.Join(s.dir, "bin"), 0o755); err != nil {
		s.t.Fatal(err)
	}
	s.write("bin/kill", "#!/bin/sh\n")
	if err := os.Chmod(filepath.Join(s.dir, "bin/kill"), 0o755); err != nil {
		s.t.Fatal(err)
	}
}

// exposureMost is in tenths what systemd-analyze calls OK; a daemon that configures the network cannot be much lower.
const exposureMost = "30"

func unitsAreCleanAndTight(t *testing.T, s *system) {
	t.Helper()
	s.addWhatUnitsNeed()
	for _, unit := range []string{"headgate.service", "headgate-detach.service"} {
		path := filepath.Join(s.dir, "usr/lib/systemd/system", unit)
		if out := run(t, "systemd-analyze", "verify", "--man=no", "--root="+s.dir, "/usr/lib/systemd/system/"+unit); out != "" {
			t.Errorf("verify %s: %s", unit, out)
		}
		if unit == "headgate.service" {
			run(t, "systemd-analyze", "security", "--offline=true", "--threshold="+exposureMost, path)
		}
	}
}

// theFileDoesNothing checks that the file as it is installed is valid and yet starts nothing.
func theFileDoesNothing(t *testing.T, s *system, headgate string) {
	t.Helper()
	file := filepath.Join(s.dir, "etc/headgate/headgate.yaml")
	run(t, headgate, "validate", file)
	if out, err := try(t, headgate, "run", "-c", file); err == nil || !strings.Contains(out, "no interfaces: name at least one") {
		t.Errorf("run: %v, %s", err, out)
	}
}
