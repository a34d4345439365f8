// Package privilege gives up what a process may do beyond what it needs.
package privilege

import (
	"fmt"

	"golang.org/x/sys/unix"
	"kernel.org/pub/linux/libs/security/libcap/cap"
)

// The capabilities that a daemon needs once it is attached and its sockets are open.
var daemon = []cap.Value{
	cap.BPF,       // to change tables, and to load the program for `headgate explain`
	cap.PERFMON,   // for the same program, which compares pointers
	cap.NET_ADMIN, // to attach to an interface that appears, and to have neighbours resolved
	cap.NET_RAW,   // to announce addresses
}

// KeepDaemon gives up, in all threads and for good, every capability but those that a running daemon needs and
// has, and the way to others: what it executes gets none. Root's files stay root's; those of others are
// not to be read any more.
func KeepDaemon() error {
	if _, err := cap.Prctlw(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		return fmt.Errorf("give up capabilities: no new privileges: %w", err)
	}
	have, keep := cap.GetProc(), cap.NewSet()
	for _, c := range daemon {
		permitted, err := have.GetFlag(cap.Permitted, c)
		if err != nil || !permitted {
			continue // this kernel, or who started us, knows of none
		}
		for _, flag := range []cap.Flag{cap.Permitted, cap.Effective} {
			if err := keep.SetFlag(flag, true, c); err != nil {
				return fmt.Errorf("give up capabilities but %v: %w", c, err)
			}
		}
	}
	if err := keep.SetProc(); err != nil {
		return fmt.Errorf("give up capabilities but %q: %w", keep, err)
	}
	return nil
}
