package loader

import (
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// Errors that callers tell apart.
var (
	// ErrNotPinned: there are no pinned tables in the directory.
	ErrNotPinned = errors.New("nothing is pinned")
	// ErrPrivilege: the process may not use BPF.
	ErrPrivilege = errors.New("not permitted")
)

// HeldError says that another daemon holds the pins.
type HeldError struct {
	Dir     string
	PID     int    // 0: not known
	Command string // command line, "" when it cannot be read
}

// Error names the holder and what to do.
func (e *HeldError) Error() string {
	if e.PID == 0 {
		return fmt.Sprintf("%s is in use by another process: stop it first", e.Dir)
	}
	who := fmt.Sprintf("process %d", e.PID)
	if e.Command != "" {
		who += fmt.Sprintf(" (%s)", e.Command)
	}
	return fmt.Sprintf("%s is in use by %s: stop it first", e.Dir, who)
}

// SchemaError says that the pinned tables have another layout than this build speaks.
type SchemaError struct {
	Dir    string
	Pinned uint32
}

// Error says what to do; nothing has been changed.
func (e *SchemaError) Error() string {
	what := fmt.Sprintf("tables pinned in %s have layout %d, this headgate speaks %d: ", e.Dir, e.Pinned, Schema)
	if e.Pinned > Schema {
		return what + "a newer headgate made them: run that one, or `headgate detach` (ends their flows) and start again"
	}
	if _, err := typesIn(e.Pinned); err == nil {
		return what + "its `headgate run` takes them over with all flows"
	}
	return what + "run the headgate that made them, or `headgate detach` (ends their flows) and start again"
}

// explain adds what to do to errors that the kernel gives for want of privilege.
func explain(err error) error {
	if errors.Is(err, unix.EPERM) || errors.Is(err, os.ErrPermission) {
		return fmt.Errorf("%w: run as root, or with CAP_BPF, CAP_NET_ADMIN and CAP_PERFMON (%w)", ErrPrivilege, err)
	}
	return err
}
