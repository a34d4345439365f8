package store

import (
	"net/netip"
	"time"

	"github.com/headgate/headgate/pkg/lb"
)

// schema is the version of the records below. It goes up with each change that an older version
// would not understand, and migrate then translates.
const schema = 2

// stateRecord is the only record in meta.
type stateRecord struct {
	Schema   int    `json:"schema"`
	Revision uint64 `json:"revision"`
	LastID   int    `json:"last_id"`
	Order    []int  `json:"order,omitempty"` // ids of the balancers as they were declared
}

// The records are types of their own, so that the vocabulary may change without the disk. Each is kept under
// its id, and names those of what it holds in their order. What a record lacks has its default.
type (
	balancerRecord struct {
		Label   string     `json:"label"`
		Tags    []string   `json:"tags,omitempty"`
		IPv4    netip.Addr `json:"ipv4,omitzero"`
		IPv6    netip.Addr `json:"ipv6,omitzero"`
		Type    string     `json:"type,omitempty"`
		Created time.Time  `json:"created"`
		Updated time.Time  `json:"updated"`
		Configs []int      `json:"configs,omitempty"`
	}
	configRecord struct {
		configFields
		HTTP         bool   `json:"http,omitempty"`
		CipherSuite  string `json:"cipher_suite,omitempty"`
		UDPCheckPort uint16 `json:"udp_check_port,omitempty"`
		Nodes        []int  `json:"nodes,omitempty"`
	}
	configFields struct {
		Port          uint16        `json:"port"`
		Protocol      string        `json:"protocol"`
		Algorithm     string        `json:"algorithm"`
		OnNoBackend   string        `json:"on_no_backend"`
		OnDown        string        `json:"on_down"`
		TCPIdle       time.Duration `json:"tcp_idle_ns"`
		UDPIdle       time.Duration `json:"udp_idle_ns"`
		Check         string        `json:"check"`
		CheckPort     uint16        `json:"check_port,omitempty"`
		CheckInterval time.Duration `json:"check_interval_ns"`
		CheckTimeout  time.Duration `json:"check_timeout_ns"`
		CheckAttempts int           `json:"check_attempts"`
		CheckRise     int           `json:"check_rise"`
	}
	nodeRecord struct {
		Label   string         `json:"label"`
		Address netip.AddrPort `json:"address"`
		Weight  int            `json:"weight"`
		Mode    string         `json:"mode"`
		// What schema 1 did not have.
		Override string `json:"override,omitempty"`
	}
)

// recordBalancer makes the record of a balancer, without what it holds.
func recordBalancer(b *lb.Balancer, n *Note) balancerRecord {
	r := balancerRecord{
		Label: b.Label, Tags: b.Tags, IPv4: b.IPv4, IPv6: b.IPv6,
		Type: n.Type, Created: n.Created, Updated: n.Updated,
	}
	for i := range b.Configs {
		r.Configs = append(r.Configs, b.Configs[i].ID)
	}
	return r
}

func (r *balancerRecord) restore(id int) (lb.Balancer, Note) {
	return lb.Balancer{ID: id, Label: r.Label, Tags: r.Tags, IPv4: r.IPv4, IPv6: r.IPv6},
		Note{Type: r.Type, Created: r.Created, Updated: r.Updated}
}

func recordConfig(c *lb.Config, n ConfigNote) configRecord {
	r := configRecord{
		configFields: fieldsOf(c),
		HTTP:         n.HTTP, CipherSuite: n.CipherSuite, UDPCheckPort: n.UDPCheckPort,
	}
	for i := range c.Nodes {
		r.Nodes = append(r.Nodes, c.Nodes[i].ID)
	}
	return r
}

func (r *configRecord) restore(id int) (lb.Config, ConfigNote) {
	c := r.configFields.config()
	c.ID = id
	return c, ConfigNote{HTTP: r.HTTP, CipherSuite: r.CipherSuite, UDPCheckPort: r.UDPCheckPort}
}

func fieldsOf(c *lb.Config) configFields {
	return configFields{
		Port: c.Port, Protocol: string(c.Protocol), Algorithm: string(c.Algorithm),
		OnNoBackend: string(c.OnNoBackend), OnDown: string(c.OnDown), TCPIdle: c.TCPIdle, UDPIdle: c.UDPIdle,
		Check: string(c.Check.Type), CheckPort: c.Check.Port,
		CheckInterval: c.Check.Interval, CheckTimeout: c.Check.Timeout,
		CheckAttempts: c.Check.Attempts, CheckRise: c.Check.Rise,
	}
}

func (f *configFields) config() lb.Config {
	c := lb.Config{
		Port: f.Port, Protocol: lb.Protocol(f.Protocol), Algorithm: lb.Algorithm(f.Algorithm),
		OnNoBackend: lb.OnNoBackend(f.OnNoBackend), OnDown: lb.OnDown(f.OnDown), TCPIdle: f.TCPIdle, UDPIdle: f.UDPIdle,
		Check: lb.Check{
			Type: lb.CheckType(f.Check), Port: f.CheckPort,
			Interval: f.CheckInterval, Timeout: f.CheckTimeout, Attempts: f.CheckAttempts, Rise: f.CheckRise,
		},
	}
	c.SetDefaults()
	return c
}

func recordNode(n *lb.Node) nodeRecord {
	return nodeRecord{
		Label: n.Label, Address: n.Address, Weight: n.Weight, Mode: string(n.Mode), Override: string(n.Override),
	}
}

func (r *nodeRecord) restore(id int) lb.Node {
	n := lb.Node{
		ID: id, Label: r.Label, Address: r.Address, Weight: r.Weight, Mode: lb.Mode(r.Mode), Override: lb.Override(r.Override),
	}
	n.SetDefaults()
	return n
}
