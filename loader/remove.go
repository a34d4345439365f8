package loader

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
)

// Remove takes the program off every interface and removes all pins, and with them every flow. It
// returns what it removed, in words. While a daemon runs it refuses with a *HeldError; when there is
// nothing, the error matches ErrNotPinned.
func Remove(dir string) ([]string, error) {
	if err := onBPFFS(dir); err != nil {
		return nil, err
	}
	if _, err := os.Stat(dir); errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("%s: %w", dir, ErrNotPinned)
	}
	l, err := takeLock(dir)
	if err != nil {
		return nil, err
	}
	defer l.release()
	links, err := pinnedLinks(dir)
	if err != nil {
		return nil, err
	}
	var done []string
	for _, a := range links {
		if err := unpinLink(dir, a); err != nil {
			return done, err
		}
		done = append(done, fmt.Sprintf("detached from interface %d (%s mode)", a.IfIndex, a.Mode))
	}
	n, err := removeMaps(dir)
	if err != nil {
		return done, explain(fmt.Errorf("remove the tables: %w", err))
	}
	if n > 0 {
		done = append(done, fmt.Sprintf("removed %d maps", n))
	}
	for _, path := range []string{filepath.Join(dir, linksDir), filepath.Join(dir, countedPin), dir} {
		if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
			return done, explain(fmt.Errorf("remove %s: %w", path, err))
		}
	}
	return done, nil
}

// removeMaps removes the pinned tables and returns how many there were. They are renamed aside first:
// if it is interrupted, what is left never passes for a set of tables.
func removeMaps(dir string) (n int, err error) {
	aside, tables := filepath.Join(dir, mapsAside), filepath.Join(dir, mapsDir)
	if err := os.RemoveAll(aside); err != nil {
		return 0, err
	}
	if err := os.Rename(tables, aside); err != nil {
		if errors.Is(err, os.ErrNotExist) {
			return 0, nil
		}
		return 0, err
	}
	entries, err := os.ReadDir(aside)
	if err != nil {
		return 0, err
	}
	return len(entries), os.RemoveAll(aside)
}
