package store

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"path/filepath"
	"time"

	bolt "go.etcd.io/bbolt"

	"github.com/headgate/headgate/pkg/usage"
)

// UsageName is the database of what went through the balancers, inside the state directory.
const UsageName = "usage.db"

// Its buckets: totals holds one record of all that is added up, points one a balancer and step, under both.
var (
	totalsBucket = []byte("totals")
	totalsKey    = []byte("totals")
	pointsBucket = []byte("points")
)

// totalsRecord is written whole, so that totals and the counters that they were added up to belong together.
type totalsRecord struct {
	At     time.Time             `json:"at"`
	Nodes  map[uint32]usage.Last `json:"nodes"`
	Totals map[int]usage.Total   `json:"totals"`
}

// Usage keeps on disk what went through the balancers.
type Usage struct{ beside }

// OpenUsage opens the database in dir, which it makes if there is none. One that is damaged is put aside, and
// warning says so. The error matches ErrLocked when another process has it open.
func OpenUsage(dir string) (u *Usage, warning string, err error) {
	b, warning, err := openBeside(filepath.Join(dir, UsageName), "record of traffic", totalsBucket, pointsBucket)
	return &Usage{b}, warning, err
}

// Load returns what was saved. What cannot be read is left out, as if it had never been.
func (u *Usage) Load() (usage.State, error) {
	s := usage.State{Points: map[int][]usage.Point{}}
	err := guard(func() error {
		return u.db.View(func(tx *bolt.Tx) error {
			var r totalsRecord
			if unseal(tx.Bucket(totalsBucket).Get(totalsKey), &r) != nil {
				return nil
			}
			s.At, s.Nodes, s.Totals = r.At, r.Nodes, r.Totals
			return tx.Bucket(pointsBucket).ForEach(func(k, v []byte) error {
				if id, p, ok := decodePoint(k, v); ok {
					s.Points[id] = append(s.Points[id], p)
				}
				return nil
			})
		})
	})
	if err != nil {
		return usage.State{}, fmt.Errorf("read %s: %w", u.path, err)
	}
	return s, nil
}

// Save keeps what is new, and forgets the points of more than a day ago and of balancers that are gone.
func (u *Usage) Save(n usage.Unsaved) error {
	err := guard(func() error {
		return u.db.Update(func(tx *bolt.Tx) error {
			data, err := seal(totalsRecord{n.At, n.Nodes, n.Totals})
			if err != nil {
				return err
			}
			if err := tx.Bucket(totalsBucket).Put(totalsKey, data); err != nil {
				return err
			}
			points := tx.Bucket(pointsBucket)
			for _, c := range n.Closed {
				if err := points.Put(encodePoint(c)); err != nil {
					return err
				}
			}
			if len(n.Closed) == 0 {
				return nil
			}
			return forgetPoints(points, n)
		})
	})
	if err != nil {
		return fmt.Errorf("write %s: %w", u.path, err)
	}
	return nil
}

func forgetPoints(points *bolt.Bucket, n usage.Unsaved) error {
	var old [][]byte
	err := points.ForEach(func(k, v []byte) error {
		id, p, ok := decodePoint(k, v)
		if _, there := n.Totals[id]; !ok || !there || !p.End.After(n.At.Add(-usage.Day)) {
			old = append(old, k)
		}
		return nil
	})
	for _, k := range old {
		err = errors.Join(err, points.Delete(k))
	}
	return err
}

// A point's key is balancer and end, its value three numbers.
func encodePoint(c usage.Closed) (k, v []byte) {
	k = binary.BigEndian.AppendUint64(key(c.Balancer), uint64(c.End.Unix()))
	for _, f := range []float64{c.Flows, c.In, c.Out} {
		v = binary.BigEndian.AppendUint64(v, math.Float64bits(f))
	}
	return k, v
}

func decodePoint(k, v []byte) (balancer int, p usage.Point, ok bool) {
	if len(k) != 16 || len(v) != 24 {
		return 0, p, false
	}
	p.End = time.Unix(int64(binary.BigEndian.Uint64(k[8:])), 0).UTC()
	for i, f := range []*float64{&p.Flows, &p.In, &p.Out} {
		*f = math.Float64frombits(binary.BigEndian.Uint64(v[8*i:]))
	}
	return int(binary.BigEndian.Uint64(k)), p, true
}

// Close gives the file free for others.
func (u *Usage) Close() error {
	if err := u.db.Close(); err != nil {
		return fmt.Errorf("close %s: %w", u.path, err)
	}
	return nil
}
