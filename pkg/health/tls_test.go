package health

import (
	"errors"
	"io"
	"net"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/headgate/headgate/pkg/lb"
)

func httpsGet(edit func(*lb.Check)) lb.Check {
	c := lb.Check{Type: lb.CheckHTTPS, Path: "/", Host: "www.example.com"}
	if edit != nil {
		edit(&c)
	}
	return c
}

func ok(w http.ResponseWriter, r *http.Request) { io.WriteString(w, r.Proto+" "+r.TLS.ServerName) }

func TestCertificatesAreJudgedAsClientsWould(t *testing.T) {
	ca := newAuthority(t)
	good := web(t, ok, ca.sign(time.Now().Add(time.Hour)))
	expired := time.Now().Add(-time.Minute).UTC()
	old := web(t, ok, ca.sign(expired))
	trusting := func(c *lb.Check) { c.CAFile = ca.file }
	for _, tt := range []struct {
		name string
		to   netip.AddrPort
		edit func(*lb.Check)
		want string
	}{
		{"trusted", good, trusting, ""},
		{"by nobody known", good, nil, "the certificate is signed by an unknown authority (check_ca_file names those to trust)"},
		{"not looked at", good, func(c *lb.Check) { c.Verify = lb.Off }, ""},
		{"for another name", good, func(c *lb.Check) { c.CAFile, c.Host = ca.file, "shop.example.com:443" },
			"certificate is valid for www.example.com, not shop.example.com (check_host names another)"},
		{"for a name, not an address", good, func(c *lb.Check) { c.CAFile, c.Host = ca.file, "" },
			"cannot validate certificate for 127.0.0.1 because it doesn't contain any IP SANs (check_host names another)"},
		{"expired", old, trusting, "the certificate expired at " + expired.Format(time.DateTime)},
		{"expired, not looked at", old, func(c *lb.Check) { c.Verify = lb.Off }, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			wantReason(t, probeOnce(t, tt.to, httpsGet(tt.edit), 5*time.Second), tt.want)
			body := httpsGet(tt.edit)
			body.Type, body.TLS, body.Body = lb.CheckHTTPBody, lb.On, "HTTP"
			wantReason(t, probeOnce(t, tt.to, body, 5*time.Second), tt.want)
		})
	}
}

func TestNodeChoosesTheVersionOfHTTPAndSeesTheName(t *testing.T) {
	ca := newAuthority(t)
	for protocol, want := range map[string]string{"http/1.1": "HTTP/1.1 www.example.com", "h2": "HTTP/2.0 www.example.com"} {
		to := web(t, ok, ca.sign(time.Now().Add(time.Hour)), protocol)
		c := lb.Check{Type: lb.CheckHTTPBody, TLS: lb.On, Path: "/", Host: "www.example.com:8443", Body: "^" + want + "$", CAFile: ca.file}
		wantReason(t, probeOnce(t, to, c, 5*time.Second), "")
	}
}

func TestHTTP2IsJudgedAlike(t *testing.T) {
	to := web(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/half" {
			w.Header().Set("Content-Length", "1000")
			io.WriteString(w, "ok")
			return
		}
		w.WriteHeader(http.StatusServiceUnavailable)
	}, newAuthority(t).sign(time.Now().Add(time.Hour)), "h2")
	c := lb.Check{Type: lb.CheckHTTPS, Path: "/", Verify: lb.Off}
	wantReason(t, probeOnce(t, to, c, 5*time.Second), "status 503 (good are 200-399)")
	half := lb.Check{Type: lb.CheckHTTPBody, TLS: lb.On, Path: "/half", Body: "ok", Verify: lb.Off}
	if err := probeOnce(t, to, half, 5*time.Second); err == nil || !strings.Contains(err.Error(), "breaks off") {
		t.Errorf("half a body: %v", err)
	}
}

func TestServersWithoutTLSAreFailures(t *testing.T) {
	for want, to := range map[string]netip.AddrPort{
		"the node answers without TLS": web(t, func(http.ResponseWriter, *http.Request) {}, nil),
		errHungUp.Error():              raw(t, func(c net.Conn) { c.Read(make([]byte, 100)); c.(*net.TCPConn).CloseWrite(); io.Copy(io.Discard, c) }),
		"no answer":                    raw(t, func(c net.Conn) { io.Copy(io.Discard, c) }),
	} {
		wantReason(t, probeOnce(t, to, httpsGet(nil), 300*time.Millisecond), want)
	}
}

func TestAuthoritiesAreReadAgainWhenTheFileIsAnother(t *testing.T) {
	first, second := newAuthority(t), newAuthority(t)
	to := web(t, ok, second.sign(time.Now().Add(time.Hour)))
	file := filepath.Join(t.TempDir(), "ca.pem")
	c := httpsGet(func(c *lb.Check) { c.CAFile = file })
	c.SetDefaults()
	p := newProber(&dialer{}, essence(c))
	check := func() error { return p(within(t, 5*time.Second), to) }
	replace := func(from string) {
		data, err := os.ReadFile(from)
		if err == nil {
			err = os.WriteFile(file+".new", data, 0o600)
		}
		if err := errors.Join(err, os.Rename(file+".new", file)); err != nil {
			t.Fatal(err)
		}
	}
	if err := check(); !errors.Is(err, ErrInconclusive) || !strings.Contains(err.Error(), "check_ca_file: stat "+file) {
		t.Errorf("without the file: %v", err)
	}
	replace(first.file)
	if err := check(); err == nil || errors.Is(err, ErrInconclusive) {
		t.Errorf("with another authority: %v", err)
	}
	replace(second.file)
	if err := os.Chtimes(file, time.Time{}, time.Now().Add(time.Minute)); err != nil { // clocks of files are coarse
		t.Fatal(err)
	}
	if err := check(); err != nil {
		t.Errorf("with the right authority: %v", err)
	}
	if err := os.WriteFile(file, []byte("nonsense"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := check(); !errors.Is(err, ErrInconclusive) || !strings.Contains(err.Error(), "holds no certificate") {
		t.Errorf("with nonsense: %v", err)
	}
}

func TestHostnameIsWithoutPortAndBrackets(t *testing.T) {
	for in, want := range map[string]string{
		"": "", "a.example": "a.example", "a.example:443": "a.example", "[2001:db8::1]": "2001:db8::1", "[2001:db8::1]:443": "2001:db8::1", "192.0.2.1": "192.0.2.1",
	} {
		if got := hostname(in); got != want {
			t.Errorf("%q: %q, want %q", in, got, want)
		}
	}
}
