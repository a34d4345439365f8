package store

import (
	"fmt"
	"net/netip"
	"time"

	bolt "go.etcd.io/bbolt"

	"github.com/headgate/headgate/pkg/lb"
)

// What schema 1 kept: a whole balancer under its label, and no ids.
type (
	stateRecord1 struct {
		Schema   int      `json:"schema"`
		Revision uint64   `json:"revision"`
		Order    []string `json:"order,omitempty"`
	}
	balancerRecord1 struct {
		Label   string          `json:"label"`
		IPv4    netip.Addr      `json:"ipv4,omitzero"`
		IPv6    netip.Addr      `json:"ipv6,omitzero"`
		Configs []configRecord1 `json:"configs,omitempty"`
	}
	configRecord1 struct {
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
		Nodes         []nodeRecord1 `json:"nodes,omitempty"`
	}
	nodeRecord1 struct {
		Label   string         `json:"label"`
		Address netip.AddrPort `json:"address"`
		Weight  int            `json:"weight"`
		Mode    string         `json:"mode"`
	}
)

// migrate1 makes this schema of schema 1 in one transaction: everything gets its id in the order of its
// declaration, and the revision stays.
func migrate1(db *bolt.DB, now time.Time) error {
	return db.Update(func(tx *bolt.Tx) error {
		old, err := load1(tx)
		if err != nil {
			return err
		}
		if err := tx.DeleteBucket(balancersBucket); err != nil {
			return err
		}
		d := NewDraft(Desired{}, now)
		d.Replace(old.Balancers)
		next, err := d.Finish()
		if err != nil {
			return corrupted("%w", err)
		}
		next.Revision = old.Revision
		w, err := newWriter(tx)
		if err != nil {
			return err
		}
		return w.draft(d, &next)
	})
}

func load1(tx *bolt.Tx) (*Desired, error) {
	var state stateRecord1
	if err := unseal(tx.Bucket(metaBucket).Get(stateKey), &state); err != nil {
		return nil, corrupted("state: %w", err)
	}
	bucket := tx.Bucket(balancersBucket)
	if bucket == nil {
		return nil, corrupted("no balancers")
	}
	d := &Desired{Revision: state.Revision}
	for _, label := range state.Order {
		var r balancerRecord1
		if err := unseal(bucket.Get([]byte(label)), &r); err != nil {
			return nil, corrupted("balancer %s: %w", label, err)
		}
		d.Balancers = append(d.Balancers, r.restore())
	}
	found := 0
	err := bucket.ForEach(func(_, _ []byte) error { found++; return nil })
	if err == nil && found != len(state.Order) {
		err = corrupted("%w", fmt.Errorf("%d balancers instead of %d", found, len(state.Order)))
	}
	return d, err
}

func (r *balancerRecord1) restore() lb.Balancer {
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
		if c.Protocol == lb.UDP && c.Check.Port == 0 && len(cr.Nodes) > 0 {
			// The nodes' own port was looked at, not another service's. All have the same, as a rule.
			c.Check.UDPPort = cr.Nodes[0].Address.Port()
		}
		for _, n := range cr.Nodes {
			c.Nodes = append(c.Nodes, lb.Node{Label: n.Label, Address: n.Address, Weight: n.Weight, Mode: lb.Mode(n.Mode)})
		}
		b.Configs = append(b.Configs, c)
	}
	b.SetDefaults()
	return b
}
