package api

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"io"
	"log/slog"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/headgate/headgate/pkg/httpd"
)

const token = "0123456789abcdef0123456789abcdef"

// written writes a file of a test and gives its path.
func written(t *testing.T, name, content string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// certify writes a certificate for 127.0.0.1 with that name over the files.
func certify(t *testing.T, name, certFile, keyFile string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
	}
	cert, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	for path, block := range map[string]*pem.Block{certFile: {Type: "CERTIFICATE", Bytes: cert}, keyFile: {Type: "PRIVATE KEY", Bytes: private}} {
		if err := os.WriteFile(path, pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

// open serves a fake on TCP until the test ends.
func open(t *testing.T, o TCP) *Door {
	t.Helper()
	o.Listen = "127.0.0.1:0"
	if o.TokenFile == "" {
		o.TokenFile = written(t, "token", token+"\n")
	}
	d, err := ListenTCP(o)
	if err != nil {
		t.Fatal(err)
	}
	s := NewServer(newFake(), slog.New(slog.DiscardHandler))
	s.Mount("/v4", http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { Write(w, "mounted") }))
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- s.ServeTCP(ctx, d) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	return d
}

// ask makes a request with that Authorization.
func ask(t *testing.T, c *http.Client, url, authorization string) (int, string, http.Header) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), "GET", url, nil)
	if err != nil {
		t.Fatal(err)
	}
	if authorization != "" {
		r.Header.Set("Authorization", authorization)
	}
	resp, err := c.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, strings.TrimSpace(string(body)), resp.Header
}

func TestOnTCPEveryRequestNeedsTheToken(t *testing.T) {
	d := open(t, TCP{})
	for authorization, want := range map[string]int{
		"": 401, "Bearer": 401, "Bearer ": 401, "Bearer wrong": 401, token: 401, "Basic " + token: 401, "Bearer " + token + "0": 401,
		"Bearer " + token[1:]: 401, "Bearer " + strings.ToUpper(token): 401,
		"Bearer " + token: 200, "bearer " + token: 200,
	} {
		for _, path := range []string{"/headgate/v1/status", "/v4/nodebalancers", "/v4beta", "/"} {
			code, body, header := ask(t, http.DefaultClient, "http://"+d.Addr().String()+path, authorization)
			if want == 401 {
				if code != 401 || body != `{"errors":[{"reason":"Invalid Token"}]}` || header.Get("Content-Type") != "application/json" || header.Get("WWW-Authenticate") != "Bearer" {
					t.Errorf("%q on %s: %d %s", authorization, path, code, body)
				}
			} else if code == 401 {
				t.Errorf("%q on %s: %d %s", authorization, path, code, body)
			}
		}
	}
}

func TestATooLargeHeaderIsRefusedAsAllElseIs(t *testing.T) {
	d := open(t, TCP{})
	refused := fmt.Sprintf(`{"errors":[{"reason":"The header is too large: it may have %d bytes"}]}`, httpd.MaxHeader)
	url := "http://" + d.Addr().String() + "/headgate/v1/nothing?"
	for size, want := range map[int]int{httpd.MaxHeader / 2: 404, httpd.MaxHeader: 431, 3 * httpd.MaxHeader: 431} {
		fill := strings.Repeat("x", size)
		code, body, header := ask(t, http.DefaultClient, url+fill, "Bearer "+token)
		if code != want || want == 431 && body != refused || header.Get("Content-Type") != "application/json" {
			t.Errorf("a path of %d: %d %s", size, code, body)
		}
		r, err := http.NewRequestWithContext(t.Context(), "GET", url, nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Header = http.Header{"Authorization": {"Bearer " + token}, "X-Some": {fill[:size/2], fill[size/2:]}}
		resp, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := io.ReadAll(resp.Body); err != nil || resp.StatusCode != want || want == 431 && strings.TrimSpace(string(got)) != refused {
			t.Errorf("a header of %d: %d %s %v", size, resp.StatusCode, got, err)
		}
		resp.Body.Close()
	}
}

func TestWithoutATokenNothingListensOnTCP(t *testing.T) {
	for content, want := range map[string]string{
		"":                         "has 0 characters: it needs at least 16, such as `openssl rand -hex 32` makes",
		"short\n":                  "has 5 characters: it needs at least 16",
		"two words of some length": "must be one word of letters, digits and signs",
		token + "\n" + token:       "must be one word of letters, digits and signs",
	} {
		_, err := ListenTCP(TCP{Listen: "127.0.0.1:0", TokenFile: written(t, "token", content)})
		if err == nil || !strings.Contains(err.Error(), want) || content != "" && strings.Contains(err.Error(), strings.TrimSpace(content)) {
			t.Errorf("%q: %v", content, err)
		}
	}
	if _, err := ListenTCP(TCP{Listen: "127.0.0.1:0", TokenFile: "/nowhere/token"}); err == nil || !strings.Contains(err.Error(), "read the token: open /nowhere/token") {
		t.Error(err)
	}
}

func TestAPortThatIsTakenIsNamed(t *testing.T) {
	d := open(t, TCP{})
	_, err := ListenTCP(TCP{Listen: d.Addr().String(), TokenFile: written(t, "token", token)})
	if err == nil || !strings.Contains(err.Error(), "api.listen: listen tcp "+d.Addr().String()+": bind: address already in use") {
		t.Error(err)
	}
}

func TestACertificateThatIsRenewedIsUsed(t *testing.T) {
	dir := t.TempDir()
	certFile, keyFile := filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	if _, err := ListenTCP(TCP{Listen: "127.0.0.1:0", TokenFile: written(t, "token", token), Cert: certFile, Key: keyFile}); err == nil ||
		!strings.Contains(err.Error(), "the certificate "+certFile) {
		t.Errorf("no certificate: %v", err)
	}
	certify(t, "first", certFile, keyFile)
	d := open(t, TCP{Cert: certFile, Key: keyFile})
	name := func() string {
		c, err := tls.Dial("tcp", d.Addr().String(), &tls.Config{InsecureSkipVerify: true})
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		return c.ConnectionState().PeerCertificates[0].Subject.CommonName
	}
	if got := name(); got != "first" {
		t.Error(got)
	}
	certify(t, "second", certFile, keyFile)
	later := time.Now().Add(time.Second)
	if err := os.Chtimes(certFile, later, later); err != nil {
		t.Fatal(err)
	}
	if got := name(); got != "second" {
		t.Error(got)
	}
	if err := os.WriteFile(certFile, []byte("half of one"), 0o600); err != nil {
		t.Fatal(err)
	}
	if got := name(); got != "second" {
		t.Errorf("one that cannot be read: %s", got)
	}
	pool := x509.NewCertPool()
	c := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool, InsecureSkipVerify: true}}}
	if code, body, _ := ask(t, c, "https://"+d.Addr().String()+"/v4/x", "Bearer "+token); code != 200 || body != `"mounted"` {
		t.Errorf("%d %s", code, body)
	}
	if _, err := tls.Dial("tcp", d.Addr().String(), &tls.Config{InsecureSkipVerify: true, MaxVersion: tls.VersionTLS11}); err == nil {
		t.Error("TLS 1.1 was accepted")
	}
}

func TestWhatIsMountedHasNoOtherNames(t *testing.T) {
	d := open(t, TCP{})
	for path, want := range map[string]int{"/v4/a": 200, "/v4//a": 404, "/v4/a/": 404, "/v4/../v4/a": 404, "/v4/./a": 404} {
		if code, body, _ := ask(t, http.DefaultClient, "http://"+d.Addr().String()+path, "Bearer "+token); code != want {
			t.Errorf("%s: %d %s", path, code, body)
		}
	}
}

func TestSecretsThatOthersMayReadAreNamed(t *testing.T) {
	for mode, exposed := range map[os.FileMode]bool{0o600: false, 0o640: false, 0o644: true, 0o602: true} {
		file := written(t, "token", token+"\n")
		if err := os.Chmod(file, mode); err != nil {
			t.Fatal(err)
		}
		if got := open(t, TCP{TokenFile: file}).Exposed(); slices.Contains(got, file) != exposed {
			t.Errorf("mode %04o: named are %v", mode, got)
		}
	}
}
