package metrics

import (
	"context"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"testing"
)

func TestAPortInUseIsRefusedWithWhatToDo(t *testing.T) {
	l, err := Listen("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	for address, want := range map[string]string{
		l.Addr().String(): "metrics.listen " + l.Addr().String() + `: another program listens there: choose another metrics.listen, or "" to serve no metrics`,
		"192.0.2.77:9464": `metrics.listen 192.0.2.77:9464: no interface of this host has the address: choose another metrics.listen, or "" to serve no metrics`,
	} {
		if _, err := Listen(address); err == nil || err.Error() != want {
			t.Errorf("%v, want %s", err, want)
		}
	}
}

func TestScrapesAreServedUntilTheContextEnds(t *testing.T) {
	l, err := Listen("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	log := slog.New(slog.DiscardHandler)
	go func() { done <- Serve(ctx, l, Handler(someSources(t), log), log) }()
	for path, want := range map[string]string{"/metrics": "headgate_build_info{", "/": "/metrics", "/other": "404"} {
		r, err := http.Get("http://" + l.Addr().String() + path)
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(r.Body)
		if err != nil || !strings.Contains(string(body)+r.Status, want) {
			t.Errorf("%s: %s %v\n%s", path, r.Status, err, body)
		}
		r.Body.Close()
	}
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
	if _, err := http.Get("http://" + l.Addr().String()); err == nil {
		t.Error("it still listens")
	}
}
