package v4

import (
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/headgate/headgate/pkg/lb"
	"github.com/headgate/headgate/pkg/store"
)

// config is a config with its note.
type config struct {
	*lb.Config
	note     store.ConfigNote
	balancer int // id
	// status counts the nodes that are UP and the others.
	status func() (up, down int)
}

// defaultPort is that of a config for which nobody says one.
const defaultPort = 80

var (
	intervalLimit = lb.Limit{Min: 2, Max: 3600} // seconds
	timeoutLimit  = lb.Limit{Min: 1, Max: 30}
)

var ciphers = []string{"recommended", "legacy", "none"}

// choices are the words for each protocol.
func choices[W ~string](of func(lb.Protocol) []W) map[lb.Protocol][]string {
	out := map[lb.Protocol][]string{}
	for _, p := range lb.Protocols {
		for _, w := range of(p) {
			out[p] = append(out[p], string(w))
		}
	}
	return out
}

func ofConfig(c *config) *lb.Config { return c.Config }

// configProperties are those of a config, in the order of an answer.
var configProperties = extensions(slices.Concat([]property[config]{
	{key: "id", what: "given once, never again to another", shape: shape{kind: "integer"}, access: readOnly,
		show: func(c *config) any { return c.ID }},
	{key: "nodebalancer_id", what: "of its balancer", shape: shape{kind: "integer"}, access: readOnly,
		show: func(c *config) any { return c.balancer }},
	declared(lb.ConfigFields, "port", "that clients connect to; UDP may share it with TCP", ofConfig),
	{key: "protocol", what: "http is forwarded as TCP", shape: shape{kind: "string", words: []string{"http", "tcp", "udp"}},
		show: func(c *config) any { return c.protocol() }, take: takeProtocol},
	spread("algorithm", "how new flows are spread", choices(lb.AlgorithmsOf)),
	spread("stickiness", "what brings a client back to its node", choices(lb.StickinessesOf)),
}, checkProperties, []property[config]{
	later("proxy_protocol", "header before the data", shape{kind: "string", words: []string{"none"}}, "none",
		"nodes see the address of the balancer: only none"),
	{key: "cipher_suite", what: "kept without effect", shape: shape{kind: "string", words: ciphers},
		show: func(c *config) any { return c.cipherSuite() }, take: takeCipherSuite},
	fixed[config]("ssl_cert", "always null", shape{kind: "string", nullable: true}, nil, noTLS),
	fixed[config]("ssl_key", "always null", shape{kind: "string", nullable: true}, nil, noTLS),
	constant[config]("ssl_commonname", "always empty", shape{kind: "string"}, ""),
	constant[config]("ssl_fingerprint", "always empty", shape{kind: "string"}, ""),
	{key: "nodes_status", what: "how many nodes are UP; all others are down", shape: shape{kind: "object"}, access: readOnly,
		show: func(c *config) any {
			up, down := c.status()
			return members{{"up", up}, {"down", down}}
		}},
	minEligible(),
	{key: "udp_session_timeout", what: "seconds without a datagram after which a UDP session ends", shape: shape{kind: "integer"}, access: readOnly,
		show: func(c *config) any { return int(c.UDPIdle / time.Second) }},
}), lb.ConfigFields, ofConfig, standardConfig)

const noTLS = "TLS is not ended here, so that nobody has to hand over a key: pass it through with protocol tcp"

// standardConfig is one like c with every default, for the extensions.
func standardConfig(c *lb.Config) *lb.Config {
	d := &lb.Config{Protocol: c.Protocol}
	d.SetDefaults()
	return d
}

func (c *config) protocol() string {
	if c.note.HTTP && c.Protocol == lb.TCP {
		return "http"
	}
	return string(c.Protocol)
}

func takeProtocol(c *config, v value) string {
	s, reason := v.text()
	switch {
	case reason != "":
		return reason
	case s == "https":
		return noTLS
	case s != "http" && s != "tcp" && s != "udp":
		return oneOf(s, []string{"tcp", "udp", "http"})
	}
	was := standardConfig(c.Config)
	c.Protocol, c.note.HTTP = lb.TCP, s == "http"
	if s == "udp" {
		c.Protocol = lb.UDP
	}
	c.followDefaults(was)
	return ""
}

// followDefaults gives what has a default of the former protocol, and is no property of version 4, that of the
// present one: nobody has ever set it.
func (c *config) followDefaults(was *lb.Config) {
	is := standardConfig(c.Config)
	if c.DrainDeadline == was.DrainDeadline {
		c.DrainDeadline = is.DrainDeadline
	}
	if c.RejectDeadline == was.RejectDeadline {
		c.RejectDeadline = is.RejectDeadline
	}
	if c.Check.Passive == was.Check.Passive {
		c.Check.Passive = is.Check.Passive
	}
}

func (c *config) cipherSuite() string {
	switch {
	case c.note.CipherSuite != "":
		return c.note.CipherSuite
	case c.Protocol == lb.UDP:
		return "none"
	}
	return ciphers[0]
}

func takeCipherSuite(c *config, v value) string {
	s, reason := v.text()
	if reason == "" {
		reason = oneOf(s, ciphers)
	}
	if reason == "" {
		c.note.CipherSuite = s
	}
	return reason
}

// spread is a word of the vocabulary of which each protocol has its own choice.
func spread(key, what string, words map[lb.Protocol][]string) property[config] {
	p := declared(lb.ConfigFields, key, what, ofConfig)
	take := p.take
	p.take = func(c *config, v value) string {
		s, reason := v.text()
		switch {
		case reason != "":
			return reason
		case s == "http_cookie" && !c.note.HTTP:
			return "Stickiness http_cookie requires protocol 'http' or 'https'"
		case s == "http_cookie":
			return "http_cookie takes a look into HTTP, which is forwarded as TCP here: table keeps a client at its node"
		case !slices.Contains(words[c.Protocol], s) && known(words, s):
			return fmt.Sprintf("%s does not go with protocol %s: %s", s, c.protocol(), oneOf(s, words[c.Protocol]))
		}
		return take(c, v)
	}
	return p
}

func known(words map[lb.Protocol][]string, s string) bool {
	for _, list := range words {
		if slices.Contains(list, s) {
			return true
		}
	}
	return false
}

// later is a property of the vocabulary, or, as long as that does not have it, one that is fixed.
func later(key, what string, s shape, val any, why string) property[config] {
	if !slices.ContainsFunc(lb.ConfigFields, func(f lb.Field[lb.Config]) bool { return f.Key == key }) {
		return fixed[config](key, what, s, val, why)
	}
	return declared(lb.ConfigFields, key, what, ofConfig)
}

// minEligible is a number of nodes, or a share of their weight such as 50%.
func minEligible() property[config] {
	p := declared(lb.ConfigFields, "min_eligible", "how many primaries, or what share of their weight (as in 50%), keep the backups from serving", ofConfig)
	text := p.show
	p.shape = shape{}
	p.show = func(c *config) any {
		if n, err := strconv.Atoi(text(c).(string)); err == nil {
			return n
		}
		return text(c)
	}
	take := p.take
	p.take = func(c *config, v value) string {
		if _, err := strconv.Atoi(string(v)); err == nil {
			v = value(strconv.Quote(string(v)))
		}
		return take(c, v)
	}
	f := fieldOf(lb.ConfigFields, "min_eligible")
	p.hidden = func(c *config) bool { return f.Get(c.Config) == f.Get(standardConfig(c.Config)) }
	return p
}
