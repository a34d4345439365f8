// Package httpd runs an HTTP server as a part of a daemon: until a context ends, and not a moment longer.
package httpd

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"time"
)

const (
	headerWithin = 10 * time.Second // from a connection to the whole header of its request
	grace        = time.Second      // for requests in flight at the end
)

// Serve answers on the listener until the context ends, then lets requests in flight finish for at
// most a second and cuts their connections. It closes the listener, and returns when no request is
// worked on any more: what they read may be gone from then on. Requests see the context's end.
func Serve(ctx context.Context, l net.Listener, handler http.Handler, log *slog.Logger) error {
	var conns sync.WaitGroup
	srv := &http.Server{
		Handler:           bounded(handler),
		ReadHeaderTimeout: headerWithin,
		IdleTimeout:       idleWithin,
		MaxHeaderBytes:    headerRead,
		ErrorLog:          slog.NewLogLogger(log.Handler(), slog.LevelWarn),
		BaseContext:       func(net.Listener) context.Context { return ctx },
		ConnState: func(_ net.Conn, state http.ConnState) {
			switch state {
			case http.StateNew:
				conns.Add(1)
			case http.StateClosed: // after the last request's handler has returned
				conns.Done()
			}
		},
	}
	defer conns.Wait()
	done := make(chan error, 1)
	go func() { done <- srv.Serve(l) }()
	select {
	case err := <-done:
		_ = srv.Close()
		return fmt.Errorf("serve %s: %w", l.Addr(), err)
	case <-ctx.Done():
	}
	patience, cancel := context.WithTimeout(context.WithoutCancel(ctx), grace)
	defer cancel()
	if err := srv.Shutdown(patience); err != nil {
		_ = srv.Close() // the grace is over: requests in flight are cut
	}
	<-done
	return nil
}
