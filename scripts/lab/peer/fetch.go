package peer

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"sync/atomic"
	"time"

	"github.com/headgate/headgate/scripts/lab"
)

const fetchRole = "fetch"

func init() { lab.RegisterRole(fetchRole, runFetch) }

// Download is a transfer that runs in a namespace.
type Download struct {
	process *lab.Process
	size    int64
}

// progress is one line of a download's account.
type progress struct {
	Node  string
	Bytes int64
	Sum   string // of the whole, in the last line only
}

// StartDownload fetches size bytes from a node's server behind address (IP:PORT), spread over the given time, and
// returns once the first bytes are here.
func StartDownload(ctx context.Context, ns *lab.Namespace, address string, size int64, over time.Duration) (*Download, error) {
	url := fmt.Sprintf("http://%s/download?bytes=%d&seconds=%g", address, size, over.Seconds())
	p, err := ns.StartRole(fetchRole, url)
	if err != nil {
		return nil, err
	}
	d := &Download{process: p, size: size}
	for d.last().Bytes == 0 {
		select {
		case <-p.Done():
			if p.Err() == nil {
				return d, nil // it was a quick one
			}
			return nil, fmt.Errorf("download: %w: %s", p.Err(), strings.TrimSpace(p.Stderr()))
		case <-ctx.Done():
			return nil, errors.Join(fmt.Errorf("download does not start: %w", ctx.Err()), p.Kill())
		case <-time.After(2 * time.Millisecond):
		}
	}
	return d, nil
}

// Node is the node that serves the download.
func (d *Download) Node() string { return d.last().Node }

// Bytes is how much has come so far.
func (d *Download) Bytes() int64 { return d.last().Bytes }

// Running says whether the download still goes on.
func (d *Download) Running() bool {
	select {
	case <-d.process.Done():
		return false
	default:
		return true
	}
}

// Wait waits for the end. The error is nil only when every byte came, in its place.
func (d *Download) Wait(ctx context.Context) error {
	select {
	case <-d.process.Done():
	case <-ctx.Done():
		return errors.Join(fmt.Errorf("download: %w after %d of %d bytes", ctx.Err(), d.Bytes(), d.size), d.process.Kill())
	}
	last := d.last()
	if err := d.process.Err(); err != nil {
		return fmt.Errorf("download: %w after %d of %d bytes: %s", err, last.Bytes, d.size, strings.TrimSpace(d.process.Stderr()))
	}
	if last.Bytes != d.size || last.Sum != PatternSum(d.size) {
		return fmt.Errorf("download: got %d of %d bytes, SHA-256 %s", last.Bytes, d.size, last.Sum)
	}
	return nil
}

// last is the newest line of the account.
func (d *Download) last() progress {
	lines := strings.Split(d.process.Stdout(), "\n")
	var p progress
	if len(lines) > 1 { // the text ends with a newline, or with half a line
		if err := json.Unmarshal([]byte(lines[len(lines)-2]), &p); err != nil {
			return progress{}
		}
	}
	return p
}

func runFetch(args []string) error {
	if len(args) != 1 {
		return errors.New("usage: URL")
	}
	resp, err := http.Get(args[0])
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("status %s", resp.Status)
	}
	node := resp.Header.Get("X-Node")
	var got counter
	stop := make(chan struct{})
	stopped := make(chan struct{})
	out := json.NewEncoder(os.Stdout)
	go func() {
		defer close(stopped)
		tick := time.NewTicker(20 * time.Millisecond)
		defer tick.Stop()
		for {
			select {
			case <-tick.C:
				_ = out.Encode(progress{Node: node, Bytes: got.n.Load()})
			case <-stop:
				return
			}
		}
	}()
	h := sha256.New()
	_, err = io.Copy(io.MultiWriter(h, &got), resp.Body)
	close(stop)
	<-stopped
	last := progress{Node: node, Bytes: got.n.Load(), Sum: hex.EncodeToString(h.Sum(nil))}
	return errors.Join(err, out.Encode(last))
}

type counter struct{ n atomic.Int64 }

func (c *counter) Write(b []byte) (int, error) {
	c.n.Add(int64(len(b)))
	return len(b), nil
}
