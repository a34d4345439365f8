package lb

import (
	"fmt"
	"strconv"
	"strings"
)

// Key is the name of c in the balancer with that label.
func (c *Config) Key(balancer string) ConfigKey {
	return ConfigKey{Balancer: balancer, Port: c.Port, Protocol: c.Protocol}
}

// String is BALANCER/PORT for TCP and BALANCER/PORT/udp for UDP. ParseConfigKey reads it back.
func (k ConfigKey) String() string {
	s := k.Balancer + "/" + strconv.Itoa(int(k.Port))
	if k.Protocol == TCP {
		return s
	}
	return s + "/" + string(k.Protocol)
}

// String is the config's name and the address, as in web/80/192.0.2.11:8080. Commands take it as the
// name of a node.
func (k NodeKey) String() string { return k.Config.String() + "/" + k.Address.String() }

// ParseConfigKey reads BALANCER/PORT, BALANCER/PORT/tcp or BALANCER/PORT/udp.
func ParseConfigKey(s string) (ConfigKey, error) {
	if _, id := idOf(s); id {
		return ConfigKey{}, fmt.Errorf("no config has the id %s; names are BALANCER/PORT or BALANCER/PORT/udp", s)
	}
	parts := strings.Split(s, "/")
	if len(parts) < 2 || len(parts) > 3 {
		return ConfigKey{}, fmt.Errorf("%q is not the name of a config: write BALANCER/PORT or BALANCER/PORT/udp", s)
	}
	protocol := TCP
	if len(parts) == 3 {
		protocol = Protocol(parts[2])
	}
	return parseKey(s, parts[0], parts[1], protocol)
}

// ParseNodeName reads BALANCER/PORT/NODE or BALANCER/PORT/PROTOCOL/NODE, where NODE is a label, or an
// address where labels are ambiguous. FindNode looks it up.
func ParseNodeName(s string) (ConfigKey, string, error) {
	if _, id := idOf(s); id {
		return ConfigKey{}, "", fmt.Errorf("no node has the id %s; names are BALANCER/PORT/NODE or BALANCER/PORT/udp/NODE", s)
	}
	parts := strings.Split(s, "/")
	var node string
	protocol := TCP
	switch len(parts) {
	case 3:
		node = parts[2]
		if node == string(TCP) || node == string(UDP) {
			return ConfigKey{}, "", fmt.Errorf("%q names a config, not a node: write %s/NODE (a node that is labelled %s is %s/%s/tcp/%s)",
				s, s, node, parts[0], parts[1], node)
		}
	case 4:
		protocol, node = Protocol(parts[2]), parts[3]
	}
	if node == "" {
		return ConfigKey{}, "", fmt.Errorf("%q is not the name of a node: write BALANCER/PORT/NODE or BALANCER/PORT/udp/NODE", s)
	}
	key, err := parseKey(s, parts[0], parts[1], protocol)
	return key, node, err
}

// NodeName is what ParseNodeName reads back: BALANCER/PORT/LABEL or BALANCER/PORT/udp/LABEL.
func NodeName(key ConfigKey, label string) string {
	if key.Protocol == TCP && (label == string(TCP) || label == string(UDP)) {
		return key.String() + "/tcp/" + label
	}
	return key.String() + "/" + label
}

func parseKey(whole, balancer, port string, protocol Protocol) (ConfigKey, error) {
	if reason := labelReason(balancer, ""); reason != "" {
		return ConfigKey{}, fmt.Errorf("%q: the label of the balancer %s", whole, reason)
	}
	n, err := strconv.ParseUint(port, 10, 16)
	if err != nil || n == 0 {
		return ConfigKey{}, fmt.Errorf("%q: the port must be a number from %d to %d, not %q", whole, PortLimit.Min, PortLimit.Max, port)
	}
	if reason := WordReason(protocol, Protocols); reason != "" {
		return ConfigKey{}, fmt.Errorf("%q: the protocol %s", whole, reason)
	}
	return ConfigKey{Balancer: balancer, Port: uint16(n), Protocol: protocol}, nil
}
