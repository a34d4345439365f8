package daemon

import (
	"errors"

	"github.com/headgate/headgate/loader"
	"github.com/headgate/headgate/pkg/maps"
	"github.com/headgate/headgate/pkg/netdev"
)

// Detach takes the program off every interface, removes the pins in dir, and gives the neighbours that
// were kept for the nodes, and the groups that announced VIPs were heard by, back to the kernel, in the
// calling thread's network namespace. It returns
// what it removed, in words. The errors are those of loader.Remove: while a daemon runs nothing is
// done; where nothing is pinned, the neighbours are given back all the same.
func Detach(dir string) ([]string, error) {
	answered := answeredFor(dir)
	done, err := loader.Remove(dir)
	if err != nil && !errors.Is(err, loader.ErrNotPinned) {
		return done, err
	}
	errs := []error{netdev.ReleaseNeighbours()}
	for _, at := range answered {
		errs = append(errs, leave(at))
	}
	if err := errors.Join(errs...); err != nil {
		return done, err
	}
	return done, err
}

// answeredFor returns the VIPs that are announced by what is pinned in dir; none where that cannot be read, which is
// no reason to leave it there.
func answeredFor(dir string) (out []maps.Announced) {
	pinned, err := loader.OpenMaps(dir)
	if err != nil {
		return nil
	}
	defer loader.CloseMaps(pinned)
	tables, err := maps.NewKernel(pinned)
	if err != nil {
		return nil
	}
	defer tables.Close()
	announced, _ := tables.Announced()
	for at := range announced {
		out = append(out, at)
	}
	return out
}
