package main

import (
	"testing"
	"time"

	"github.com/headgate/headgate/pkg/api"
	"github.com/headgate/headgate/pkg/daemon"
)

func TestStatusSaysHowTheFileWasReadLast(t *testing.T) {
	now := time.Now()
	for want, faults := range map[string][]string{
		"read 3s ago": nil,
		"read 3s ago: FAULTY (2 faults), nothing of it was applied": {"a", "b"},
		"tried 3s ago: CANNOT BE READ, nothing is changed":          {daemon.Unread + "open f: no such file"},
	} {
		if got := fileNote(&api.FileStatus{ReadAt: now.Add(-3 * time.Second), Faults: faults}, now); got != want {
			t.Errorf("%q: %q, want %q", faults, got, want)
		}
	}
}
