package e2e

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"strings"
	"testing"
	"time"
)

const apiToken = "5f0c7a1be2d94d63a8b1"

// certificate writes a certificate for an address and its key, and gives their paths.
func (s *site) certificate(address net.IP) (cert, key string) {
	s.t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	s.must(err)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "headgate"}, IPAddresses: []net.IP{address}, IsCA: true, BasicConstraintsValid: true,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &private.PublicKey, private)
	s.must(err)
	pkcs8, err := x509.MarshalPKCS8PrivateKey(private)
	s.must(err)
	cert = s.writeFile("cert.pem", string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})))
	key = s.writeFile("key.pem", string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: pkcs8})))
	return cert, key
}

// The API is asked from another host, over TLS, with and without the token; and nothing ever shows that token.
func TestTheAPIOnTCPIsForThoseWithTheToken(t *testing.T) {
	t.Parallel()
	s := newSite(t, 1, smallTable)
	address := s.star.BalancerAddr(0, 4)
	cert, key := s.certificate(net.IP(address.AsSlice()))
	s.gate.API = fmt.Sprintf("listen: \"%s:8443\", token_file: %s, tls_cert: %s, tls_key: %s", address, s.writeFile("token", apiToken+"\n"), cert, key)
	s.run(s.yaml(conf{port: 80, nodes: members(1, 8080, []int{4})}))
	ask := func(want string, args ...string) string {
		t.Helper()
		out, err := s.star.Client.Run(t.Context(), "curl", append([]string{"-s", "--cacert", cert, "-w", " %{http_code}"}, args...)...)
		s.must(err)
		if !strings.HasSuffix(out, want) {
			t.Errorf("curl %v: %s", args, out)
		}
		return out
	}
	url := fmt.Sprintf("https://%s:8443", address)
	ask("\n 401", url+"/v4/nodebalancers")
	ask("\n 401", url+"/headgate/v1/export", "-H", "Authorization: Bearer wrong")
	if out := ask("\n 200", url+"/v4/nodebalancers", "-H", "Authorization: Bearer "+apiToken); !strings.Contains(out, `"label":"web"`) {
		t.Error(out)
	}
	for what, text := range map[string]string{"log": s.gate.Log(), "export": s.cli("export"), "status": s.cli("status", "-o", "json"),
		"events": s.cli("events", "-o", "json")} {
		if strings.Contains(text, apiToken) {
			t.Errorf("the %s shows the token", what)
		}
	}
	out, err := s.star.Balancer.Run(t.Context(), "stat", "-c", "%a", s.gate.Socket)
	s.must(err)
	if strings.TrimSpace(out) != "600" {
		t.Errorf("the socket has mode %s", out)
	}
}

func TestTheAPIDoesNotListenWithoutAToken(t *testing.T) {
	t.Parallel()
	s := newSite(t, 0, smallTable)
	s.gate.API = `listen: "127.0.0.1:8080"`
	s.configure("balancers: []\n")
	wantLine(t, s.refusal(0, "run", "-c", s.gate.File), "api.listen: needs token_file too")
	s.gate.API = `listen: "127.0.0.1:8080", token_file: ` + s.writeFile("token", "short")
	s.configure("balancers: []\n")
	wantLine(t, s.refusal(0, "run", "-c", s.gate.File), "the token in", "has 5 characters: it needs at least 16")
	s.untouched()
	s.gate.API = ""
	s.run("balancers: []\n")
	out, err := s.star.Balancer.Run(t.Context(), "ss", "-Hltn", "sport != :9464")
	s.must(err)
	if strings.TrimSpace(out) != "" {
		t.Errorf("by default it listens: %s", out)
	}
}
