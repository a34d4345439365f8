package lab

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"
)

const (
	guardRole = "guard"
	netnsDir  = "/run/netns"
	// killWithin bounds how long the guard waits for processes to vanish after SIGKILL.
	killWithin = 10 * time.Second
)

// guard is the process that removes a lab when its standard input ends. That happens when the lab
// is closed and also when its owner dies in any way, because the kernel closes the pipe.
type guard struct {
	cmd    *exec.Cmd
	pipe   io.Closer
	stderr *bytes.Buffer
}

func startGuard(id, dir string) (*guard, error) {
	if !mainCalled.Load() {
		return nil, errors.New("call lab.Main first in main or TestMain")
	}
	exe, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("start guard: %w", err)
	}
	g := &guard{cmd: exec.Command(exe, id, dir), stderr: &bytes.Buffer{}}
	g.cmd.Env = append(os.Environ(), roleEnv+"="+guardRole)
	g.cmd.Stderr = g.stderr
	// Out of reach of the terminal's Ctrl-C, which goes to the owner's whole process group.
	g.cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if g.pipe, err = g.cmd.StdinPipe(); err != nil {
		return nil, fmt.Errorf("start guard: %w", err)
	}
	if err := g.cmd.Start(); err != nil {
		return nil, fmt.Errorf("start guard: %w", err)
	}
	return g, nil
}

// finish has the guard do its work and waits for it.
func (g *guard) finish() error {
	g.pipe.Close()
	if err := g.cmd.Wait(); err != nil {
		return fmt.Errorf("remove lab: %w: %s", err, bytes.TrimSpace(g.stderr.Bytes()))
	}
	return nil
}

func runGuard(args []string) error {
	if len(args) != 2 || !strings.HasPrefix(args[0], Prefix) {
		return fmt.Errorf("usage: ID DIR, got %q", args)
	}
	signal.Ignore(unix.SIGINT, unix.SIGTERM, unix.SIGHUP, unix.SIGPIPE)
	owner := os.Getppid()
	if _, err := io.Copy(io.Discard, os.Stdin); err != nil {
		return err
	}
	return remove(args[0], args[1], owner)
}

// remove ends every process in the namespaces of the lab with this id, except spare, then takes away
// its mounts, namespaces and directory. It does as much as it can and returns all that went wrong.
func remove(id, dir string, spare int) error {
	names, err := filepath.Glob(filepath.Join(netnsDir, id+"-*"))
	if err != nil {
		return err
	}
	errs := []error{killInside(names, spare), unmountBelow(dir)}
	for _, path := range names {
		if err := netns.DeleteNamed(filepath.Base(path)); err != nil {
			errs = append(errs, fmt.Errorf("delete namespace %s: %w", filepath.Base(path), err))
		}
	}
	return errors.Join(append(errs, os.RemoveAll(dir))...)
}

// killInside kills what runs in the given namespaces. Everything there was started by the lab, or by
// something that the lab started; a look at the namespace finds also what forked or changed its name.
func killInside(paths []string, spare int) error {
	inside := map[nsID]bool{}
	for _, path := range paths {
		if id, err := statNS(path); err == nil {
			inside[id] = true
		}
	}
	for deadline := time.Now().Add(killWithin); ; {
		pids := pidsInside(inside, spare)
		if len(pids) == 0 {
			return nil
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("processes %v do not end", pids)
		}
		for _, pid := range pids {
			if err := unix.Kill(pid, unix.SIGKILL); err != nil && !errors.Is(err, unix.ESRCH) {
				return fmt.Errorf("kill %d: %w", pid, err)
			}
		}
		time.Sleep(5 * time.Millisecond)
	}
}

// nsID tells namespaces apart.
type nsID struct{ dev, ino uint64 }

func statNS(path string) (nsID, error) {
	var st unix.Stat_t
	if err := unix.Stat(path, &st); err != nil {
		return nsID{}, err
	}
	return nsID{uint64(st.Dev), st.Ino}, nil
}

// pidsInside lists the processes whose main thread is in one of the namespaces. The owner is spared:
// one of its threads may be visiting.
func pidsInside(inside map[nsID]bool, spare int) []int {
	var pids []int
	entries, _ := os.ReadDir("/proc")
	for _, e := range entries {
		pid, err := strconv.Atoi(e.Name())
		if err != nil || pid == os.Getpid() || pid == spare {
			continue
		}
		if id, err := statNS("/proc/" + e.Name() + "/ns/net"); err == nil && inside[id] {
			pids = append(pids, pid)
		}
	}
	return pids
}

// unmountBelow detaches every mount at or below dir.
func unmountBelow(dir string) error {
	mounts, err := os.ReadFile("/proc/self/mounts")
	if err != nil {
		return err
	}
	var errs []error
	for line := range strings.Lines(string(mounts)) {
		fields := strings.Fields(line)
		if len(fields) < 2 || (fields[1] != dir && !strings.HasPrefix(fields[1], dir+"/")) {
			continue
		}
		if err := unix.Unmount(fields[1], unix.MNT_DETACH); err != nil {
			errs = append(errs, fmt.Errorf("unmount %s: %w", fields[1], err))
		}
	}
	return errors.Join(errs...)
}
