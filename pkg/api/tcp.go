package api

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"crypto/tls"
	"fmt"
	"net"
	"net/http"
	"os"
	"strings"

	"github.com/headgate/headgate/pkg/httpd"
)

// TCP says how to listen beyond the host.
type TCP struct {
	Listen    string // ADDRESS:PORT
	TokenFile string // what every request must show
	Cert, Key string // files in PEM; empty: no TLS
}

// tcpMost bounds how many connections there are at a time: the daemon's files are needed for health checks, too.
const tcpMost = 512

// tokenLeast is the least length of a token in bytes. A shorter one could be guessed.
const tokenLeast = 16

// Door is a listener on TCP, for those who have the token.
type Door struct {
	listener net.Listener
	token    [sha256.Size]byte // its hash: all are equally long, and no error can tell it
	exposed  []string
}

// ListenTCP opens a door. It fails without a token, for whoever reaches the port would own the balancer.
func ListenTCP(o TCP) (*Door, error) {
	token, err := readToken(o.TokenFile)
	if err != nil {
		return nil, fmt.Errorf("listen on %s: %w", o.Listen, err)
	}
	l, err := net.Listen("tcp", o.Listen)
	if err != nil {
		return nil, fmt.Errorf("api.listen: %w", err)
	}
	l = httpd.Limit(l, tcpMost)
	if o.Cert != "" {
		certs := &certificate{certFile: o.Cert, keyFile: o.Key}
		if _, err := certs.get(nil); err != nil {
			_ = l.Close()
			return nil, fmt.Errorf("listen on %s: %w", o.Listen, err)
		}
		l = tls.NewListener(l, &tls.Config{MinVersion: tls.VersionTLS12, GetCertificate: certs.get})
	}
	return &Door{listener: l, token: sha256.Sum256([]byte(token)), exposed: exposed(o.TokenFile, o.Key)}, nil
}

// Exposed lists the files of secrets that others on this host may read or write.
func (d *Door) Exposed() []string { return d.exposed }

func exposed(secrets ...string) (files []string) {
	for _, path := range secrets {
		if info, err := os.Stat(path); err == nil && info.Mode().Perm()&0o007 != 0 {
			files = append(files, path)
		}
	}
	return files
}

// Addr is where the door is.
func (d *Door) Addr() net.Addr { return d.listener.Addr() }

// Close closes the door.
func (d *Door) Close() error { return d.listener.Close() }

// ServeTCP is Serve for a door.
func (s *Server) ServeTCP(ctx context.Context, d *Door) error {
	return httpd.Serve(ctx, d.listener, d.guard(s), s.log)
}

// guard lets only those through who show the token.
func (d *Door) guard(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		scheme, token, _ := strings.Cut(r.Header.Get("Authorization"), " ")
		shown := sha256.Sum256([]byte(strings.TrimSpace(token)))
		if subtle.ConstantTimeCompare(shown[:], d.token[:]) != 1 || !strings.EqualFold(scheme, "Bearer") {
			w.Header().Set("WWW-Authenticate", "Bearer")
			Fail(w, refuse(http.StatusUnauthorized, "", "Invalid Token"))
			return
		}
		h.ServeHTTP(w, r)
	})
}

// readToken reads a token of one line.
func readToken(path string) (string, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return "", fmt.Errorf("read the token: %w", err)
	}
	token := strings.TrimSpace(string(data))
	switch {
	case len(token) < tokenLeast:
		return "", fmt.Errorf("the token in %s has %d characters: it needs at least %d, such as `openssl rand -hex 32` makes", path, len(token), tokenLeast)
	case strings.ContainsFunc(token, func(r rune) bool { return r <= ' ' || r > '~' }):
		return "", fmt.Errorf("the token in %s must be one word of letters, digits and signs", path)
	}
	return token, nil
}
