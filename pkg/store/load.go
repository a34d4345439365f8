package store

import (
	"encoding/binary"
	"encoding/json"
	"fmt"

	bolt "go.etcd.io/bbolt"

	"github.com/headgate/headgate/pkg/lb"
)

// The buckets: meta holds the one state record, the others one record a thing, under its id.
var (
	metaBucket      = []byte("meta")
	stateKey        = []byte("state")
	balancersBucket = []byte("balancers")
	configsBucket   = []byte("configs")
	nodesBucket     = []byte("nodes")
)

// key is an id as the buckets have it: in the order of numbers.
func key(id int) []byte { return binary.BigEndian.AppendUint64(nil, uint64(id)) }

// versionOf says which schema a database has; 0 when it is empty. One that this program cannot read is refused.
func versionOf(db *bolt.DB) (version int, err error) {
	err = db.View(func(tx *bolt.Tx) error {
		meta := tx.Bucket(metaBucket)
		if meta == nil {
			if name, _ := tx.Cursor().First(); name != nil {
				return fmt.Errorf("%w but another database (it has %q): move it away or choose another state_dir", ErrForeign, name)
			}
			return nil
		}
		body, err := checked(meta.Get(stateKey))
		if err != nil {
			return corrupted("state: %w", err)
		}
		// Before anything else: a newer record may have what this version does not know.
		var state struct {
			Schema int `json:"schema"`
		}
		if err := json.Unmarshal(body, &state); err != nil {
			return corrupted("state: %w", err)
		}
		version = state.Schema
		return nil
	})
	switch {
	case err != nil:
		return 0, err
	case version > schema:
		return 0, fmt.Errorf("%w (schema %d, this one knows up to %d): install that version, or choose another state_dir",
			ErrNewer, version, schema)
	case version < 0:
		return 0, corrupted("state: schema %d", version)
	}
	return version, nil
}

// load reads all that there is in a database of this schema.
func load(db *bolt.DB) (*Desired, error) {
	var d *Desired
	err := db.View(func(tx *bolt.Tx) error {
		var state stateRecord
		if err := unseal(tx.Bucket(metaBucket).Get(stateKey), &state); err != nil {
			return corrupted("state: %w", err)
		}
		l := loader{lastID: state.LastID, seen: map[int]bool{}}
		for name, to := range map[string]**bolt.Bucket{"balancers": &l.balancers, "configs": &l.configs, "nodes": &l.nodes} {
			if *to = tx.Bucket([]byte(name)); *to == nil {
				return corrupted("no %s", name)
			}
		}
		d = &Desired{Revision: state.Revision, lastID: state.LastID}
		for _, id := range state.Order {
			b, note, err := l.balancer(id)
			if err != nil {
				return corrupted("%w", err)
			}
			d.Balancers, d.Notes = append(d.Balancers, b), append(d.Notes, note)
		}
		return l.complete()
	})
	return d, err
}

// loader reads records, each once.
type loader struct {
	balancers, configs, nodes *bolt.Bucket
	lastID                    int
	seen                      map[int]bool
}

func (l *loader) balancer(id int) (lb.Balancer, Note, error) {
	var r balancerRecord
	if err := l.read(l.balancers, id, &r); err != nil {
		return lb.Balancer{}, Note{}, fmt.Errorf("balancer %d: %w", id, err)
	}
	b, note, err := r.restore(id)
	if err != nil {
		return lb.Balancer{}, Note{}, fmt.Errorf("balancer %d: %w", id, err)
	}
	b.Configs = make([]lb.Config, 0, len(r.Configs))
	for _, id := range r.Configs {
		c, cn, err := l.config(id)
		if err != nil {
			return lb.Balancer{}, Note{}, fmt.Errorf("balancer %s: %w", b.Label, err)
		}
		b.Configs = append(b.Configs, c)
		note.SetConfig(id, cn)
	}
	return b, note, nil
}

func (l *loader) config(id int) (lb.Config, ConfigNote, error) {
	var r configRecord
	if err := l.read(l.configs, id, &r); err != nil {
		return lb.Config{}, ConfigNote{}, fmt.Errorf("config %d: %w", id, err)
	}
	c, note, err := r.restore(id)
	if err != nil {
		return lb.Config{}, ConfigNote{}, fmt.Errorf("config %d: %w", id, err)
	}
	c.Nodes = make([]lb.Node, 0, len(r.Nodes))
	for _, id := range r.Nodes {
		n, err := l.node(id)
		if err != nil {
			return lb.Config{}, ConfigNote{}, fmt.Errorf("node %d: %w", id, err)
		}
		c.Nodes = append(c.Nodes, n)
	}
	return c, note, nil
}

func (l *loader) node(id int) (lb.Node, error) {
	var r nodeRecord
	if err := l.read(l.nodes, id, &r); err != nil {
		return lb.Node{}, err
	}
	return r.restore(id)
}

// read reads the record of an id that nothing else has.
func (l *loader) read(bucket *bolt.Bucket, id int, to any) error {
	switch {
	case l.seen[id]:
		return fmt.Errorf("is there twice")
	case id < 1 || id > l.lastID:
		return fmt.Errorf("was never given (the last was %d)", l.lastID)
	}
	l.seen[id] = true
	return unseal(bucket.Get(key(id)), to)
}

// complete says that no record is left that nothing names.
func (l *loader) complete() error {
	found := 0
	for _, bucket := range []*bolt.Bucket{l.balancers, l.configs, l.nodes} {
		if err := bucket.ForEach(func(_, _ []byte) error { found++; return nil }); err != nil {
			return err
		}
	}
	if found != len(l.seen) {
		return corrupted("%d records instead of %d", found, len(l.seen))
	}
	return nil
}
