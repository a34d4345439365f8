package store

import (
	bolt "go.etcd.io/bbolt"

	"github.com/headgate/headgate/pkg/lb"
)

// create makes an empty store of an empty database.
func create(db *bolt.DB) error {
	return db.Update(func(tx *bolt.Tx) error {
		w, err := newWriter(tx)
		if err != nil {
			return err
		}
		return w.state(&Desired{})
	})
}

// write puts finished drafts into the database in one transaction, which is on the disk when it returns.
func write(db *bolt.DB, drafts []*job) error {
	return guard(func() error {
		return db.Update(func(tx *bolt.Tx) error {
			w, err := newWriter(tx)
			if err != nil {
				return err
			}
			for _, j := range drafts {
				if err := w.draft(j.draft, &j.next); err != nil {
					return err
				}
			}
			return nil
		})
	})
}

// writer writes the records that differ.
type writer struct {
	meta, balancers, configs, nodes *bolt.Bucket
}

func newWriter(tx *bolt.Tx) (*writer, error) {
	w := &writer{}
	for _, b := range []struct {
		name []byte
		to   **bolt.Bucket
	}{{metaBucket, &w.meta}, {balancersBucket, &w.balancers}, {configsBucket, &w.configs}, {nodesBucket, &w.nodes}} {
		bucket, err := tx.CreateBucketIfNotExists(b.name)
		if err != nil {
			return nil, err
		}
		*b.to = bucket
	}
	return w, nil
}

func (w *writer) draft(d *Draft, next *Desired) error {
	kept := make([]bool, len(d.base.Balancers))
	for i, e := range d.entries {
		old, oldNote := &lb.Balancer{}, &Note{}
		if e.was >= 0 {
			kept[e.was] = true
			old, oldNote = &d.base.Balancers[e.was], &d.base.Notes[e.was]
		}
		if d.changed(i) {
			if err := w.balancer(old, oldNote, &next.Balancers[i], &next.Notes[i]); err != nil {
				return err
			}
		}
	}
	for was := range kept {
		if !kept[was] {
			if err := w.removeBalancer(&d.base.Balancers[was]); err != nil {
				return err
			}
		}
	}
	return w.state(next)
}

func (w *writer) state(d *Desired) error {
	r := stateRecord{Schema: schema, Revision: d.Revision, LastID: d.lastID}
	for i := range d.Balancers {
		r.Order = append(r.Order, d.Balancers[i].ID)
	}
	data, err := seal(r)
	if err != nil {
		return err
	}
	return w.meta.Put(stateKey, data)
}

func (w *writer) balancer(old *lb.Balancer, oldNote *Note, b *lb.Balancer, note *Note) error {
	if err := put(w.balancers, b.ID, recordBalancer(b, note)); err != nil {
		return err
	}
	return follow(old.Configs, b.Configs, func(c *lb.Config) int { return c.ID }, func(was, is *lb.Config) error {
		is1, was1 := note.Configs[is.ID], oldNote.Configs[is.ID]
		if was == nil {
			was = &lb.Config{}
		}
		if is1 != was1 || !is.EqualButNodes(*was) || !sameIDs(was.Nodes, is.Nodes) {
			if err := put(w.configs, is.ID, recordConfig(is, is1)); err != nil {
				return err
			}
		}
		return w.follow(was.Nodes, is.Nodes)
	}, w.removeConfig)
}

// follow writes the nodes of a config that differ.
func (w *writer) follow(old, nodes []lb.Node) error {
	return follow(old, nodes, func(n *lb.Node) int { return n.ID }, func(was, is *lb.Node) error {
		if was != nil && *was == *is {
			return nil
		}
		return put(w.nodes, is.ID, recordNode(is))
	}, w.removeNode)
}

func (w *writer) removeBalancer(b *lb.Balancer) error {
	for i := range b.Configs {
		if err := w.removeConfig(&b.Configs[i]); err != nil {
			return err
		}
	}
	return w.balancers.Delete(key(b.ID))
}

func (w *writer) removeConfig(c *lb.Config) error {
	for i := range c.Nodes {
		if err := w.removeNode(&c.Nodes[i]); err != nil {
			return err
		}
	}
	return w.configs.Delete(key(c.ID))
}

func (w *writer) removeNode(n *lb.Node) error { return w.nodes.Delete(key(n.ID)) }

func put(bucket *bolt.Bucket, id int, record any) error {
	data, err := seal(record)
	if err != nil {
		return err
	}
	return bucket.Put(key(id), data)
}

func sameIDs(a, b []lb.Node) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		if a[i].ID != b[i].ID {
			return false
		}
	}
	return true
}

// follow hands each of next to put, with what it was in old (nil: it was not there), and what is gone to drop.
// Mostly all stay where they were, which costs no search.
func follow[T any](old, next []T, id func(*T) int, put func(was, is *T) error, drop func(*T) error) error {
	var places map[int]int // of old, by id; made when something is not where it was
	find := func(i int, is *T) *T {
		if i < len(old) && id(&old[i]) == id(is) {
			return &old[i]
		}
		if places == nil {
			places = make(map[int]int, len(old))
			for k := range old {
				places[id(&old[k])] = k
			}
		}
		if k, ok := places[id(is)]; ok {
			return &old[k]
		}
		return nil
	}
	stayed := 0
	for i := range next {
		was := find(i, &next[i])
		if was != nil {
			stayed++
		}
		if err := put(was, &next[i]); err != nil {
			return err
		}
	}
	if stayed == len(old) {
		return nil
	}
	stays := make(map[int]bool, len(next))
	for i := range next {
		stays[id(&next[i])] = true
	}
	for i := range old {
		if stays[id(&old[i])] {
			continue
		}
		if err := drop(&old[i]); err != nil {
			return err
		}
	}
	return nil
}
