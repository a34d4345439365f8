package store

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"net/netip"
	"time"

	"github.com/headgate/headgate/pkg/lb"
)

// schema is the version of the records below. It goes up with each change that an older version
// would not understand, and load then translates.
const schema = 2

// stateRecord is the only record in meta.
type stateRecord struct {
	Schema   int      `json:"schema"`
	Revision uint64   `json:"revision"`
	Order    []string `json:"order,omitempty"` // labels of the balancers as they were declared
}

// The records are types of their own, so that the vocabulary may change without the disk.
type (
	balancerRecord struct {
		Label   string         `json:"label"`
		IPv4    netip.Addr     `json:"ipv4,omitzero"`
		IPv6    netip.Addr     `json:"ipv6,omitzero"`
		Configs []configRecord `json:"configs,omitempty"`
	}
	configRecord struct {
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
		Nodes         []nodeRecord  `json:"nodes,omitempty"`
	}
	nodeRecord struct {
		Label   string         `json:"label"`
		Address netip.AddrPort `json:"address"`
		Weight  int            `json:"weight"`
		Mode    string         `json:"mode"`
		// Since schema 2. What an older record lacks has its default.
		Override string `json:"override,omitempty"`
	}
)

func encodeBalancer(b lb.Balancer) ([]byte, error) {
	r := balancerRecord{Label: b.Label, IPv4: b.IPv4, IPv6: b.IPv6}
	for _, c := range b.Configs {
		cr := configRecord{
			Port: c.Port, Protocol: string(c.Protocol), Algorithm: string(c.Algorithm),
			OnNoBackend: string(c.OnNoBackend), OnDown: string(c.OnDown), TCPIdle: c.TCPIdle, UDPIdle: c.UDPIdle,
			Check: string(c.Check.Type), CheckPort: c.Check.Port,
			CheckInterval: c.Check.Interval, CheckTimeout: c.Check.Timeout,
			CheckAttempts: c.Check.Attempts, CheckRise: c.Check.Rise,
		}
		for _, n := range c.Nodes {
			cr.Nodes = append(cr.Nodes, encodeNode(n))
		}
		r.Configs = append(r.Configs, cr)
	}
	return seal(r)
}

func decodeBalancer(data []byte) (lb.Balancer, error) {
	var r balancerRecord
	if err := unseal(data, &r); err != nil {
		return lb.Balancer{}, err
	}
	b := lb.Balancer{Label: r.Label, IPv4: r.IPv4, IPv6: r.IPv6}
	for _, cr := range r.Configs {
		c := lb.Config{
			Port: cr.Port, Protocol: lb.Protocol(cr.Protocol), Algorithm: lb.Algorithm(cr.Algorithm),
			OnNoBackend: lb.OnNoBackend(cr.OnNoBackend), OnDown: lb.OnDown(cr.OnDown), TCPIdle: cr.TCPIdle, UDPIdle: cr.UDPIdle,
			Check: lb.Check{
				Type: lb.CheckType(cr.Check), Port: cr.CheckPort,
				Interval: cr.CheckInterval, Timeout: cr.CheckTimeout, Attempts: cr.CheckAttempts, Rise: cr.CheckRise,
			},
		}
		for _, n := range cr.Nodes {
			c.Nodes = append(c.Nodes, decodeNode(n))
		}
		b.Configs = append(b.Configs, c)
	}
	b.SetDefaults()
	return b, nil
}

func encodeNode(n lb.Node) nodeRecord {
	return nodeRecord{
		Label: n.Label, Address: n.Address, Weight: n.Weight, Mode: string(n.Mode), Override: string(n.Override),
	}
}

func decodeNode(n nodeRecord) lb.Node {
	return lb.Node{
		Label: n.Label, Address: n.Address, Weight: n.Weight, Mode: lb.Mode(n.Mode), Override: lb.Override(n.Override),
	}
}

// decodeState reads the state record. The version is looked at before anything else, because a newer
// record may have what this version does not know.
func decodeState(data []byte) (stateRecord, error) {
	body, err := checked(data)
	if err != nil {
		return stateRecord{}, corrupted("state: %w", err)
	}
	var version struct {
		Schema int `json:"schema"`
	}
	if err := json.Unmarshal(body, &version); err != nil {
		return stateRecord{}, corrupted("state: %w", err)
	}
	if version.Schema > schema {
		return stateRecord{}, fmt.Errorf("%w (schema %d, this one knows up to %d): install that version, or choose another state_dir",
			ErrNewer, version.Schema, schema)
	}
	var r stateRecord
	if err := strict(body, &r); err != nil {
		return stateRecord{}, corrupted("state: %w", err)
	}
	return r, nil
}

// The disk may lie, and the database keeps no checksum of values: each begins with that of its JSON.
const sumLen = len("00000000 ")

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

func seal(v any) ([]byte, error) {
	body, err := json.Marshal(v)
	if err != nil {
		return nil, err
	}
	return fmt.Appendf(nil, "%08x %s", crc32.Checksum(body, castagnoli), body), nil
}

func unseal(data []byte, v any) error {
	body, err := checked(data)
	if err != nil {
		return err
	}
	return strict(body, v)
}

func checked(data []byte) ([]byte, error) {
	if len(data) < sumLen {
		return nil, errors.New("no record")
	}
	body := data[sumLen:]
	if want := fmt.Sprintf("%08x ", crc32.Checksum(body, castagnoli)); want != string(data[:sumLen]) {
		return nil, errors.New("checksum differs")
	}
	return body, nil
}

func strict(body []byte, v any) error {
	dec := json.NewDecoder(bytes.NewReader(body))
	dec.DisallowUnknownFields()
	return dec.Decode(v)
}
