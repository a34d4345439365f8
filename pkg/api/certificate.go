package api

import (
	"crypto/tls"
	"fmt"
	"os"
	"sync"
	"time"
)

// certificate is one that others renew: it is read again when its file is another one.
type certificate struct {
	certFile, keyFile string

	mu     sync.Mutex
	loaded *tls.Certificate
	since  time.Time // when the file was changed that it was loaded from
}

// get gives the certificate. One that cannot be read leaves the one before, while there is one.
func (c *certificate) get(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	info, err := os.Stat(c.certFile)
	if err == nil && c.loaded != nil && info.ModTime().Equal(c.since) {
		return c.loaded, nil
	}
	var fresh tls.Certificate
	if err == nil {
		fresh, err = tls.LoadX509KeyPair(c.certFile, c.keyFile)
	}
	switch {
	case err == nil:
		c.loaded, c.since = &fresh, info.ModTime()
	case c.loaded == nil:
		return nil, fmt.Errorf("the certificate %s: %w", c.certFile, err)
	}
	return c.loaded, nil
}
