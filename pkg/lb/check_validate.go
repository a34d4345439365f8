package lb

import (
	"fmt"
	"net/url"
	"path/filepath"
	"strings"
)

// How long texts of a check may be, in bytes. A datagram of that size is not fragmented.
const (
	checkTextMax    = 1024
	checkPayloadMax = 1024
)

// check says what is wrong with the check of a config beyond each of its fields: what its type needs, and what
// contradicts.
func (v *validator) check(path string, config *Config) {
	c := &config.Check
	switch c.Type {
	case CheckHTTP, CheckHTTPS, CheckHTTPBody:
		v.required(path+".check_path", c.Path, fmt.Sprintf("for check %s: what to ask for, as in /healthz", c.Type))
	case CheckUDP:
		if config.Protocol == TCP {
			v.add(path+".check", "udp is for configs of protocol udp: a node that takes TCP is told by connection, http or grpc")
		}
		v.required(path+".check_send", c.Send, "for check udp: the datagram that nodes answer")
	}
	if c.Passive == On && config.Protocol == UDP {
		v.add(path+".check_passive", "must be false with protocol udp: nothing in UDP tells a refusal from a reply")
	}
	if c.Type == CheckHTTPBody {
		v.required(path+".check_body", c.Body, "for check http_body: a regular expression that the body matches")
	}
	if c.Timeout >= c.Interval && CheckIntervalSpan.Reason(c.Interval) == "" && CheckTimeoutSpan.Reason(c.Timeout) == "" {
		v.add(path+".check_timeout", fmt.Sprintf("must be less than check_interval (%s), not %s",
			FormatDuration(c.Interval), FormatDuration(c.Timeout)))
	}
}

func (v *validator) required(path, value, what string) {
	if value == "" {
		v.add(path, "is required "+what)
	}
}

func checkPathReason(path string) string {
	if _, err := url.ParseRequestURI(path); err != nil || path[0] != '/' || strings.ContainsAny(path, " #") {
		return fmt.Sprintf("must be a path with a query if need be, as in /healthz?full=1, not %q", path)
	}
	return ""
}

func hostReason(host string) string {
	u, err := url.Parse("//" + host)
	if err != nil || u.Host != host || u.Hostname() == "" || len(host) > 255 || strings.ContainsAny(host, "@/?#") {
		return fmt.Sprintf("must be a host name or an address, with :PORT if need be, not %q", host)
	}
	return ""
}

func codesReason(codes string) string {
	if len(codes) > checkTextMax {
		return tooLong(checkTextMax, len(codes))
	}
	if _, err := ParseCodes(codes); err != nil {
		return err.Error()
	}
	return ""
}

func bodyReason(body string) string {
	if len(body) > checkTextMax {
		return tooLong(checkTextMax, len(body))
	}
	if _, err := ParseBody(body); err != nil {
		return fmt.Sprintf("is no regular expression (RE2): %s", err)
	}
	return ""
}

func caFileReason(name string) string {
	if !filepath.IsAbs(name) {
		return fmt.Sprintf("must be an absolute path, not %q: the daemon has a directory of its own", name)
	}
	return ""
}

func payloadReason(s string) string {
	payload, err := ParsePayload(s)
	if err != nil {
		return err.Error()
	}
	if len(payload) > checkPayloadMax {
		return tooLong(checkPayloadMax, len(payload))
	}
	return ""
}

// lineReason refuses what cannot stand in one line of a protocol, or of a log.
func lineReason(s string) string {
	if len(s) > checkTextMax {
		return tooLong(checkTextMax, len(s))
	}
	for i, r := range s {
		if r < ' ' || r == 0x7f || r == '\uFFFD' {
			return fmt.Sprintf("character %d: %q cannot stand here", i+1, r)
		}
	}
	return ""
}

func tooLong(most, n int) string { return fmt.Sprintf("must have at most %d bytes, not %d", most, n) }
