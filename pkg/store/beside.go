package store

import (
	"errors"
	"fmt"
	"os"

	bolt "go.etcd.io/bbolt"
)

// beside is a database beside that of the desired state: it is worth less, and must not be waited for.
type beside struct {
	path string
	db   *bolt.DB
}

// openBeside opens such a database, which it makes if there is none. what says in words what it holds. A file that
// is damaged or not of Headgate is put aside, and warning says so. The error matches ErrLocked when another process
// has it open.
func openBeside(path, what string, buckets ...[]byte) (b beside, warning string, err error) {
	db, err := openBuckets(path, what, buckets)
	if errors.Is(err, ErrForeign) || errors.Is(err, ErrCorrupted) {
		aside := path + ".damaged"
		if moved := os.Rename(path, aside); moved != nil {
			return beside{}, "", errors.Join(err, moved)
		}
		warning = fmt.Sprintf("%v; it was moved to %s, and a new %s begins", err, aside, what)
		db, err = openBuckets(path, what, buckets)
	}
	return beside{path, db}, warning, err
}

func openBuckets(path, what string, buckets [][]byte) (db *bolt.DB, err error) {
	err = guard(func() error {
		opened, err := bolt.Open(path, 0o600, &bolt.Options{Timeout: lockWait})
		if err != nil {
			return openError(err)
		}
		err = opened.Update(func(tx *bolt.Tx) error {
			for _, name := range buckets {
				if _, err := tx.CreateBucketIfNotExists(name); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			return errors.Join(corrupted("%w", err), opened.Close())
		}
		db = opened
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("open the %s %s: %w", what, path, err)
	}
	return db, nil
}
