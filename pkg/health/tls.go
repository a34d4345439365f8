package health

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"sync"
	"time"

	"github.com/headgate/headgate/pkg/lb"
)

// trust says which certificates of nodes are good. It is shared by the probes of one check.
type trust struct {
	verify bool
	file   string // of certificates to trust; "": the system's
	name   string // in the certificate; "": the node's address

	mu    sync.Mutex
	pool  *x509.CertPool // nil: the system's
	read  time.Time      // modification time of the file that pool was read from
	bytes int64          // its size
}

func newTrust(c lb.Check) *trust {
	return &trust{verify: c.Verify != lb.Off, file: c.CAFile, name: hostname(c.Host)}
}

// hostname is a host without a port and without the brackets of an IPv6 address.
func hostname(host string) string {
	if name, _, err := net.SplitHostPort(host); err == nil {
		return name
	}
	if n := len(host); n > 1 && host[0] == '[' && host[n-1] == ']' {
		return host[1 : n-1]
	}
	return host
}

// config is for one connection to that node. An error matches ErrInconclusive.
func (t *trust) config(to netip.AddrPort, protocols []string) (*tls.Config, error) {
	c := &tls.Config{ServerName: t.name, NextProtos: protocols, InsecureSkipVerify: !t.verify}
	if c.ServerName == "" {
		c.ServerName = to.Addr().String()
	}
	if !t.verify {
		return c, nil
	}
	var err error
	if c.RootCAs, err = t.roots(); err != nil {
		return nil, fmt.Errorf("%w: check_ca_file: %w", ErrInconclusive, err)
	}
	return c, nil
}

// roots reads the file when it is another than last time: certificates are renewed while the daemon runs.
func (t *trust) roots() (*x509.CertPool, error) {
	if t.file == "" {
		return nil, nil
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	info, err := os.Stat(t.file)
	if err != nil {
		return nil, err
	}
	if t.pool != nil && info.ModTime().Equal(t.read) && info.Size() == t.bytes {
		return t.pool, nil
	}
	data, err := os.ReadFile(t.file)
	if err != nil {
		return nil, err
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(data) {
		return nil, fmt.Errorf("%s holds no certificate (PEM)", t.file)
	}
	t.pool, t.read, t.bytes = pool, info.ModTime(), info.Size()
	return pool, nil
}

// handshake makes a connection one over TLS. Where that fails it is closed.
func (t *trust) handshake(ctx context.Context, conn net.Conn, to netip.AddrPort, protocols []string) (*tls.Conn, error) {
	config, err := t.config(to, protocols)
	if err != nil {
		return nil, errors.Join(err, conn.Close())
	}
	secured := tls.Client(conn, config)
	if err := secured.HandshakeContext(ctx); err != nil {
		conn.Close()
		return nil, plainly(err)
	}
	return secured, nil
}

// plainly says what is wrong with a certificate, and what may be done about it here.
func plainly(err error) error {
	var invalid x509.CertificateInvalidError
	var name x509.HostnameError
	var authority x509.UnknownAuthorityError
	switch {
	case errors.As(err, &invalid) && invalid.Reason == x509.Expired && invalid.Cert != nil:
		now := time.Now()
		if now.Before(invalid.Cert.NotBefore) {
			return fmt.Errorf("the certificate is not valid before %s", invalid.Cert.NotBefore.UTC().Format(time.DateTime))
		}
		return fmt.Errorf("the certificate expired at %s", invalid.Cert.NotAfter.UTC().Format(time.DateTime))
	case errors.As(err, &name):
		return fmt.Errorf("%s (check_host names another)", name.Error()[len("x509: "):])
	case errors.As(err, &authority):
		return errors.New("the certificate is signed by an unknown authority (check_ca_file names those to trust)")
	}
	return err
}
