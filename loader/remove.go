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
	for _, name := range []string{linksDir, mapsAside, mapsDir} {
		path := filepath.Join(dir, name)
		entries, _ := os.ReadDir(path) // not there: nothing to remove
		if err := os.RemoveAll(path); err != nil {
			return done, explain(fmt.Errorf("remove %s: %w", path, err))
		}
		if name == mapsDir && len(entries) > 0 {
			done = append(done, fmt.Sprintf("removed %d maps", len(entries)))
		}
	}
	if err := os.Remove(dir); err != nil {
		return done, explain(fmt.Errorf("remove %s: %w", dir, err))
	}
	return done, nil
}
