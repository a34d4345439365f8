package health

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"regexp"

	"github.com/headgate/headgate/pkg/lb"
)

// How much of an answer is read: more of the head is a failure, more of the body is not looked at.
const (
	httpHeadMax = 64 << 10
	httpBodyMax = 64 << 10
)

// userAgent is how probes introduce themselves.
const userAgent = "headgate"

// httpCheck is what the requests of one check have in common.
type httpCheck struct {
	transport *http.Transport
	scheme    string
	url       *url.URL // without scheme and address
	host      string   // "": the node's address
	wanted    string   // codes as people wrote them
	codes     lb.Codes
	body      *regexp.Regexp // nil: the body is not looked at
}

// httpProber asks for a path and judges the answer by its status, and by its body if the check says so. A
// redirect is an answer like others. Over TLS the node chooses between HTTP/1.1 and HTTP/2.
func httpProber(d *dialer, c lb.Check) (prober, error) {
	h := &httpCheck{scheme: "http", host: c.Host, wanted: c.Codes}
	var err error
	if h.url, err = url.ParseRequestURI(c.Path); err != nil {
		return nil, err
	}
	if h.codes, err = lb.ParseCodes(c.Codes); err != nil {
		return nil, err
	}
	if c.Type == lb.CheckHTTPBody {
		if h.body, err = lb.ParseBody(c.Body); err != nil {
			return nil, err
		}
	}
	h.transport = &http.Transport{
		DialContext:            func(ctx context.Context, _, addr string) (net.Conn, error) { return dialTo(ctx, d, addr) },
		DisableCompression:     true, // the body is looked at as it comes
		MaxResponseHeaderBytes: httpHeadMax,
		Protocols:              new(http.Protocols),
	}
	h.transport.Protocols.SetHTTP1(true)
	if c.IsSecure() {
		h.scheme = "https"
		h.transport.Protocols.SetHTTP2(true)
		h.transport.DialTLSContext = secureDial(d, newTrust(c))
	}
	return h.check, nil
}

func dialTo(ctx context.Context, d *dialer, addr string) (net.Conn, error) {
	to, err := netip.ParseAddrPort(addr)
	if err != nil {
		return nil, err
	}
	return d.tcp(ctx, to)
}

// secureDial is for a Transport, which finds out what was agreed on.
func secureDial(d *dialer, t *trust) func(ctx context.Context, network, addr string) (net.Conn, error) {
	return func(ctx context.Context, _, addr string) (net.Conn, error) {
		conn, err := dialTo(ctx, d, addr)
		if err != nil {
			return nil, err
		}
		return t.handshake(ctx, conn, netip.MustParseAddrPort(addr), []string{"h2", "http/1.1"})
	}
}

func (h *httpCheck) check(ctx context.Context, to netip.AddrPort) error {
	conn, err := h.transport.NewClientConn(ctx, h.scheme, to.String())
	if err != nil {
		return verdict(err)
	}
	defer conn.Close()
	resp, err := conn.RoundTrip(h.request(ctx, to))
	if err != nil {
		return verdict(err)
	}
	defer resp.Body.Close()
	if !h.codes.Contain(resp.StatusCode) {
		return fmt.Errorf("status %d (good are %s)", resp.StatusCode, h.wanted)
	}
	if h.body == nil {
		return nil
	}
	return h.judgeBody(resp.Body)
}

func (h *httpCheck) request(ctx context.Context, to netip.AddrPort) *http.Request {
	u := *h.url
	u.Scheme, u.Host = h.scheme, to.String()
	r := &http.Request{
		Method: http.MethodGet, URL: &u, Host: h.host, Close: true,
		Header: http.Header{"User-Agent": {userAgent}},
	}
	return r.WithContext(ctx)
}

// judgeBody looks at the beginning of a body. One that is cut short is bad whatever it says.
func (h *httpCheck) judgeBody(r io.Reader) error {
	body, err := io.ReadAll(io.LimitReader(r, httpBodyMax))
	switch {
	case errors.Is(err, io.ErrUnexpectedEOF):
		return fmt.Errorf("the body breaks off after %d bytes", len(body))
	case err != nil:
		return verdict(err)
	case !h.body.Match(body):
		return fmt.Errorf("the body does not match: it begins with %.40q", body)
	}
	return nil
}
