package v4

import (
	"time"

	"github.com/headgate/headgate/pkg/lb"
)

// checkProperties say how the nodes of a config are checked.
var checkProperties = []property[config]{
	declared(lb.ConfigFields, "check", "how nodes are checked", ofConfig),
	wholeSeconds("check_interval", "seconds between checks, more than check_timeout", intervalLimit, interval),
	wholeSeconds("check_timeout", "seconds that a check may take", timeoutLimit, timeout),
	declared(lb.ConfigFields, "check_attempts", "failures in a row that make a node DOWN", ofConfig),
	declared(lb.ConfigFields, "check_passive", "whether connections that a node fails speak against it; not with udp", ofConfig),
	declared(lb.ConfigFields, "check_path", "path that http, https and http_body ask for", ofConfig),
	declared(lb.ConfigFields, "check_body", "regular expression that http_body looks for", ofConfig),
	declared(lb.ConfigFields, "udp_check_port", "port that is checked, if protocol is udp", ofConfig),
	milliseconds("check_interval_ms", "milliseconds between checks, where whole seconds do not say it", intervalLimit, lb.CheckIntervalSpan, interval),
	milliseconds("check_timeout_ms", "milliseconds that a check may take, where whole seconds do not say it", timeoutLimit, lb.CheckTimeoutSpan, timeout),
}

func interval(c *config) *time.Duration { return &c.Check.Interval }
func timeout(c *config) *time.Duration  { return &c.Check.Timeout }
