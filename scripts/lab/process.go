package lab

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"time"
)

// keepOutput is how many bytes of a process's output are kept: the last ones.
const keepOutput = 1 << 20

// Command says what to start.
type Command struct {
	Path   string // looked up in PATH
	Args   []string
	Env    []string // added to this process's own
	Dir    string
	Stdin  io.Reader
	Stdout io.Writer // beside what Output keeps
	UID    uint32    // 0: as this process
}

// Process is something that runs in a namespace.
type Process struct {
	name   string
	cmd    *exec.Cmd
	stdin  io.WriteCloser
	stdout tail
	stderr tail
	done   chan struct{}
	err    error // valid after done
}

// Start starts a command in the namespace. It runs until it ends by itself, is ended with Stop or
// Kill, or the lab goes.
func (n *Namespace) Start(c Command) (*Process, error) {
	p := &Process{name: n.name + "/" + c.Path, done: make(chan struct{})}
	p.cmd = exec.Command(c.Path, c.Args...)
	p.cmd.Env = append(os.Environ(), c.Env...)
	p.cmd.Dir = c.Dir
	p.cmd.Stdout = io.Writer(&p.stdout)
	if c.Stdout != nil {
		p.cmd.Stdout = io.MultiWriter(&p.stdout, c.Stdout)
	}
	p.cmd.Stderr = &p.stderr
	// A group of its own: a terminal's Ctrl-C is for the owner, who ends things in order.
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if c.UID != 0 {
		p.cmd.SysProcAttr.Credential = &syscall.Credential{Uid: c.UID, Gid: c.UID}
	}
	// What a dead process leaves behind may hold its output open; do not wait for that.
	p.cmd.WaitDelay = time.Second
	if c.Stdin != nil {
		p.cmd.Stdin = c.Stdin
	} else {
		stdin, err := p.cmd.StdinPipe()
		if err != nil {
			return nil, fmt.Errorf("start %s: %w", p.name, err)
		}
		p.stdin = stdin
	}
	n.lab.mu.Lock()
	defer n.lab.mu.Unlock()
	if n.lab.closed {
		return nil, fmt.Errorf("start %s: the lab is closed", p.name)
	}
	if err := n.Do(p.cmd.Start); err != nil {
		return nil, fmt.Errorf("start %s: %w", p.name, err)
	}
	n.lab.processes = append(n.lab.processes, p)
	go func() {
		p.err = p.cmd.Wait()
		close(p.done)
	}()
	return p, nil
}

// StartRole starts a copy of this program that plays a role registered with RegisterRole.
func (n *Namespace) StartRole(role string, args ...string) (*Process, error) {
	return n.StartRoleWith(role, nil, args...)
}

// StartRoleWith is StartRole with a copy of the role's standard output going to stdout.
func (n *Namespace) StartRoleWith(role string, stdout io.Writer, args ...string) (*Process, error) {
	exe, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("start role %s: %w", role, err)
	}
	p, err := n.Start(Command{Path: exe, Args: args, Env: []string{roleEnv + "=" + role}, Stdout: stdout})
	if err != nil {
		return nil, err
	}
	p.name = n.name + "/" + role
	return p, nil
}

// Run runs a command to its end and returns what it wrote to standard output. The error of a command
// that failed is an *exec.ExitError and tells what it wrote to standard error. When ctx ends, the command
// is killed.
func (n *Namespace) Run(ctx context.Context, path string, args ...string) (string, error) {
	return n.RunCommand(ctx, Command{Path: path, Args: args})
}

// RunCommand is Run for a command with more to it.
func (n *Namespace) RunCommand(ctx context.Context, c Command) (string, error) {
	if c.Stdin == nil {
		c.Stdin = strings.NewReader("")
	}
	p, err := n.Start(c)
	if err != nil {
		return "", err
	}
	select {
	case <-p.done:
	case <-ctx.Done():
		p.Kill()
		return p.Stdout(), fmt.Errorf("%s %s: %w: %s", p.name, strings.Join(c.Args, " "), ctx.Err(), p.Stderr())
	}
	if p.err != nil {
		return p.Stdout(), fmt.Errorf("%s %s: %w: %s", p.name, strings.Join(c.Args, " "), p.err, strings.TrimSpace(p.Stderr()))
	}
	return p.Stdout(), nil
}

// PID is the process's id.
func (p *Process) PID() int { return p.cmd.Process.Pid }

// Stdout is what the process wrote to standard output so far, the last megabyte of it.
func (p *Process) Stdout() string { return p.stdout.String() }

// Stderr is what the process wrote to standard error so far, the last megabyte of it.
func (p *Process) Stderr() string { return p.stderr.String() }

// Stdin is the writing end of the process's standard input; nil when Command.Stdin was given.
func (p *Process) Stdin() io.WriteCloser { return p.stdin }

// Done is closed when the process has ended.
func (p *Process) Done() <-chan struct{} { return p.done }

// Err is how the process ended: nil for exit code 0. Valid once Done is closed.
func (p *Process) Err() error {
	select {
	case <-p.done:
		return p.err
	default:
		return errors.New(p.name + " still runs")
	}
}

// Signal sends a signal. A process that has ended already is not an error.
func (p *Process) Signal(sig os.Signal) error {
	if err := p.cmd.Process.Signal(sig); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("signal %s: %w", p.name, err)
	}
	return nil
}

// Kill ends the process as `kill -9` does and waits until it is gone.
func (p *Process) Kill() error {
	err := p.Signal(syscall.SIGKILL)
	<-p.done
	return err
}

// Stop asks the process to end with SIGTERM and waits for it. After the given time it is killed, and
// that is an error.
func (p *Process) Stop(within time.Duration) error {
	if err := p.Signal(syscall.SIGTERM); err != nil {
		return err
	}
	select {
	case <-p.done:
		return nil
	case <-time.After(within):
		return errors.Join(fmt.Errorf("%s did not end within %v of SIGTERM", p.name, within), p.Kill())
	}
}

// tail keeps the last keepOutput bytes written to it.
type tail struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (t *tail) Write(b []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.buf.Write(b)
	if over := t.buf.Len() - keepOutput; over > 0 {
		t.buf.Next(over)
	}
	return len(b), nil
}

func (t *tail) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.buf.String()
}
