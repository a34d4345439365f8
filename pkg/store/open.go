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
		d, err := prepare(db, s.now())
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

// prepare brings a database to this schema, whatever it was, and reads it.
func prepare(db *bolt.DB, now time.Time) (*Desired, error) {
	version, err := versionOf(db)
	if err != nil {
		return nil, err
	}
	switch version {
	case 0:
		err = create(db)
	case 1:
		err = migrate1(db, now)
	}
	if err != nil {
		return nil, err
	}
	return load(db)
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

// syncDir makes the entry of a new file survive a crash.
func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
