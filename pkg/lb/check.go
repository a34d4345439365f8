package lb

import "time"

// Check says how the nodes of a config are probed. What its Type does not use is kept without effect, so
// that another type can be tried, and the former put back.
type Check struct {
	Type     CheckType
	Port     uint16        // 0: the node's own. Config.Probe says when it counts
	UDPPort  uint16        // of the other service that nodes of a UDP config are judged by
	Interval time.Duration // between the starts of two probes of one node
	Timeout  time.Duration // of one probe; less than Interval
	Attempts int           // consecutive failures to DOWN
	Rise     int           // consecutive successes to UP
	Passive  Switch        // whether connections that a node fails speak against it; On for TCP, and never for UDP

	Path  string // http, https, http_body: what is asked for, with a query if need be
	Host  string // the Host header, the authority of grpc, the name in the certificate; "": the node's address
	Codes string // http, https, http_body: good statuses, see ParseCodes
	Body  string // http_body: a regular expression that the body matches

	TLS    Switch // http_body, grpc: over TLS, as https always is
	Verify Switch // over TLS: whether a certificate that clients would refuse is a failure
	CAFile string // over TLS: certificates (PEM) to trust instead of the system's; absolute path

	Send    string // udp: the datagram, see ParsePayload
	Expect  string // udp: what the reply contains; "": any reply is good
	Service string // grpc: the service that is asked after; "": the server as a whole
}

// CheckType is the kind of a health check.
type CheckType string

// Health checks: none; a TCP handshake; a GET that is answered with a good status, over TCP or TLS, or with
// a good status and body; a datagram that is answered; the health protocol of gRPC.
const (
	CheckNone       CheckType = "none"
	CheckConnection CheckType = "connection"
	CheckHTTP       CheckType = "http"
	CheckHTTPS      CheckType = "https"
	CheckHTTPBody   CheckType = "http_body"
	CheckUDP        CheckType = "udp"
	CheckGRPC       CheckType = "grpc"
)

// CheckTypes lists what a check may be, the default first.
var CheckTypes = []CheckType{CheckNone, CheckConnection, CheckHTTP, CheckHTTPS, CheckHTTPBody, CheckUDP, CheckGRPC}

// Switch is a setting that is on or off; the zero Switch stands for its default.
type Switch string

// Positions of a Switch.
const (
	On  Switch = "on"
	Off Switch = "off"
)

// SwitchOf gives the position that a truth value stands for.
func SwitchOf(on bool) Switch {
	if on {
		return On
	}
	return Off
}

// What holds of a check where people say nothing.
const (
	DefaultCheckInterval = 31 * time.Second
	DefaultCheckTimeout  = 30 * time.Second
	DefaultCheckAttempts = 3
	DefaultCheckRise     = 1
	DefaultUDPCheckPort  = 80
	DefaultCheckCodes    = "200-399"
)

// What people may set.
var (
	CheckIntervalSpan = Span{100 * time.Millisecond, time.Hour}
	CheckTimeoutSpan  = Span{10 * time.Millisecond, 30 * time.Second}
	AttemptsLimit     = Limit{1, 30}
	RiseLimit         = Limit{1, 30}
)

// DefaultPassive is whether nodes of a protocol are judged by their traffic, too: nothing in UDP tells a refusal
// from a reply.
func DefaultPassive(p Protocol) Switch { return SwitchOf(p != UDP) }

// IsPassive says that connections which the nodes of c fail speak against them.
func (c *Config) IsPassive() bool { return c.Protocol == TCP && c.Check.Passive == On }

// SetDefaults fills what is zero in c, but for Passive, whose default is the protocol's. A zero Port stays: it means the node's own port. So do texts that may
// be empty.
func (c *Check) SetDefaults() {
	setDefault(&c.Type, CheckNone)
	setDefault(&c.UDPPort, DefaultUDPCheckPort)
	setDefault(&c.Interval, DefaultCheckInterval)
	setDefault(&c.Timeout, DefaultTimeout(c.Interval))
	setDefault(&c.Attempts, DefaultCheckAttempts)
	setDefault(&c.Rise, DefaultCheckRise)
	setDefault(&c.Codes, DefaultCheckCodes)
	setDefault(&c.TLS, Off)
	setDefault(&c.Verify, On)
}

// DefaultTimeout is the timeout of a check for which only the interval is known: 30 s, or half of an
// interval that is too short for that, so that setting the interval alone always works.
func DefaultTimeout(interval time.Duration) time.Duration {
	if interval > DefaultCheckTimeout {
		return DefaultCheckTimeout
	}
	return interval / 2
}

// Probe is the check as it is made of the nodes of c, with the port that counts: in a UDP config all checks
// but udp itself look at another service of the node, at UDPPort unless there is a Port.
func (c *Config) Probe() Check {
	p := c.Check
	if c.Protocol == UDP && p.Type != CheckUDP && p.Port == 0 {
		p.Port = p.UDPPort
	}
	return p
}

// IsSecure says that the check goes over TLS.
func (c *Check) IsSecure() bool {
	return c.Type == CheckHTTPS || c.TLS == On && (c.Type == CheckHTTPBody || c.Type == CheckGRPC)
}
