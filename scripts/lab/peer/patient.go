package peer

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/headgate/headgate/scripts/lab"
)

const patientRole = "patient"

func init() { lab.RegisterRole(patientRole, runPatient) }

// PatientOptions says what a patient listens on.
type PatientOptions struct {
	HTTP  string // "[::]:9080"
	HTTPS string // empty: no TLS
	Cert  string // file with certificate and key (PEM), for HTTPS
}

// Patient is a server that is checked, and is ill when told to be. It answers GET of any path.
type Patient struct {
	*lab.Process
	told int
}

// StartPatient starts one; it is well.
func StartPatient(ns *lab.Namespace, o PatientOptions) (*Patient, error) {
	p, err := startServer(ns, patientRole, "-http", o.HTTP, "-https", o.HTTPS, "-cert", o.Cert)
	if err != nil {
		return nil, err
	}
	return &Patient{Process: p}, nil
}

// Behave tells the patient what to do from the next request on, and returns once it does:
//
//	ok          200, and a body that says ok
//	status N    N
//	half        200, and a body that breaks off
//	slow D      ok, after D
//	flap        ok and 503 in turns
//	hang        nothing, ever
//	trickle     ok, a byte every 50 ms
//	cert FILE   another certificate
func (p *Patient) Behave(what string) error {
	if _, err := fmt.Fprintln(p.Stdin(), what); err != nil {
		return fmt.Errorf("tell the patient: %w", err)
	}
	p.told++
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(time.Millisecond) {
		switch answers := strings.Split(strings.TrimPrefix(p.Stdout(), ready), "\n"); {
		case len(answers) <= p.told && time.Now().After(deadline):
			return fmt.Errorf("the patient does not %s: %s", what, p.Stderr())
		case len(answers) > p.told && answers[p.told-1] != "done":
			return fmt.Errorf("the patient does not %s: %s", what, answers[p.told-1])
		case len(answers) > p.told:
			return nil
		}
	}
}

// patient is the server's side.
type patient struct {
	behaviour atomic.Value // string
	requests  atomic.Uint64
	mu        sync.Mutex
	cert      *tls.Certificate
}

func runPatient(args []string) error {
	flags := flag.NewFlagSet(patientRole, flag.ContinueOnError)
	httpAddr, httpsAddr, cert := flags.String("http", "", ""), flags.String("https", "", ""), flags.String("cert", "", "")
	if err := flags.Parse(args); err != nil {
		return err
	}
	p := &patient{}
	p.behaviour.Store("ok")
	failed := make(chan error, 2)
	l, err := net.Listen("tcp", *httpAddr)
	if err != nil {
		return err
	}
	go func() { failed <- (&http.Server{Handler: p, ReadHeaderTimeout: time.Minute}).Serve(l) }()
	if *httpsAddr != "" {
		if err := p.obey("cert " + *cert); err != nil {
			return err
		}
		l, err := net.Listen("tcp", *httpsAddr)
		if err != nil {
			return err
		}
		s := &http.Server{Handler: p, ReadHeaderTimeout: time.Minute, TLSConfig: &tls.Config{GetCertificate: p.certificate}}
		go func() { failed <- s.ServeTLS(l, "", "") }()
	}
	fmt.Print(ready)
	go func() { failed <- p.listen(os.Stdin) }()
	return <-failed
}

// listen takes a command a line, and answers each.
func (p *patient) listen(r io.Reader) error {
	lines := bufio.NewScanner(r)
	for lines.Scan() {
		if err := p.obey(lines.Text()); err != nil {
			fmt.Println(err)
			continue
		}
		fmt.Println("done")
	}
	return lines.Err()
}

func (p *patient) obey(command string) error {
	word, argument, _ := strings.Cut(command, " ")
	switch word {
	case "cert":
		cert, err := tls.LoadX509KeyPair(argument, argument)
		if err != nil {
			return err
		}
		p.mu.Lock()
		defer p.mu.Unlock()
		p.cert = &cert
		return nil
	case "status":
		if _, err := strconv.Atoi(argument); err != nil {
			return err
		}
	case "slow":
		if _, err := time.ParseDuration(argument); err != nil {
			return err
		}
	case "ok", "half", "flap", "hang", "trickle":
	default:
		return fmt.Errorf("nobody knows how to %q", command)
	}
	p.behaviour.Store(command)
	return nil
}

func (p *patient) certificate(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.cert == nil {
		return nil, errors.New("no certificate")
	}
	return p.cert, nil
}

// ServeHTTP does what it was told last.
func (p *patient) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	word, argument, _ := strings.Cut(p.behaviour.Load().(string), " ")
	turn := p.requests.Add(1)
	switch word {
	case "status":
		status, _ := strconv.Atoi(argument)
		w.WriteHeader(status)
		return
	case "flap":
		if turn%2 == 0 {
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
	case "half":
		w.Header().Set("Content-Length", "1000") // the server hangs up when it sees less
	case "slow":
		d, _ := time.ParseDuration(argument)
		wait(r.Context(), d)
	case "hang":
		<-r.Context().Done()
		return
	case "trickle":
		for range 100 {
			fmt.Fprint(w, "o")
			w.(http.Flusher).Flush()
			wait(r.Context(), 50*time.Millisecond)
		}
	}
	fmt.Fprint(w, "ok")
}

func wait(ctx context.Context, d time.Duration) {
	select {
	case <-time.After(d):
	case <-ctx.Done():
	}
}
