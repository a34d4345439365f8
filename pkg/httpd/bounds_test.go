package httpd

import (
	"bufio"
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// pipes is a listener whose connections are made in memory, where time can be faked.
type pipes struct {
	conns chan net.Conn
	done  chan struct{}
}

func (p *pipes) Accept() (net.Conn, error) {
	select {
	case c := <-p.conns:
		return c, nil
	case <-p.done:
		return nil, net.ErrClosed
	}
}

func (p *pipes) Close() error   { close(p.done); return nil }
func (p *pipes) Addr() net.Addr { return &net.UnixAddr{Name: "pipe", Net: "unix"} }

// serving runs a test, in fake time, with a connection to a server of that handler.
func serving(t *testing.T, h http.HandlerFunc, test func(t *testing.T, c net.Conn)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		l := &pipes{make(chan net.Conn), make(chan struct{})}
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- Serve(ctx, l, h, slog.New(slog.DiscardHandler)) }()
		ours, theirs := net.Pipe()
		l.conns <- theirs
		test(t, ours)
		ours.Close()
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
}

// cutAfter reads until the server ends the connection, and says when that was.
func cutAfter(t *testing.T, c net.Conn) (time.Duration, string) {
	t.Helper()
	start := time.Now()
	data, err := io.ReadAll(c)
	if err != nil {
		t.Error(err)
	}
	return time.Since(start), string(data)
}

func TestWhoSendsNoHeaderIsCutOff(t *testing.T) {
	serving(t, func(http.ResponseWriter, *http.Request) {}, func(t *testing.T, c net.Conn) {
		if _, err := io.WriteString(c, "GET / HTTP/1.1\r\nHost:"); err != nil {
			t.Fatal(err)
		}
		if after, _ := cutAfter(t, c); after != headerWithin {
			t.Errorf("after %v", after)
		}
	})
}

func TestWhoSendsNoBodyIsCutOff(t *testing.T) {
	var got error
	h := func(_ http.ResponseWriter, r *http.Request) { _, got = io.ReadAll(r.Body) }
	serving(t, h, func(t *testing.T, c net.Conn) {
		if _, err := io.WriteString(c, "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nabc"); err != nil {
			t.Fatal(err)
		}
		after, _ := cutAfter(t, c)
		var timeout net.Error
		if after < bodyWithin || after > bodyWithin+time.Second || !errors.As(got, &timeout) || !timeout.Timeout() {
			t.Errorf("after %v: %v", after, got)
		}
	})
}

func TestWhoTakesNoAnswerIsCutOff(t *testing.T) {
	var after time.Duration
	h := func(w http.ResponseWriter, _ *http.Request) {
		start := time.Now()
		for range 1000 {
			if _, err := w.Write(make([]byte, 64<<10)); err != nil {
				after = time.Since(start)
				return
			}
		}
	}
	serving(t, h, func(t *testing.T, c net.Conn) {
		if _, err := io.WriteString(c, "GET / HTTP/1.1\r\nHost: x\r\n\r\n"); err != nil {
			t.Fatal(err)
		}
		time.Sleep(2 * takeWithin)
		if after != takeWithin {
			t.Errorf("after %v", after)
		}
	})
}

func TestAnAnswerMayHaveNoEnd(t *testing.T) {
	h := func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		for range 10 {
			_, _ = io.WriteString(w, "still there\n")
			w.(http.Flusher).Flush()
			select {
			case <-r.Context().Done():
				t.Error("it was ended")
				return
			case <-time.After(time.Minute):
			}
		}
	}
	serving(t, h, func(t *testing.T, c net.Conn) {
		go io.WriteString(c, "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{}")
		resp, err := http.ReadResponse(bufio.NewReader(c), nil)
		if err != nil {
			t.Fatal(err)
		}
		data, err := io.ReadAll(resp.Body)
		if err != nil || strings.Count(string(data), "still there") != 10 {
			t.Errorf("%v: %s", err, data)
		}
	})
}

func TestAHugeBodyIsNotRead(t *testing.T) {
	var got error
	h := func(_ http.ResponseWriter, r *http.Request) { _, got = io.Copy(io.Discard, r.Body) }
	serving(t, h, func(t *testing.T, c net.Conn) {
		go func() {
			_, _ = io.WriteString(c, "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n")
			chunk := "100000\r\n" + strings.Repeat("x", 1<<20) + "\r\n"
			for range MaxBody>>20 + 1 {
				if _, err := io.WriteString(c, chunk); err != nil {
					return
				}
			}
		}()
		cutAfter(t, c)
		var large *http.MaxBytesError
		if !errors.As(got, &large) || large.Limit != MaxBody {
			t.Error(got)
		}
	})
}

func TestAConnectionThatRestsIsCutOff(t *testing.T) {
	serving(t, func(http.ResponseWriter, *http.Request) {}, func(t *testing.T, c net.Conn) {
		go io.WriteString(c, "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{}")
		if after, _ := cutAfter(t, c); after != idleWithin {
			t.Errorf("after %v", after)
		}
	})
}

func TestConnectionsBeyondTheLimitWait(t *testing.T) {
	inner := &pipes{make(chan net.Conn, 3), make(chan struct{})}
	l := Limit(inner, 2)
	for range 3 {
		c, _ := net.Pipe()
		inner.conns <- c
	}
	var open []net.Conn
	for range 2 {
		c, err := l.Accept()
		if err != nil {
			t.Fatal(err)
		}
		open = append(open, c)
	}
	third := make(chan error, 1)
	go func() { _, err := l.Accept(); third <- err }()
	select {
	case <-third:
		t.Fatal("a third one was accepted")
	case <-time.After(20 * time.Millisecond):
	}
	open[0].Close()
	open[0].Close() // counts once
	if err := <-third; err != nil {
		t.Fatal(err)
	}
	go func() { _, err := l.Accept(); third <- err }()
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	if err := <-third; !errors.Is(err, net.ErrClosed) {
		t.Errorf("accept on what was closed: %v", err)
	}
}
