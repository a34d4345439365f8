package daemon

import (
	"errors"

	"github.com/headgate/headgate/loader"
	"github.com/headgate/headgate/pkg/netdev"
)

// Detach takes the program off every interface, removes the pins in dir, and gives the neighbours that
// were kept for the nodes, in the calling thread's network namespace, back to the kernel. It returns
// what it removed, in words. The errors are those of loader.Remove: while a daemon runs nothing is
// done; where nothing is pinned, the neighbours are given back all the same.
func Detach(dir string) ([]string, error) {
	done, err := loader.Remove(dir)
	if err != nil && !errors.Is(err, loader.ErrNotPinned) {
		return done, err
	}
	if err := netdev.ReleaseNeighbours(); err != nil {
		return done, err
	}
	return done, err
}
