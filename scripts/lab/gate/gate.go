// Package gate runs the real headgate, built from this source, inside a lab: with a file, a bpffs, a
// socket and a state directory of its own.
package gate

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/headgate/headgate/pkg/api"
	"github.com/headgate/headgate/scripts/lab"
)

// startWithin bounds the time from exec to ready, which is long where every instruction is emulated, and stopWithin
// that from SIGTERM to gone.
const (
	startWithin = 2 * time.Minute
	stopWithin  = time.Minute
)

// BinaryVariable names a headgate that is there already: for machines without a compiler.
const BinaryVariable = "HEADGATE_BINARY"

// Build compiles headgate from the source around the working directory into dir and returns the binary's path,
// or that of the one that BinaryVariable names.
func Build(ctx context.Context, dir string) (string, error) {
	if binary := os.Getenv(BinaryVariable); binary != "" {
		return binary, nil
	}
	binary := filepath.Join(dir, "headgate")
	cmd := exec.CommandContext(ctx, "go", "build", "-o", binary, "github.com/headgate/headgate/cmd/headgate")
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("build headgate: %w\n%s", err, bytes.TrimSpace(out))
	}
	return binary, nil
}

// Gate is a place for one headgate. Its methods are for one goroutine, apart from CLI, Status, Look and Node.
type Gate struct {
	Namespace *lab.Namespace
	Binary    string
	File      string // the configuration
	BPFFS     string // the directory of the pins
	Socket    string
	StateDir  string
	API       string // what the file says of the API besides the socket, as in "listen: …, token_file: …"

	head   string
	daemon *lab.Process
	notify string
}

// New makes a place in the lab for a headgate that runs in the namespace and attaches to the interfaces.
// head is what the file says besides interfaces, directories and balancers, as YAML; it may be empty.
func New(l *lab.Lab, ns *lab.Namespace, binary string, interfaces []string, head string) (*Gate, error) {
	bpffs, err := l.MountBPF()
	if err != nil {
		return nil, err
	}
	g := &Gate{
		Namespace: ns,
		Binary:    binary,
		File:      filepath.Join(l.Dir(), "headgate.yaml"),
		BPFFS:     filepath.Join(bpffs, "headgate"),
		Socket:    filepath.Join(l.Dir(), "headgate.sock"),
		StateDir:  filepath.Join(l.Dir(), "state"),
		notify:    filepath.Join(l.Dir(), "notify"),
	}
	g.head = fmt.Sprintf("interfaces: [%s]\nstate_dir: %s\nbpffs: %s\n%s",
		strings.Join(interfaces, ", "), g.StateDir, g.BPFFS, head)
	return g, nil
}

// Configure writes the file: balancers is YAML beginning with "balancers:". A running daemon reads it
// when told to.
func (g *Gate) Configure(balancers string) error {
	socket := fmt.Sprintf("api: {socket: %s, %s}\n", g.Socket, g.API)
	return os.WriteFile(g.File, []byte(g.head+socket+balancers), 0o600)
}

// Start starts the daemon and returns once it says that it is ready.
func (g *Gate) Start(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, startWithin)
	defer cancel()
	if err := os.Remove(g.notify); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	c, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Net: "unixgram", Name: g.notify})
	if err != nil {
		return fmt.Errorf("start headgate: %w", err)
	}
	defer c.Close()
	g.daemon, err = g.Namespace.Start(lab.Command{
		Path: g.Binary,
		Args: []string{"run", "-c", g.File},
		Env:  []string{"NOTIFY_SOCKET=" + g.notify},
	})
	if err != nil {
		return err
	}
	ready := make(chan error, 1)
	go func() { ready <- awaitReady(c) }()
	select {
	case err = <-ready:
	case <-g.daemon.Done():
		err = fmt.Errorf("ended before it was ready: %w", g.daemon.Err())
	case <-ctx.Done():
		err = fmt.Errorf("not ready: %w", ctx.Err())
	}
	if err != nil {
		return errors.Join(fmt.Errorf("start headgate: %w: %s", err, strings.TrimSpace(g.daemon.Stderr())), g.daemon.Kill())
	}
	return nil
}

// awaitReady reads what the daemon tells its service manager until it says that it is ready.
func awaitReady(c *net.UnixConn) error {
	buf := make([]byte, 4096)
	for {
		n, err := c.Read(buf)
		if err != nil {
			return err
		}
		for line := range strings.Lines(string(buf[:n])) {
			if strings.TrimSpace(line) == "READY=1" {
				return nil
			}
		}
	}
}

// Kill ends the daemon as `kill -9` does.
func (g *Gate) Kill() error { return g.daemon.Kill() }

// Stop ends the daemon in order, by SIGTERM.
func (g *Gate) Stop() error { return g.daemon.Stop(stopWithin) }

// Reload has the daemon read its file again, by SIGHUP. It does not wait for what comes of it.
func (g *Gate) Reload() error { return g.daemon.Signal(syscall.SIGHUP) }

// Log is what the daemon wrote to standard error.
func (g *Gate) Log() string {
	if g.daemon == nil {
		return ""
	}
	return g.daemon.Stderr()
}

// Daemon is the process that Start started last; nil before.
func (g *Gate) Daemon() *lab.Process { return g.daemon }

// CLI runs a headgate command against this place and returns what it wrote to standard output.
func (g *Gate) CLI(ctx context.Context, args ...string) (string, error) {
	return g.Namespace.RunCommand(ctx, g.command(args))
}

// StartCLI starts a headgate command that goes on.
func (g *Gate) StartCLI(args ...string) (*lab.Process, error) {
	return g.Namespace.Start(g.command(args))
}

func (g *Gate) command(args []string) lab.Command {
	return lab.Command{Path: g.Binary, Args: args, Env: []string{"HEADGATE_SOCKET=" + g.Socket, "HEADGATE_BPFFS=" + g.BPFFS}}
}

// JSON runs a headgate command with -o json and decodes its answer into v.
func (g *Gate) JSON(ctx context.Context, v any, args ...string) error {
	out, err := g.CLI(ctx, append(args, "-o", "json")...)
	if err != nil {
		return err
	}
	if err := json.Unmarshal([]byte(out), v); err != nil {
		return fmt.Errorf("headgate %s: %w in %q", strings.Join(args, " "), err, out)
	}
	return nil
}

// Status is `headgate status`.
func (g *Gate) Status(ctx context.Context) (api.Status, error) {
	var s api.Status
	err := g.JSON(ctx, &s, "status")
	return s, err
}

// Look is Status from the daemon itself, without a command: for those who look again and again.
func (g *Gate) Look(ctx context.Context) (api.Status, error) {
	return api.NewClient(g.Socket).Status(ctx)
}

// Node is one node of `headgate status`, by name: BALANCER/PORT[/udp]/LABEL.
func (g *Gate) Node(ctx context.Context, name string) (api.Node, error) {
	s, err := g.Status(ctx)
	if err != nil {
		return api.Node{}, err
	}
	return s.Node(name)
}
