package health

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/headgate/headgate/pkg/lb"
)

// probeOnce makes one check with defaults set, within the timeout.
func probeOnce(t *testing.T, to netip.AddrPort, c lb.Check, timeout time.Duration) error {
	t.Helper()
	c.SetDefaults()
	return newProber(&dialer{}, essence(c))(within(t, timeout), to)
}

// wantReason compares what a check found with the reason; empty: all is well.
func wantReason(t *testing.T, err error, want string) {
	t.Helper()
	got := ""
	if err != nil {
		got = err.Error()
	}
	if got != want {
		t.Errorf("%q, want %q", got, want)
	}
}

// raw is a server that does with each connection what the function says.
func raw(t *testing.T, handle func(conn net.Conn)) netip.AddrPort {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				defer context.AfterFunc(ctx, func() { c.Close() })()
				handle(c)
			}()
		}
	}()
	t.Cleanup(func() { cancel(); l.Close() })
	return netip.MustParseAddrPort(l.Addr().String())
}

// readRequest reads until the blank line.
func readRequest(c net.Conn) {
	buf := make([]byte, 0, 4096)
	for {
		n, err := c.Read(buf[len(buf):cap(buf)])
		buf = buf[:len(buf)+n]
		if err != nil || len(buf) >= 4 && string(buf[len(buf)-4:]) == "\r\n\r\n" {
			return
		}
	}
}

// says is a server that answers each request with these bytes, and hangs up.
func says(t *testing.T, answer string) netip.AddrPort {
	return raw(t, func(c net.Conn) {
		readRequest(c)
		c.Write([]byte(answer))
	})
}

// trickles is a server that answers each request a byte at a time, slower than anybody waits.
func trickles(t *testing.T, answer string) netip.AddrPort {
	return raw(t, func(c net.Conn) {
		readRequest(c)
		for i := range answer {
			if _, err := c.Write([]byte{answer[i]}); err != nil {
				return
			}
			time.Sleep(20 * time.Millisecond) // the slowness is what is tested
		}
	})
}

// web is a server of Go's; with a certificate over TLS.
func web(t *testing.T, handler http.HandlerFunc, cert *tls.Certificate, protocols ...string) netip.AddrPort {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &http.Server{Handler: handler, Protocols: new(http.Protocols), ErrorLog: nobody(t)}
	s.Protocols.SetHTTP1(len(protocols) == 0 || protocols[0] == "http/1.1")
	s.Protocols.SetHTTP2(len(protocols) > 0 && protocols[0] == "h2")
	done := make(chan struct{})
	go func() {
		defer close(done)
		if cert == nil {
			s.Serve(l)
			return
		}
		s.TLSConfig = &tls.Config{Certificates: []tls.Certificate{*cert}}
		s.ServeTLS(l, "", "")
	}()
	t.Cleanup(func() { s.Close(); <-done })
	return netip.MustParseAddrPort(l.Addr().String())
}

// authority signs certificates.
type authority struct {
	t    *testing.T
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
	file string // PEM
}

func newAuthority(t *testing.T) *authority {
	t.Helper()
	a := &authority{t: t, key: newPrivateKey(t), file: filepath.Join(t.TempDir(), "ca.pem")}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "tests"}, IsCA: true, BasicConstraintsValid: true,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), KeyUsage: x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, a.key.Public(), a.key)
	if err != nil {
		t.Fatal(err)
	}
	if a.cert, err = x509.ParseCertificate(der); err != nil {
		t.Fatal(err)
	}
	data := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	if err := os.WriteFile(a.file, data, 0o600); err != nil {
		t.Fatal(err)
	}
	return a
}

func newPrivateKey(t *testing.T) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// sign makes a certificate for www.example.com that ends then.
func (a *authority) sign(until time.Time) *tls.Certificate {
	a.t.Helper()
	key := newPrivateKey(a.t)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(2), DNSNames: []string{"www.example.com"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: until, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, a.cert, key.Public(), a.key)
	if err != nil {
		a.t.Fatal(err)
	}
	return &tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}
