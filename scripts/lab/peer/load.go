package peer

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/headgate/headgate/scripts/lab"
	"golang.org/x/sys/unix"
)

const loadRole = "load"

func init() { lab.RegisterRole(loadRole, runLoad) }

// Load describes what a client does. Each worker makes one exchange after another: an HTTP request, or a
// datagram and its echo. UDP sockets have ports that none of the namespace's loads had before, see lab.Ports.
type Load struct {
	Network  string        // "tcp" (HTTP) or "udp" (the echo of a node's server)
	Address  string        // IP:PORT
	Source   netip.Addr    // one of the client's own to come from; invalid: the kernel's choice
	Sources  []netip.Addr  // several of them instead: workers take them in turn, and the report has who answered each
	Path     string        // of the request; empty: /
	Workers  int           // at the same time
	Count    int           // exchanges of each worker; 0: until stopped
	Interval time.Duration // between the starts of a worker's exchanges; 0 with Count 0: only on Pulse
	KeepOpen bool          // one connection (or UDP socket) for each worker's life instead of one per exchange
	Timeout  time.Duration // of one exchange, with its connection; 0: 5 s
}

// Report is the account of a load so far.
type Report struct {
	Done     int                   // exchanges that succeeded
	Failed   int                   // exchanges that did not
	Open     int                   // connections or sockets that are open
	Nodes    map[string]int        // exchanges by the node that answered
	Failures map[string]int        // by kind: refused, reset, timeout, closed, or the error's text
	Sources  map[netip.Addr]string // by source of the load's several: the node that answered last
	Slowest  time.Duration         // of the exchanges that succeeded
	// LastFailure is when the last exchange that failed began; zero: none did.
	LastFailure time.Time
}

// Client is a load that runs in a namespace.
type Client struct {
	process *lab.Process
	answers *bufio.Reader
	mu      sync.Mutex // one question at a time
}

// StartLoad starts a load. The caller ends it with Finish.
func StartLoad(ns *lab.Namespace, load Load) (*Client, error) {
	spec, err := json.Marshal(load)
	if err != nil {
		return nil, err
	}
	r, w := io.Pipe()
	p, err := ns.StartRoleWith(loadRole, w, string(spec), ns.PortsFile())
	if err != nil {
		return nil, err
	}
	go func() {
		<-p.Done()
		w.CloseWithError(fmt.Errorf("load ended: %w: %s", orEOF(p.Err()), strings.TrimSpace(p.Stderr())))
	}()
	return &Client{process: p, answers: bufio.NewReader(r)}, nil
}

func orEOF(err error) error {
	if err == nil {
		return io.EOF
	}
	return err
}

// RunLoad runs a load with a Count to its end.
func RunLoad(ctx context.Context, ns *lab.Namespace, load Load) (Report, error) {
	if load.Count == 0 {
		return Report{}, errors.New("run load: Count is 0, it would never end")
	}
	c, err := StartLoad(ns, load)
	if err != nil {
		return Report{}, err
	}
	stop := context.AfterFunc(ctx, func() { c.process.Kill() })
	defer stop()
	if _, err := c.ask("wait"); err != nil {
		return Report{}, err
	}
	return c.Finish()
}

// Report asks for the account so far.
func (c *Client) Report() (Report, error) { return c.ask("report") }

// Pulse has every worker make one exchange now and returns the account after the last of them. It is
// for loads without a Count.
func (c *Client) Pulse() (Report, error) { return c.ask("pulse") }

// Finish lets the exchanges that run come to their end, closes the connections and returns the whole account.
func (c *Client) Finish() (Report, error) {
	report, err := c.ask("finish")
	if err == nil {
		<-c.process.Done()
	}
	return report, err
}

func (c *Client) ask(question string) (Report, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	var report Report
	if _, err := fmt.Fprintln(c.process.Stdin(), question); err != nil {
		return report, fmt.Errorf("load: %s: %w: %s", question, err, strings.TrimSpace(c.process.Stderr()))
	}
	line, err := c.answers.ReadBytes('\n')
	if err != nil {
		return report, fmt.Errorf("load: %s: %w", question, err)
	}
	if err := json.Unmarshal(line, &report); err != nil {
		return report, fmt.Errorf("load: %s: %w", question, err)
	}
	return report, nil
}

// runLoad is the other side: it obeys the questions on standard input until that ends.
func runLoad(args []string) error {
	if len(args) != 2 {
		return errors.New("usage: LOAD PORTS")
	}
	var load Load
	if err := json.Unmarshal([]byte(args[0]), &load); err != nil {
		return err
	}
	if err := raiseFileLimit(); err != nil {
		return err
	}
	ports, err := lab.OpenPorts(args[1])
	if err != nil {
		return err
	}
	e := newEngine(load, ports)
	e.start()
	out := json.NewEncoder(os.Stdout)
	questions := bufio.NewScanner(os.Stdin)
	for questions.Scan() {
		switch questions.Text() {
		case "pulse":
			e.pulse()
		case "wait":
			e.wait()
		case "finish":
			e.stop()
			return out.Encode(e.report())
		}
		if err := out.Encode(e.report()); err != nil {
			return err
		}
	}
	return questions.Err()
}

// raiseFileLimit lets the process open as many sockets as the kernel allows it to.
func raiseFileLimit() error {
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		return err
	}
	limit.Cur = limit.Max
	return unix.Setrlimit(unix.RLIMIT_NOFILE, &limit)
}

// kind sorts errors into what a person would call them.
func kind(err error) string {
	var timeout net.Error
	switch {
	case errors.Is(err, unix.ECONNREFUSED):
		return "refused"
	case errors.Is(err, unix.ECONNRESET):
		return "reset"
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return "closed"
	case errors.As(err, &timeout) && timeout.Timeout():
		return "timeout"
	}
	return err.Error()
}
