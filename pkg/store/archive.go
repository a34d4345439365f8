package store

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	bolt "go.etcd.io/bbolt"

	"github.com/headgate/headgate/pkg/events"
)

// ArchiveName is the database of events inside the state directory.
const ArchiveName = "events.db"

var eventsBucket = []byte("events")

// Archive keeps the latest events on disk, events.Most of them at least. It is apart from the desired
// state, which is worth more and must not wait for it.
type Archive struct {
	path string
	db   *bolt.DB
}

// OpenArchive opens the events in dir, which it makes if there are none. A file that is damaged or not of
// Headgate is put aside, and warning says so. The error matches ErrLocked when another process has it open.
func OpenArchive(dir string) (a *Archive, warning string, err error) {
	b, warning, err := openBeside(filepath.Join(dir, ArchiveName), "log of events", eventsBucket)
	if err != nil {
		return nil, warning, err
	}
	return &Archive{path: b.path, db: b.db}, warning, nil
}

// ReadArchive returns the events in dir without a daemon, oldest first. The error matches ErrLocked when a
// daemon has them open, and os.ErrNotExist when there are none.
func ReadArchive(dir string) ([]events.Event, error) {
	path := filepath.Join(dir, ArchiveName)
	if _, err := os.Stat(path); err != nil {
		return nil, fmt.Errorf("read the log of events: %w", err)
	}
	var list []events.Event
	err := guard(func() error {
		db, err := bolt.Open(path, 0o600, &bolt.Options{Timeout: lockWait, ReadOnly: true})
		if err != nil {
			return openError(err)
		}
		list, err = (&Archive{path: path, db: db}).Load()
		return errors.Join(err, db.Close())
	})
	if err != nil {
		return nil, fmt.Errorf("read the log of events %s: %w", path, err)
	}
	return list, nil
}

// Load returns all that is kept, oldest first. What cannot be read is left out: an old event is not worth
// an error.
func (a *Archive) Load() ([]events.Event, error) {
	var list []events.Event
	err := guard(func() error {
		return a.db.View(func(tx *bolt.Tx) error {
			bucket := tx.Bucket(eventsBucket)
			if bucket == nil {
				return nil
			}
			return bucket.ForEach(func(_, data []byte) error {
				var e events.Event
				if json.Unmarshal(data, &e) == nil && e.Seq != 0 {
					list = append(list, e)
				}
				return nil
			})
		})
	})
	if err != nil {
		return nil, fmt.Errorf("read the log of events %s: %w", a.path, err)
	}
	return list, nil
}

// Append keeps events, which follow those that are kept, and forgets the oldest beyond events.Most.
func (a *Archive) Append(list []events.Event) error {
	err := guard(func() error {
		return a.db.Update(func(tx *bolt.Tx) error {
			bucket := tx.Bucket(eventsBucket)
			for i := range list {
				data, err := json.Marshal(&list[i])
				if err != nil {
					return err
				}
				if err := bucket.Put(eventKey(list[i].Seq), data); err != nil {
					return err
				}
			}
			return forgetOldest(bucket, list[len(list)-1].Seq)
		})
	})
	if err != nil {
		return fmt.Errorf("write the log of events %s: %w", a.path, err)
	}
	return nil
}

// forgetOldest removes what lies more than events.Most behind the last Seq.
func forgetOldest(bucket *bolt.Bucket, last uint64) error {
	cursor := bucket.Cursor()
	for key, _ := cursor.First(); key != nil && binary.BigEndian.Uint64(key)+events.Most <= last; key, _ = cursor.Next() {
		if err := cursor.Delete(); err != nil {
			return err
		}
	}
	return nil
}

// eventKey sorts as numbers do.
func eventKey(seq uint64) []byte { return binary.BigEndian.AppendUint64(nil, seq) }

// Close gives the file free for others.
func (a *Archive) Close() error {
	if err := a.db.Close(); err != nil {
		return fmt.Errorf("close the log of events %s: %w", a.path, err)
	}
	return nil
}
