package lb

import (
	"fmt"
	"time"
)

// checkFields say how nodes are checked.
var checkFields = []Field[Config]{
	of("check", "`HOW` the nodes are checked", word(CheckTypes), func(c *Config) *CheckType { return &c.Check.Type }),
	of("check_port", "`PORT` that is checked, if it is not the node's own", or(number[uint16](PortLimit)), func(c *Config) *uint16 { return &c.Check.Port }),
	of("udp_check_port", "`PORT` that nodes of a UDP config are checked at, but by check udp", number[uint16](PortLimit), func(c *Config) *uint16 { return &c.Check.UDPPort }),
	of("check_interval", "`TIME` from one check of a node to the next", span(CheckIntervalSpan), func(c *Config) *time.Duration { return &c.Check.Interval }),
	of("check_timeout", "`TIME` that a check may take", span(CheckTimeoutSpan), func(c *Config) *time.Duration { return &c.Check.Timeout }),
	of("check_attempts", "`N` failures in a row make a node DOWN", number[int](AttemptsLimit), func(c *Config) *int { return &c.Check.Attempts }),
	of("check_rise", "`N` successes in a row make a node UP", number[int](RiseLimit), func(c *Config) *int { return &c.Check.Rise }),
	of("check_passive", "`WHETHER` connections that a node fails speak against it", truth(), func(c *Config) *Switch { return &c.Check.Passive }),
	of("check_path", "`PATH` that http, https and http_body ask for", line(checkPathReason), func(c *Config) *string { return &c.Check.Path }),
	of("check_host", "`HOST` that is asked for, and in the certificate", line(hostReason), func(c *Config) *string { return &c.Check.Host }),
	of("check_codes", "`STATUSES` that are good, as in 200,204,300-399 or 2xx", text(codesReason), func(c *Config) *string { return &c.Check.Codes }),
	of("check_body", "`EXPRESSION` (RE2) that the body matches", or(text(bodyReason)), func(c *Config) *string { return &c.Check.Body }),
	of("check_tls", "`WHETHER` http_body and grpc go over TLS", truth(), func(c *Config) *Switch { return &c.Check.TLS }),
	of("check_verify", "`WHETHER` a certificate must be good", truth(), func(c *Config) *Switch { return &c.Check.Verify }),
	of("check_ca_file", "`FILE` of certificates (PEM) to trust", line(caFileReason), func(c *Config) *string { return &c.Check.CAFile }),
	of("check_send", "`DATAGRAM` of check udp, with \\n, \\r, \\t, \\\\ and \\xHH", or(text(payloadReason)), func(c *Config) *string { return &c.Check.Send }),
	of("check_expect", "`BYTES` that the reply to check udp contains", or(text(payloadReason)), func(c *Config) *string { return &c.Check.Expect }),
	of("check_service", "`SERVICE` that check grpc asks after", line(func(string) string { return "" }), func(c *Config) *string { return &c.Check.Service }),
}

// text is any text that judge has nothing against.
func text(judge func(string) string) kind[string] {
	return kind[string]{
		form: Text, must: "a text", spoiled: "?",
		parse: func(s string) (string, error) { return s, nil },
		text:  func(s string) string { return s },
		judge: judge,
	}
}

// line is a text that may be left out, and that is one line.
func line(judge func(string) string) kind[string] {
	return or(text(func(s string) string {
		if reason := lineReason(s); reason != "" {
			return reason
		}
		return judge(s)
	}))
}

// truth is a setting that is on or off, of which the default is not always the same.
func truth() kind[Switch] {
	const must = "true or false"
	words := map[Switch]string{On: "true", Off: "false"}
	return kind[Switch]{
		form: Truth, must: must, words: []string{words[On], words[Off]}, spoiled: "?",
		parse: func(s string) (Switch, error) {
			for position, word := range words {
				if s == word {
					return position, nil
				}
			}
			return "", fmt.Errorf("must be %s, not %q", must, s)
		},
		text: func(s Switch) string {
			if word, ok := words[s]; ok {
				return word
			}
			return string(s)
		},
		judge: func(s Switch) string {
			if _, ok := words[s]; !ok {
				return fmt.Sprintf("must be %s, not %q", must, s)
			}
			return ""
		},
	}
}
