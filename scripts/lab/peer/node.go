// Package peer holds the programs at both ends of a lab: a small server for the nodes and a client that
// makes load and keeps account. They run as roles of the program that built the lab.
package peer

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/headgate/headgate/scripts/lab"
	"golang.org/x/sys/unix"
)

const (
	nodeRole     = "node"
	listenerRole = "listener"
)

func init() {
	lab.RegisterRole(nodeRole, runNode)
	lab.RegisterRole(listenerRole, runListener)
}

// ready is what a server writes to standard output once it listens.
const ready = "listening\n"

// NodeOptions says what a node's server listens on.
type NodeOptions struct {
	Name string // how it answers
	HTTP string // "[::]:8080", both families; empty: no HTTP
	UDP  string // "[::]:5353"; empty: no UDP
}

// StartNode starts a node's server and returns once it listens. Over HTTP it answers / with its name,
// /download?bytes=N&seconds=S with N bytes spread over S seconds, and a POST to /upload with the SHA-256 of what it
// got. A datagram it answers with its name, a space and the datagram.
func StartNode(ns *lab.Namespace, o NodeOptions) (*lab.Process, error) {
	return startServer(ns, nodeRole, "-name", o.Name, "-http", o.HTTP, "-udp", o.UDP)
}

// StartListener starts a server that accepts TCP connections on address and closes them at once: enough for a
// check of type connection.
func StartListener(ns *lab.Namespace, address string) (*lab.Process, error) {
	return startServer(ns, listenerRole, address)
}

// startServer starts a role and waits until it says that it listens.
func startServer(ns *lab.Namespace, role string, args ...string) (*lab.Process, error) {
	p, err := ns.StartRole(role, args...)
	if err != nil {
		return nil, err
	}
	for deadline := time.Now().Add(time.Minute); p.Stdout() != ready; {
		select {
		case <-p.Done():
			return nil, fmt.Errorf("%s on %s: %w: %s", role, ns.Name(), p.Err(), strings.TrimSpace(p.Stderr()))
		case <-time.After(2 * time.Millisecond):
		}
		if time.Now().After(deadline) {
			return nil, errors.Join(fmt.Errorf("%s on %s does not listen", role, ns.Name()), p.Kill())
		}
	}
	return p, nil
}

func runNode(args []string) error {
	flags := flag.NewFlagSet(nodeRole, flag.ContinueOnError)
	name := flags.String("name", "", "")
	httpAddr := flags.String("http", "", "")
	udpAddr := flags.String("udp", "", "")
	if err := flags.Parse(args); err != nil {
		return err
	}
	failed := make(chan error, 2)
	if *httpAddr != "" {
		// A backlog for bursts: net takes it from net.core.somaxconn.
		l, err := net.Listen("tcp", *httpAddr)
		if err != nil {
			return err
		}
		go func() { failed <- (&http.Server{Handler: nodeHandler(*name), ReadHeaderTimeout: time.Minute}).Serve(l) }()
	}
	if *udpAddr != "" {
		c, err := net.ListenPacket("udp", *udpAddr)
		if err != nil {
			return err
		}
		if err := enlargeBuffer(c.(*net.UDPConn)); err != nil {
			return err
		}
		go func() { failed <- echo(c, *name) }()
	}
	fmt.Print(ready)
	return <-failed
}

func runListener(args []string) error {
	if len(args) != 1 {
		return errors.New("usage: ADDRESS")
	}
	l, err := net.Listen("tcp", args[0])
	if err != nil {
		return err
	}
	fmt.Print(ready)
	for {
		c, err := l.Accept()
		if err != nil {
			return err
		}
		c.Close()
	}
}

// enlargeBuffer has the kernel keep bursts of thousands of datagrams, beyond what it grants anybody but root.
func enlargeBuffer(c *net.UDPConn) error {
	raw, err := c.SyscallConn()
	if err != nil {
		return err
	}
	var failed error
	err = raw.Control(func(fd uintptr) {
		failed = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, 16<<20)
	})
	return errors.Join(err, failed)
}

// echo answers every datagram with the name and the datagram.
func echo(c net.PacketConn, name string) error {
	buf := make([]byte, 64<<10)
	prefix := copy(buf, name+" ")
	for {
		n, from, err := c.ReadFrom(buf[prefix:])
		if err != nil {
			return err
		}
		if _, err := c.WriteTo(buf[:prefix+n], from); err != nil && !transient(err) {
			return err
		}
	}
}

// transient tells errors of one datagram, such as an ICMP error for an earlier one, from those of the socket.
func transient(err error) bool { return !errors.Is(err, net.ErrClosed) }

func nodeHandler(name string) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, name) })
	mux.HandleFunc("POST /upload", func(w http.ResponseWriter, r *http.Request) {
		h := sha256.New()
		if _, err := io.Copy(h, r.Body); err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		fmt.Fprintln(w, hex.EncodeToString(h.Sum(nil)))
	})
	mux.HandleFunc("GET /download", func(w http.ResponseWriter, r *http.Request) {
		size, err1 := strconv.ParseInt(r.FormValue("bytes"), 10, 64)
		seconds, err2 := strconv.ParseFloat(r.FormValue("seconds"), 64)
		if err := errors.Join(err1, err2); err != nil || size < 0 {
			http.Error(w, "want bytes=N&seconds=S", http.StatusBadRequest)
			return
		}
		w.Header().Set("Content-Length", strconv.FormatInt(size, 10))
		w.Header().Set("X-Node", name)
		over := time.Duration(seconds * float64(time.Second))
		// The client that went away is its own to notice; there is nobody here to tell.
		_ = pace(r.Context(), w, size, over)
	})
	return mux
}

// pace writes size bytes of Pattern in equal steps over the given time.
func pace(ctx context.Context, w io.Writer, size int64, over time.Duration) error {
	const step = 20 * time.Millisecond
	content := Pattern(size)
	if over < step {
		_, err := io.Copy(w, content)
		return err
	}
	steps := int64(over / step)
	ticker := time.NewTicker(step)
	defer ticker.Stop()
	for i := range steps {
		n := size*(i+1)/steps - size*i/steps
		if _, err := io.CopyN(w, content, n); err != nil {
			return err
		}
		if f, ok := w.(http.Flusher); ok {
			f.Flush()
		}
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}

// Pattern is the content of a download: bytes that differ from place to place, so that a lost, doubled or moved
// piece shows in the hash.
func Pattern(size int64) io.Reader { return io.LimitReader(&pattern{}, size) }

// PatternSum is the SHA-256 of Pattern(size).
func PatternSum(size int64) string {
	h := sha256.New()
	if _, err := io.Copy(h, Pattern(size)); err != nil {
		panic(err) // neither side can fail
	}
	return hex.EncodeToString(h.Sum(nil))
}

// pattern makes a sequence of 64-bit words, whatever the sizes of the reads.
type pattern struct {
	word uint64
	left int // bytes of word that were not read yet
}

func (p *pattern) Read(b []byte) (int, error) {
	for i := range b {
		if p.left == 0 {
			p.word = p.word*6364136223846793005 + 1442695040888963407
			p.left = 8
		}
		p.left--
		b[i] = byte(p.word >> (8 * p.left))
	}
	return len(b), nil
}
