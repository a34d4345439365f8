package store

import (
	"fmt"
	"time"

	"github.com/headgate/headgate/pkg/lb"
)

// schema is the version of the records below. It goes up with each change that an older version
// would not understand, and prepare then translates.
const schema = 2

// stateRecord is the only record in meta.
type stateRecord struct {
	Schema   int    `json:"schema"`
	Revision uint64 `json:"revision"`
	LastID   int    `json:"last_id"`
	Order    []int  `json:"order,omitempty"` // ids of the balancers as they were declared
}

// Each record is kept under its id, and names those of what it holds in their order.
type (
	balancerRecord struct {
		Fields  values    `json:"fields"`
		Tags    []string  `json:"tags,omitempty"`
		Type    string    `json:"type,omitempty"`
		Created time.Time `json:"created"`
		Updated time.Time `json:"updated"`
		Configs []int     `json:"configs,omitempty"`
	}
	configRecord struct {
		Fields      values `json:"fields"`
		HTTP        bool   `json:"http,omitempty"`
		CipherSuite string `json:"cipher_suite,omitempty"`
		NoPassive   bool   `json:"no_passive,omitempty"` // what older records say for check_passive: false
		Nodes       []int  `json:"nodes,omitempty"`
	}
	nodeRecord struct {
		Fields values `json:"fields"`
	}
)

// values are what a thing declares, by the keys of the vocabulary and written as there. A key that a record
// lacks, because it is younger, has its default.
type values map[string]string

func valuesOf[T any](t *T, table []lb.Field[T]) values {
	v := make(values, len(table))
	for i := range table {
		if text := table[i].Get(t); text != "" {
			v[table[i].Key] = text
		}
	}
	return v
}

// restore puts values into t. Those that the vocabulary does not know, or does not allow, are an error.
func restore[T any](v values, t *T, table []lb.Field[T]) error {
	known := 0
	for i := range table {
		text, there := v[table[i].Key]
		if !there {
			continue
		}
		known++
		if err := table[i].Set(t, text); err != nil {
			return fmt.Errorf("%s %w", table[i].Key, err)
		}
	}
	if known != len(v) {
		return fmt.Errorf("has %d fields, and %d of them are known", len(v), known)
	}
	return nil
}

// recordBalancer makes the record of a balancer, without what it holds.
func recordBalancer(b *lb.Balancer, n *Note) balancerRecord {
	r := balancerRecord{
		Fields: valuesOf(b, lb.BalancerFields), Tags: b.Tags,
		Type: n.Type, Created: n.Created, Updated: n.Updated,
	}
	for i := range b.Configs {
		r.Configs = append(r.Configs, b.Configs[i].ID)
	}
	return r
}

func (r *balancerRecord) restore(id int) (lb.Balancer, Note, error) {
	b := lb.Balancer{ID: id, Tags: r.Tags}
	err := restore(r.Fields, &b, lb.BalancerFields)
	b.SetDefaults()
	return b, Note{Type: r.Type, Created: r.Created, Updated: r.Updated}, err
}

func recordConfig(c *lb.Config, n ConfigNote) configRecord {
	r := configRecord{
		Fields: valuesOf(c, lb.ConfigFields),
		HTTP:   n.HTTP, CipherSuite: n.CipherSuite,
	}
	for i := range c.Nodes {
		r.Nodes = append(r.Nodes, c.Nodes[i].ID)
	}
	return r
}

func (r *configRecord) restore(id int) (lb.Config, ConfigNote, error) {
	c := lb.Config{ID: id}
	if r.NoPassive {
		c.Check.Passive = lb.Off
	}
	err := restore(r.Fields, &c, lb.ConfigFields)
	c.SetDefaults()
	return c, ConfigNote{HTTP: r.HTTP, CipherSuite: r.CipherSuite}, err
}

func recordNode(n *lb.Node) nodeRecord { return nodeRecord{valuesOf(n, lb.NodeFields)} }

func (r *nodeRecord) restore(id int) (lb.Node, error) {
	n := lb.Node{ID: id}
	err := restore(r.Fields, &n, lb.NodeFields)
	n.SetDefaults()
	return n, err
}
