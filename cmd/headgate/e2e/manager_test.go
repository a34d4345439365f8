package e2e

import (
	"net"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/headgate/headgate/scripts/lab"
)

// manager is what a service manager hears of the daemon that it has started.
type manager struct {
	*site
	socket *net.UnixConn
}

// hears waits for a message that begins with these lines, whatever comes before it.
func (m *manager) hears(lines ...string) {
	m.t.Helper()
	m.must(m.socket.SetReadDeadline(time.Now().Add(soon)))
	buf, others := make([]byte, 4096), []string{}
	for {
		n, err := m.socket.Read(buf)
		if err != nil {
			m.t.Fatalf("never heard %q: %v; only %q", lines, err, others)
		}
		said := string(buf[:n])
		if strings.HasPrefix(said, strings.Join(lines, "\n")) {
			return
		}
		others = append(others, said)
	}
}

// A service manager (systemd with Type=notify and a watchdog) is told when the data path serves, that the daemon is
// alive, when it reads its file again, and that it stops; the data path goes on without it.
func TestAServiceManagerIsToldOfTheDaemon(t *testing.T) {
	t.Parallel()
	m := &manager{site: newSite(t, 1, smallTable)}
	m.servers()
	m.configure(m.yaml(conf{port: 80, nodes: members(1, 8080, both)}))
	path := m.star.Lab.Dir() + "/manager"
	var err error
	m.socket, err = net.ListenUnixgram("unixgram", &net.UnixAddr{Net: "unixgram", Name: path})
	m.must(err)
	defer m.socket.Close()
	daemon, err := m.star.Balancer.Start(lab.Command{
		Path: m.gate.Binary, Args: []string{"run"},
		Env: []string{"NOTIFY_SOCKET=" + path, "WATCHDOG_USEC=200000", "HEADGATE_CONFIG=" + m.gate.File},
	})
	m.must(err)

	m.hears("READY=1", "STATUS=")
	wantShares(t, "as soon as it is ready", m.exchanges("tcp", 4, 80, 4), map[string]int{"a": 4})
	m.hears("WATCHDOG=1")
	m.hears("WATCHDOG=1")
	m.must(daemon.Signal(syscall.SIGHUP))
	m.hears("RELOADING=1", "MONOTONIC_USEC=")
	m.hears("READY=1")
	m.must(daemon.Signal(syscall.SIGTERM))
	m.hears("STOPPING=1")
	<-daemon.Done()
	if err := daemon.Err(); err != nil {
		t.Errorf("stopped: %v", err)
	}
	wantShares(t, "without a daemon", m.exchanges("tcp", 6, 80, 4), map[string]int{"a": 4})
}
