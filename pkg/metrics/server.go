package metrics

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"

	"golang.org/x/sys/unix"

	"github.com/headgate/headgate/pkg/httpd"
)

// Listen takes the address of the file's metrics.listen. The error says what to do when it cannot.
func Listen(address string) (net.Listener, error) {
	l, err := net.Listen("tcp", address)
	const otherwise = `choose another metrics.listen, or "" to serve no metrics`
	switch {
	case errors.Is(err, unix.EADDRINUSE):
		return nil, fmt.Errorf("metrics.listen %s: another program listens there: %s", address, otherwise)
	case errors.Is(err, unix.EADDRNOTAVAIL):
		return nil, fmt.Errorf("metrics.listen %s: no interface of this host has the address: %s", address, otherwise)
	case errors.Is(err, unix.EACCES):
		return nil, fmt.Errorf("metrics.listen %s: the port is for root only: %s", address, otherwise)
	case err != nil:
		return nil, fmt.Errorf("metrics.listen %s: %w", address, err)
	}
	return l, nil
}

// Serve answers scrapes of /metrics on the listener until the context ends; see httpd.Serve.
func Serve(ctx context.Context, l net.Listener, metrics http.Handler, log *slog.Logger) error {
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", metrics)
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, "Headgate's metrics are at /metrics\n") // a client that went away needs no answer
	})
	return httpd.Serve(ctx, l, mux, log)
}
