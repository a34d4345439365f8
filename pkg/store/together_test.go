package store

import (
	"errors"
	"fmt"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/headgate/headgate/pkg/lb"
)

// TestChangesAtTheSameTimeAreAllMade makes many at once, some of which are refused: each that was answered is
// there, of the revision it was answered with, and the same on the disk.
func TestChangesAtTheSameTimeAreAllMade(t *testing.T) {
	dir := t.TempDir()
	s := openStore(t, dir)
	const n = 200
	no := errors.New("no")
	var (
		all       sync.WaitGroup
		mu        sync.Mutex
		revisions = map[uint64]bool{}
	)
	for i := range n {
		all.Go(func() {
			d, err := s.Change(func(d *Draft) error {
				d.Replace(append(lb.Clone(d.Balancers()), lb.Balancer{Label: fmt.Sprintf("lb-%d", i), IPv4: balancer(i, 0).IPv4}))
				if i%4 == 3 {
					return no
				}
				return nil
			})
			if i%4 == 3 {
				if !errors.Is(err, no) {
					t.Errorf("%d: %v", i, err)
				}
				return
			}
			if err != nil {
				t.Errorf("%d: %v", i, err)
			}
			mu.Lock()
			defer mu.Unlock()
			revisions[d.Revision] = true
			if now := s.Get(); now.Revision < d.Revision {
				t.Errorf("answered revision %d, and there is %d", d.Revision, now.Revision)
			}
		})
	}
	all.Wait()
	before := s.Get()
	if len(revisions) != n/4*3 || len(before.Balancers) != n/4*3 {
		t.Errorf("%d revisions, %d balancers", len(revisions), len(before.Balancers))
	}
	mustClose(t, s)
	again := openStore(t, dir)
	if diff := cmp.Diff(before, again.Get(), compareOptions); diff != "" {
		t.Error(diff)
	}
	mustClose(t, again)
}
