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
	"strings"
	"testing"
	"time"

	"github.com/headgate/headgate/pkg/api"
	"github.com/headgate/headgate/scripts/lab/peer"
)

// Ports of the servers that are checked, beside those that serve.
const (
	patientHTTP  = 9080
	patientHTTPS = 9443
)

// ward is a site whose nodes are checked at servers that can be ill.
type ward struct {
	*site
	patients []*peer.Patient
	good     string // a certificate that is good
	expired  string // and one that is not
}

const wardTimes = "check_interval: 200ms\ncheck_timeout: 150ms\ncheck_attempts: 3\ncheck_rise: 2\ncheck_path: /healthz\n"

// newWard starts nodes that are all well, and headgate with the configs of these ports: 80 checks by the status,
// 81 by the body, 82 over TLS.
func newWard(t *testing.T, nodes int, ports ...int) *ward {
	t.Helper()
	w := &ward{site: newSite(t, nodes, smallTable)}
	w.servers()
	ca := w.certificates()
	for _, ns := range w.star.Nodes {
		p, err := peer.StartPatient(ns, peer.PatientOptions{
			HTTP: fmt.Sprintf("[::]:%d", patientHTTP), HTTPS: fmt.Sprintf("[::]:%d", patientHTTPS), Cert: w.good,
		})
		w.must(err)
		w.patients = append(w.patients, p)
	}
	plain := wardTimes + fmt.Sprintf("check_port: %d\n", patientHTTP)
	secure := wardTimes + fmt.Sprintf("check_port: %d\ncheck_host: nodes.example\ncheck_ca_file: %s\n", patientHTTPS, ca)
	checks := map[int]string{
		80: plain + "check: http\n",
		81: plain + "check: http_body\ncheck_body: ok\n",
		82: secure + "check: https\n",
	}
	var configs []conf
	for _, port := range ports {
		configs = append(configs, conf{port: port, extra: checks[port], nodes: members(nodes, 8080, []int{4})})
	}
	w.run(w.yaml(configs...))
	return w
}

// part is a subtest: until it is over the ward is its.
func (w *ward) part(name string, test func()) {
	whole := w.t
	defer func() { w.t = whole }()
	whole.Run(name, func(t *testing.T) {
		w.t = t
		test()
	})
}

// patientNode is the first node's name in the config of a port; the others are well all the time.
func patientNode(port int) string { return fmt.Sprintf("web/%d/%s", port, nodeLabel(0, 4)) }

func (w *ward) behave(what string) {
	w.t.Helper()
	w.must(w.patients[0].Behave(what))
}

// down waits until the first node is DOWN for that reason, and sees that nobody comes to it any more.
func (w *ward) down(port int, reason string) {
	w.t.Helper()
	w.nodeEventually(patientNode(port), "is DOWN", func(n api.Node) bool { return n.Health == "DOWN" })
	w.settle()
	if n := w.node(patientNode(port)); !strings.Contains(n.Reason, reason) || n.TakesNew {
		w.t.Errorf("DOWN (%s) and takes new flows: %v; want %q as the reason", n.Reason, n.TakesNew, reason)
	}
	if r := w.exchanges("tcp", 4, port, 6); r.Failed != 0 || r.Nodes["a"] != 0 {
		w.t.Errorf("new connections: %+v", r)
	}
}

// up waits until the first node is UP, and sees that it serves again.
func (w *ward) up(port int) {
	w.t.Helper()
	w.nodeEventually(patientNode(port), "is UP", func(n api.Node) bool { return n.Health == "UP" && n.TakesNew })
	w.settle()
	if r := w.exchanges("tcp", 4, port, 6); r.Failed != 0 || r.Nodes["a"] == 0 {
		w.t.Errorf("new connections: %+v", r)
	}
}

// settle waits until the data path runs what health has made.
func (w *ward) settle() {
	w.t.Helper()
	w.eventually("all is applied", func(st api.Status) bool { return st.Applied == st.Desired })
}

// examine is `headgate health NODE`.
func (s *site) examine(node string) api.NodeHealth {
	s.t.Helper()
	var list []api.NodeHealth
	s.must(s.gate.JSON(s.t.Context(), &list, "health", node))
	if len(list) != 1 {
		s.t.Fatalf("health of %s: %+v", node, list)
	}
	return list[0]
}

// checkedSince returns the results of a node's checks that ended after a moment, once there are so many.
func (s *site) checkedSince(node string, since time.Time, count int) (results []api.CheckResult) {
	s.t.Helper()
	poll(s.t, soon, fmt.Sprintf("%d more checks of %s", count, node), func() bool {
		results = nil
		for _, r := range s.examine(node).History {
			if r.At.After(since) {
				results = append(results, r)
			}
		}
		return len(results) >= count
	})
	return results
}

// certificates makes an authority, whose file it returns, and two certificates of it.
func (w *ward) certificates() (ca string) {
	w.t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	w.must(err)
	now := time.Now()
	root := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "lab"}, IsCA: true, BasicConstraintsValid: true,
		NotBefore: now.Add(-time.Hour), NotAfter: now.Add(time.Hour), KeyUsage: x509.KeyUsageCertSign,
	}
	write := func(name string, template *x509.Certificate) string {
		der, err := x509.CreateCertificate(rand.Reader, template, root, key.Public(), key)
		w.must(err)
		private, err := x509.MarshalPKCS8PrivateKey(key)
		w.must(err)
		return w.writeFile(name, string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))+
			string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private})))
	}
	leaf := func(until time.Time) *x509.Certificate {
		return &x509.Certificate{SerialNumber: big.NewInt(2), DNSNames: []string{"nodes.example"}, NotBefore: now.Add(-time.Hour), NotAfter: until}
	}
	w.good, w.expired = write("good.pem", leaf(now.Add(time.Hour))), write("expired.pem", leaf(now.Add(-time.Minute)))
	return write("ca.pem", root)
}
