package health

import (
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/headgate/headgate/pkg/lb"
)

// nobody takes what a server complains about clients that hang up.
func nobody(*testing.T) *log.Logger { return log.New(io.Discard, "", 0) }

func httpGet(path string) lb.Check { return lb.Check{Type: lb.CheckHTTP, Path: path} }

func httpBody(path, body string) lb.Check {
	return lb.Check{Type: lb.CheckHTTPBody, Path: path, Body: body}
}

func TestHTTPIsJudgedByItsStatus(t *testing.T) {
	to := web(t, func(w http.ResponseWriter, r *http.Request) {
		var code int
		fmt.Sscanf(r.URL.Path, "/%d", &code)
		w.Header().Set("Location", "/500")
		w.WriteHeader(code)
	}, nil)
	for code, want := range map[int]string{
		200: "", 204: "", 301: "", 302: "", 399: "",
		400: "status 400 (good are 200-399)", 404: "status 404 (good are 200-399)", 500: "status 500 (good are 200-399)", 599: "status 599 (good are 200-399)",
	} {
		wantReason(t, probeOnce(t, to, httpGet(fmt.Sprintf("/%d", code)), 5*time.Second), want)
	}
	own := httpGet("/404")
	own.Codes = "404,5xx"
	wantReason(t, probeOnce(t, to, own, 5*time.Second), "")
	own.Path = "/200"
	wantReason(t, probeOnce(t, to, own, 5*time.Second), "status 200 (good are 404,5xx)")
}

func TestRedirectIsAnAnswerAndNotFollowed(t *testing.T) {
	var asked atomic.Int32
	to := web(t, func(w http.ResponseWriter, r *http.Request) {
		asked.Add(1)
		http.Redirect(w, r, "/elsewhere", http.StatusFound)
	}, nil)
	wantReason(t, probeOnce(t, to, httpGet("/"), 5*time.Second), "")
	if n := asked.Load(); n != 1 {
		t.Errorf("%d requests", n)
	}
}

func TestHTTPRequestIsAsTheCheckSays(t *testing.T) {
	got := make(chan *http.Request, 1)
	to := web(t, func(_ http.ResponseWriter, r *http.Request) { got <- r }, nil)
	for host, want := range map[string]string{"": to.String(), "www.example.com:8443": "www.example.com:8443"} {
		c := httpGet("/a%2Fb/c?x=1&y=%20z")
		c.Host = host
		wantReason(t, probeOnce(t, to, c, 5*time.Second), "")
		r := <-got
		from := netip.MustParseAddrPort(r.RemoteAddr)
		if r.Method != "GET" || r.RequestURI != c.Path || r.Host != want || r.UserAgent() != "headgate" || !r.Close ||
			r.Header.Get("Accept-Encoding") != "" || from.Port() < probePortMin || from.Port() >= probePortMin+probePortCount {
			t.Errorf("request %+v", r)
		}
	}
}

func TestHTTPBodyIsJudgedByItsBeginning(t *testing.T) {
	to := web(t, func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/large":
			io.WriteString(w, "start"+strings.Repeat("x", httpBodyMax-len("start"))+"beyond")
		case "/endless":
			io.WriteString(w, "start")
			for {
				if _, err := w.Write(make([]byte, 4096)); err != nil {
					return
				}
			}
		case "/bad":
			http.Error(w, "all is well", http.StatusInternalServerError)
		case "/":
			io.WriteString(w, "{\"state\": \"well\"}\n")
		}
	}, nil)
	for _, tt := range []struct{ path, body, want string }{
		{"/", `"state":\s*"well"`, ""},
		{"/", `"state": "ill"`, `the body does not match: it begins with "{\"state\": \"well\"}\n"`},
		{"/empty", `^$`, ""},
		{"/bad", "well", "status 500 (good are 200-399)"},
		{"/large", "start", ""},
		{"/large", "beyond", `the body does not match: it begins with "startxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"`},
		{"/endless", "start", ""},
	} {
		wantReason(t, probeOnce(t, to, httpBody(tt.path, tt.body), 5*time.Second), tt.want)
	}
}

// What servers do wrong, and what a check makes of it; each within its timeout.
func TestMisbehavingServersAreFailures(t *testing.T) {
	const noAnswer = "no answer"
	head := "HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n"
	for name, tt := range map[string]struct {
		server func(*testing.T) netip.AddrPort
		check  lb.Check
		want   string // "*": any failure
	}{
		"accepts and never answers": {func(t *testing.T) netip.AddrPort { return raw(t, func(c net.Conn) { io.Copy(io.Discard, c) }) }, httpGet("/"), noAnswer},
		"has no room":               {deaf, httpGet("/"), noAnswer},
		"trickles its head":         {func(t *testing.T) netip.AddrPort { return trickles(t, head+strings.Repeat("x", 1000)) }, httpGet("/"), noAnswer},
		"trickles its body": {func(t *testing.T) netip.AddrPort {
			return trickles(t, "HTTP/1.1 200 OK\r\n\r\n"+strings.Repeat("x", 1000))
		}, httpBody("/", "x"), noAnswer},
		"hangs up":             {func(t *testing.T) netip.AddrPort { return says(t, "") }, httpGet("/"), errHungUp.Error()},
		"hangs up in its head": {func(t *testing.T) netip.AddrPort { return says(t, "HTTP/1.1 200") }, httpGet("/"), errHungUp.Error()},
		"sends half a body":    {func(t *testing.T) netip.AddrPort { return says(t, head+"ok") }, httpBody("/", "ok"), "the body breaks off after 2 bytes"},
		"sends half a chunk": {func(t *testing.T) netip.AddrPort {
			return says(t, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nok")
		}, httpBody("/", "ok"), "the body breaks off after 2 bytes"},
		"speaks another protocol": {func(t *testing.T) netip.AddrPort { return says(t, "SSH-2.0-OpenSSH_9.9\r\n") }, httpGet("/"), "*"},
		"sends an endless head": {func(t *testing.T) netip.AddrPort {
			return raw(t, func(c net.Conn) {
				readRequest(c)
				c.Write([]byte("HTTP/1.1 200 OK\r\n"))
				for {
					if _, err := c.Write([]byte("X-Y: " + strings.Repeat("z", 1000) + "\r\n")); err != nil {
						return
					}
				}
			})
		}, httpGet("/"), "*"},
		"sends 100 without end": {func(t *testing.T) netip.AddrPort {
			return raw(t, func(c net.Conn) {
				readRequest(c)
				for {
					if _, err := c.Write([]byte("HTTP/1.1 100 Continue\r\n\r\n")); err != nil {
						return
					}
				}
			})
		}, httpGet("/"), "*"},
	} {
		t.Run(name, func(t *testing.T) {
			to := tt.server(t)
			start := time.Now()
			err := probeOnce(t, to, tt.check, 300*time.Millisecond)
			if tt.want == "*" && err != nil && len(err.Error()) < 200 && !strings.Contains(err.Error(), "\n") {
				tt.want = err.Error()
				t.Log(err)
			}
			wantReason(t, err, tt.want)
			if took := time.Since(start); took > 2*time.Second {
				t.Errorf("took %v", took)
			}
		})
	}
}

func TestHTTPDoesNotWaitForTheBodyThatItDoesNotLookAt(t *testing.T) {
	to := raw(t, func(c net.Conn) {
		readRequest(c)
		io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nok")
		io.Copy(io.Discard, c)
	})
	wantReason(t, probeOnce(t, to, httpGet("/"), 5*time.Second), "")
}

func TestHTTPLeavesNoTimeWait(t *testing.T) {
	to := web(t, func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "ok") }, nil)
	c := httpBody("/", "ok")
	c.SetDefaults()
	p := newProber(&dialer{}, essence(c))
	for i := range 2 * probePortCount {
		if err := p(within(t, 5*time.Second), to); err != nil {
			t.Fatalf("check %d: %v", i, err)
		}
	}
	noTimeWait(t, to)
}
