package daemon

import (
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"time"

	"github.com/headgate/headgate/pkg/api"
	"github.com/headgate/headgate/pkg/config"
	"github.com/headgate/headgate/pkg/events"
	"github.com/headgate/headgate/pkg/lb"
	"github.com/headgate/headgate/pkg/store"
)

// updater is the store, as far as a file needs it.
type updater interface {
	Update(func([]lb.Balancer) ([]lb.Balancer, error)) (store.Desired, error)
}

// file is the configuration file of a running daemon. It belongs to one goroutine.
type file struct {
	path   string
	start  *config.File // as it was when the daemon started: its settings hold until the end
	store  updater
	says   *chronicle
	now    func() time.Time
	status api.FileStatus

	modified time.Time // when the file was changed last that was read
	later    []string  // settings that differ from those at the start, and what makes them count
}

// apply puts the balancers of what was read into the store. What cannot go there together with
// the balancers that the file does not name is a fault of the file, and changes nothing. The error
// is noted and logged.
func (f *file) apply(read *config.File) error {
	f.status = api.FileStatus{Path: f.path, ReadAt: f.now(), Faults: []string{}}
	var plan api.Plan
	_, err := f.store.Update(func(current []lb.Balancer) ([]lb.Balancer, error) {
		next := merge(current, read.Balancers, false)
		plan = api.Steps(current, next)
		return next, check(next)
	})
	if err != nil {
		f.faulty(err)
		return err
	}
	f.says.alert(slog.LevelInfo, events.Event{Kind: events.File, To: "applied", Text: fmt.Sprintf("applied %s: %s", f.path, counted(&plan))})
	return nil
}

// reread reads the file again and applies it; a fault changes nothing.
func (f *file) reread() {
	f.modified = modified(f.path)
	read, err := config.Load(f.path)
	var faults config.Faults
	switch {
	case errors.As(err, &faults):
		f.status.ReadAt = f.now()
		f.faulty(err)
		return
	case err != nil:
		f.status.ReadAt = f.now()
		f.unread(err)
		return
	}
	f.later = differences(f.start, read)
	for _, setting := range f.later {
		f.says.alert(slog.LevelWarn, events.Event{Kind: events.File, Text: fmt.Sprintf("%s: %s", f.path, setting)})
	}
	_ = f.apply(read) // noted: the daemon keeps what it runs
}

// Unread begins the only fault of a file that cannot be read.
const Unread = "cannot be read, nothing is changed: "

// unread remembers and logs that there is nothing to find faults in.
func (f *file) unread(err error) {
	f.status.Faults = []string{Unread + err.Error()}
	f.refused(f.path + " " + f.status.Faults[0])
}

// faulty remembers and logs every fault.
func (f *file) faulty(err error) {
	f.status.Faults = faultsOf(err)
	for _, fault := range f.status.Faults {
		f.refused(fmt.Sprintf("nothing of %s is applied: %s", f.path, fault))
	}
}

func (f *file) refused(text string) {
	f.says.alert(slog.LevelError, events.Event{Kind: events.File, To: "refused", Text: text})
}

func faultsOf(err error) []string {
	var faults config.Faults
	var refused *api.Error
	out := []string{}
	switch {
	case errors.As(err, &faults):
		for _, f := range faults {
			out = append(out, f.String())
		}
	case errors.As(err, &refused):
		for _, r := range refused.Reasons {
			out = append(out, r.Reason)
		}
	default:
		out = append(out, err.Error())
	}
	return out
}

// warnings are what status says of the file.
func (f *file) warnings() (out []string) {
	unread := len(f.status.Faults) == 1 && strings.HasPrefix(f.status.Faults[0], Unread)
	if unread {
		out = append(out, f.path+" "+f.status.Faults[0])
	} else if len(f.status.Faults) > 0 {
		out = append(out, fmt.Sprintf("%s changed nothing; the daemon keeps what it runs:", f.path))
		out = append(out, f.status.Faults...)
	}
	for _, setting := range f.later {
		out = append(out, fmt.Sprintf("%s: %s", f.path, setting))
	}
	if !unread {
		out = append(out, f.edited()...)
	}
	return out
}

// differences names the settings, beside the balancers, that differ between the file of the start and
// another, and says what makes them count.
func differences(a, b *config.File) (out []string) {
	const next = "counts from the next start of the daemon"
	const detached = "counts only after the daemon was stopped and `headgate detach`, which ends all flows: tables keep their size until then"
	for _, d := range []struct {
		name string
		same bool
		when string
	}{
		{"interfaces", slices.Equal(a.Interfaces, b.Interfaces), next},
		{"xdp_mode", a.XDPMode == b.XDPMode, next},
		{"snat", slices.Equal(a.SNAT, b.SNAT), next},
		{"vip_pool", slices.Equal(a.VIPPool, b.VIPPool), next},
		{"region", a.Region == b.Region, next},
		{"domain", a.Domain == b.Domain, next},
		{"state_dir", a.StateDir == b.StateDir, next},
		{"bpffs", a.BPFFS == b.BPFFS, fmt.Sprintf(
			"%s, but what is pinned in %s stays attached: stop the daemon and `headgate --bpffs %[2]s detach` first", next, a.BPFFS)},
		{"flow_table", a.FlowTable == b.FlowTable, detached},
		{"sticky_table", a.StickyTable == b.StickyTable, detached},
		{"throttle_table", a.ThrottleTable == b.ThrottleTable, detached},
		{"api", a.API == b.API, next},
		{"metrics", a.Metrics == b.Metrics, next},
	} {
		if !d.same {
			out = append(out, fmt.Sprintf("%s was changed there and %s", d.name, d.when))
		}
	}
	return out
}
