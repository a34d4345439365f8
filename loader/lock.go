package loader

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// lock is the right to change what is pinned in a directory; it ends with the process that holds it.
type lock struct{ dir *os.File }

// takeLock locks the directory, or says who holds it with a *HeldError.
func takeLock(dir string) (*lock, error) {
	f, err := os.Open(dir)
	if err != nil {
		return nil, explain(fmt.Errorf("open %s: %w", dir, err))
	}
	err = unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
	if errors.Is(err, unix.EWOULDBLOCK) {
		pid := holder(f)
		f.Close()
		return nil, &HeldError{Dir: dir, PID: pid, Command: commandOf(pid)}
	}
	if err != nil {
		f.Close()
		return nil, fmt.Errorf("lock %s: %w", dir, err)
	}
	if !stillNamed(f, dir) {
		f.Close()
		return nil, fmt.Errorf("%s was removed meanwhile: try again", dir)
	}
	return &lock{dir: f}, nil
}

// stillNamed says whether a path still leads to an open directory. If Remove was faster than the lock,
// it does not, and the lock would be on nothing.
func stillNamed(f *os.File, path string) bool {
	opened, err := f.Stat()
	if err != nil {
		return false
	}
	named, err := os.Stat(path)
	return err == nil && os.SameFile(opened, named)
}

func (l *lock) release() error { return l.dir.Close() }

// holder finds the process that holds the lock of f in /proc/locks; 0 when it is not shown there.
func holder(f *os.File) int {
	var st unix.Stat_t
	if err := unix.Fstat(int(f.Fd()), &st); err != nil {
		return 0
	}
	inode := fmt.Sprintf("%02x:%02x:%d", unix.Major(st.Dev), unix.Minor(st.Dev), st.Ino)
	locks, err := os.Open("/proc/locks")
	if err != nil {
		return 0
	}
	defer locks.Close()
	for s := bufio.NewScanner(locks); s.Scan(); {
		// 1: FLOCK  ADVISORY  WRITE 1234 00:1c:42 0 EOF
		field := strings.Fields(s.Text())
		if len(field) > 5 && field[1] == "FLOCK" && field[5] == inode {
			pid, _ := strconv.Atoi(field[4])
			return max(pid, 0)
		}
	}
	return 0
}

func commandOf(pid int) string {
	line, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
	if pid == 0 || err != nil {
		return ""
	}
	return strings.TrimSpace(string(bytes.ReplaceAll(line, []byte{0}, []byte{' '})))
}
