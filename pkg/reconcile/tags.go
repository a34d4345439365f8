package reconcile

import (
	"errors"
	"fmt"
	"time"

	"github.com/headgate/headgate/pkg/maps"
)

// tags is the table of VLAN tags that clients' frames came with. The program claims entries; here they are
// freed when no flow needs them, but only once the table fills: a walk through the flows is not free, and who
// was there mostly comes back.
type tags struct {
	retired map[uint8]time.Time // entries that no new flow uses, and since when
}

// tagsMany is with how many entries in use the table counts as filling.
const tagsMany = maps.TagsMax / 2

// usedTags returns the entries in use, and whether each is retired.
func (r *Reconciler) usedTags() (map[uint8]bool, error) {
	used := map[uint8]bool{}
	for i := 1; i < maps.TagsMax; i++ {
		t, retired, err := r.t.ReadTags(uint8(i))
		if err != nil {
			return nil, fmt.Errorf("tags: %w", err)
		}
		if t != (maps.Tags{}) {
			used[uint8(i)] = retired
		}
	}
	return used, nil
}

// tagsFill says whether entries should be looked for that no flow needs, or that can be freed.
func (r *Reconciler) tagsFill() (bool, error) {
	used, err := r.usedTags()
	fill := len(used) >= tagsMany
	for _, retired := range used {
		fill = fill || retired
	}
	return fill, err
}

// freeTags retires entries that no flow needs, and frees those that have rested since: a packet may have been
// about to open a flow with an entry when the flows were walked through.
func (r *Reconciler) freeTags(u *maps.Usage) error {
	used, err := r.usedTags()
	if err != nil {
		return err
	}
	if r.tags.retired == nil {
		r.tags.retired = map[uint8]time.Time{}
	}
	var errs []error
	for i, retired := range used {
		since, known := r.tags.retired[i]
		switch {
		case u.Tag(i):
			delete(r.tags.retired, i)
			if retired {
				errs = append(errs, r.writeTags(i, func() error { return r.t.RetireTags(i, false) }))
			}
		case !retired && len(used) >= tagsMany, retired && !known: // that of a daemon before rests anew
			errs = append(errs, r.writeTags(i, func() error { return r.t.RetireTags(i, true) }))
			r.tags.retired[i] = r.now()
		case retired && r.now().Sub(since) >= grace:
			errs = append(errs, r.writeTags(i, func() error { return r.t.FreeTags(i) }))
			delete(r.tags.retired, i)
		}
	}
	return errors.Join(errs...)
}

func (r *Reconciler) writeTags(index uint8, write func() error) error {
	r.writes++
	if err := write(); err != nil {
		return fmt.Errorf("tags %d: %w", index, err)
	}
	return nil
}
