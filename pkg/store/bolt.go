package store

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime/debug"
	"strings"
	"syscall"
	"time"

	bolt "go.etcd.io/bbolt"
	bolterrors "go.etcd.io/bbolt/errors"

	"github.com/headgate/headgate/pkg/lb"
)

// Why a store cannot be opened.
var (
	ErrLocked    = errors.New("another process has it open")
	ErrForeign   = errors.New("not a store of Headgate")
	ErrCorrupted = errors.New("the store is damaged")
	ErrNewer     = errors.New("written by a newer version of Headgate")
)

// lockWait is how long Open waits for another process to let go, such as a daemon that is stopping.
const lockWait = time.Second

// The buckets: meta holds the one state record, balancers one record per balancer by its label.
var (
	metaBucket      = []byte("meta")
	stateKey        = []byte("state")
	balancersBucket = []byte("balancers")
)

// open opens the database, which it makes if there is none, and reads all of it.
func (s *Store) open() (err error) {
	if _, err := os.Stat(s.path); errors.Is(err, os.ErrNotExist) {
		if err := makeStore(s.path); err != nil {
			return err
		}
	}
	var file *os.File
	err = guard(func() error {
		db, err := bolt.Open(s.path, 0o600, &bolt.Options{
			Timeout: lockWait,
			OpenFile: func(name string, flag int, perm os.FileMode) (f *os.File, err error) {
				f, err = os.OpenFile(name, flag, perm)
				file = f
				return f, err
			},
		})
		if err != nil {
			return openError(err)
		}
		d, err := load(db)
		if err == nil && d == nil {
			d = &Desired{}
			err = create(db)
		}
		if err != nil {
			return errors.Join(err, db.Close())
		}
		s.db = db
		s.current.Store(d)
		return nil
	})
	if err != nil {
		if file != nil {
			release(file)
		}
	}
	return err
}

// makeStore makes an empty store aside and links it into place once it is whole and on the disk, so
// that a full disk or a crash never leaves a part of one. One that another process has put there
// meanwhile stays.
func makeStore(path string) (err error) {
	dir := filepath.Dir(path)
	aside, err := os.MkdirTemp(dir, ".headgate-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(aside)) }()
	whole := filepath.Join(aside, FileName)
	db, err := bolt.Open(whole, 0o600, nil)
	if err != nil {
		return err
	}
	if err := errors.Join(create(db), db.Close()); err != nil {
		return err
	}
	if err := os.Link(whole, path); err != nil && !errors.Is(err, os.ErrExist) {
		return err
	}
	return syncDir(dir)
}

// release gives up file and its lock. After a panic nobody else does, and closing alone would not
// be enough: the database's memory mapping keeps the open file, and with it the lock.
func release(file *os.File) {
	syscall.Flock(int(file.Fd()), syscall.LOCK_UN) // fails where the database has closed it
	file.Close()
}

func openError(err error) error {
	switch {
	case errors.Is(err, bolterrors.ErrTimeout):
		return fmt.Errorf("%w: is another headgate running? Stop it, or choose another state_dir", ErrLocked)
	case errors.Is(err, bolterrors.ErrInvalid), errors.Is(err, bolterrors.ErrVersionMismatch):
		return fmt.Errorf("%w, or damaged at its beginning (%w): move it away or choose another state_dir", ErrForeign, err)
	case errors.Is(err, bolterrors.ErrChecksum):
		return corrupted("%w", err)
	case strings.HasPrefix(err.Error(), "file size too small"): // the library has no name for it
		return fmt.Errorf("%w (it is too short ever to have held anything: %w): move it away or choose another state_dir",
			ErrCorrupted, err)
	}
	return err
}

// corrupted says what is damaged, and what can be done about it.
func corrupted(format string, args ...any) error {
	return fmt.Errorf("%w (%w): restore it from a copy, or move it away and apply the configuration again",
		ErrCorrupted, fmt.Errorf(format, args...))
}

// guard turns what the database does about damaged pages into an error. It trusts them: a wrong
// number there makes it panic, or read beyond the end of the file, which is a fault of the processor.
func guard(fn func() error) (err error) {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		if p := recover(); p != nil {
			err = corrupted("%v", p)
		}
	}()
	return fn()
}

// load reads all that there is; nil when the database is empty.
func load(db *bolt.DB) (*Desired, error) {
	var d *Desired
	err := db.View(func(tx *bolt.Tx) error {
		meta, balancers := tx.Bucket(metaBucket), tx.Bucket(balancersBucket)
		if meta == nil {
			if name, _ := tx.Cursor().First(); name != nil {
				return fmt.Errorf("%w but another database (it has %q): move it away or choose another state_dir", ErrForeign, name)
			}
			return nil
		}
		state, err := decodeState(meta.Get(stateKey))
		if err != nil {
			return err
		}
		if balancers == nil {
			return corrupted("no balancers")
		}
		d, err = loadBalancers(balancers, state)
		return err
	})
	return d, err
}

func loadBalancers(bucket *bolt.Bucket, state stateRecord) (*Desired, error) {
	d := &Desired{Revision: state.Revision}
	for _, label := range state.Order {
		b, err := decodeBalancer(bucket.Get([]byte(label)))
		if err != nil {
			return nil, corrupted("balancer %s: %w", label, err)
		}
		if b.Label != label {
			return nil, corrupted("balancer %s: calls itself %s", label, b.Label)
		}
		d.Balancers = append(d.Balancers, b)
	}
	found := 0
	err := bucket.ForEach(func(_, _ []byte) error { found++; return nil })
	if err == nil && found != len(state.Order) {
		err = corrupted("%d balancers instead of %d", found, len(state.Order))
	}
	return d, err
}

// create makes an empty store of an empty database.
func create(db *bolt.DB) error {
	return db.Update(func(tx *bolt.Tx) error {
		if _, err := tx.CreateBucket(balancersBucket); err != nil {
			return err
		}
		meta, err := tx.CreateBucket(metaBucket)
		if err != nil {
			return err
		}
		return putState(meta, &Desired{})
	})
}

// write makes next of old in one transaction, which is on the disk when it returns.
func (s *Store) write(old, next *Desired) error {
	return guard(func() error {
		return s.db.Update(func(tx *bolt.Tx) error {
			bucket := tx.Bucket(balancersBucket)
			was := make(map[string]lb.Balancer, len(old.Balancers))
			for _, b := range old.Balancers {
				was[b.Label] = b
			}
			for _, b := range next.Balancers {
				o, there := was[b.Label]
				delete(was, b.Label)
				if there && o.Equal(b) {
					continue
				}
				data, err := encodeBalancer(b)
				if err != nil {
					return err
				}
				if err := bucket.Put([]byte(b.Label), data); err != nil {
					return err
				}
			}
			for label := range was {
				if err := bucket.Delete([]byte(label)); err != nil {
					return err
				}
			}
			return putState(tx.Bucket(metaBucket), next)
		})
	})
}

func putState(meta *bolt.Bucket, d *Desired) error {
	state := stateRecord{Schema: schema, Revision: d.Revision}
	for _, b := range d.Balancers {
		state.Order = append(state.Order, b.Label)
	}
	data, err := seal(state)
	if err != nil {
		return err
	}
	return meta.Put(stateKey, data)
}

// syncDir makes the entry of a new file survive a crash.
func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
