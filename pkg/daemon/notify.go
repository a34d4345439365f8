package daemon

import (
	"fmt"
	"log/slog"
	"time"

	systemd "github.com/coreos/go-systemd/v22/daemon"
	"golang.org/x/sys/unix"
)

// notifier tells the service manager how the daemon is; without one it does nothing.
type notifier struct {
	log *slog.Logger
}

func (n notifier) send(state string) {
	if _, err := systemd.SdNotify(false, state); err != nil {
		n.log.Warn("tell the service manager", "err", err)
	}
}

// ready also ends a reload.
func (n notifier) ready(status string) { n.send(systemd.SdNotifyReady + "\nSTATUS=" + status) }

func (n notifier) stopping() { n.send(systemd.SdNotifyStopping) }

// reloading must be followed by ready. The time tells the manager that it is not an old message.
func (n notifier) reloading() {
	var ts unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &ts); err != nil {
		return // does not happen with a clock that exists
	}
	n.send(fmt.Sprintf("%s\nMONOTONIC_USEC=%d", systemd.SdNotifyReloading, ts.Nano()/1000))
}

// alive feeds the watchdog.
func (n notifier) alive() { n.send(systemd.SdNotifyWatchdog) }

// watchdog is how often alive must be called; 0: never.
func (n notifier) watchdog() time.Duration {
	interval, err := systemd.SdWatchdogEnabled(false)
	if err != nil {
		n.log.Warn("read the service manager's watchdog", "err", err)
	}
	return interval / 2
}
