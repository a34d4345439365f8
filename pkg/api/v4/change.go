package v4

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	"github.com/headgate/headgate/pkg/api"
	"github.com/headgate/headgate/pkg/lb"
	"github.com/headgate/headgate/pkg/store"
)

// trial is a request that is being made into a change: what is found wrong with the thing at the place of the
// draft is a fault of the request.
type trial struct {
	request *object
	place   string // as in balancers[2].configs[0]
}

// change lets fn change the draft, stores it, waits if the request asks for that, and answers with what show
// makes of the outcome.
func (s *Server) change(r *http.Request, fn func(d *store.Draft) (trial, error), show func(d store.Desired) (answer, error)) (answer, error) {
	wait, err := api.Waits(r)
	if err != nil {
		return answer{}, err
	}
	var t trial
	var draft *store.Draft
	d, err := s.backend.Change(func(d *store.Draft) (err error) {
		draft = d
		if t, err = fn(d); err != nil || t.request == nil || len(t.request.faults.list) == 0 {
			return err
		}
		// It is refused already; but all that is wrong goes into one answer.
		_, err = d.Finish()
		return t.refusal(d, err)
	})
	if found := (lb.Faults)(nil); errors.As(err, &found) {
		err = t.refusal(draft, err)
	}
	if err != nil {
		return answer{}, err
	}
	if wait {
		if err := s.wait(r.Context(), d.Revision); err != nil {
			return answer{generation: d.Revision}, err
		}
	}
	a, err := show(d)
	a.generation = d.Revision
	return a, err
}

// refusal is all that is wrong with a request, with what the draft's validation found.
func (t *trial) refusal(d *store.Draft, err error) error {
	var found lb.Faults
	if errors.As(err, &found) {
		o := t.request
		if o == nil {
			o = &object{faults: &faults{}}
		}
		if !o.faults.shifted {
			blame(found, t.place, o, d.Balancers())
		}
		return o.faults.err()
	}
	return t.request.faults.err()
}

func (s *Server) wait(ctx context.Context, generation uint64) error {
	ctx, cancel := context.WithTimeout(ctx, waitApplied)
	defer cancel()
	if s.backend.WaitApplied(ctx, generation) == nil {
		return nil
	}
	return refuse(http.StatusGatewayTimeout, fmt.Sprintf("generation %d is kept, but the data path still runs %d after %v",
		generation, s.backend.Generations().Applied, waitApplied))
}

// edit gives a balancer of the draft to be changed.
func (s *Server) edit(d *store.Draft, id int) (*balancer, error) {
	b, note := d.Edit(id)
	if b == nil {
		return nil, notFound()
	}
	return &balancer{Balancer: b, note: note, site: &s.site}, nil
}

func placeOfBalancer(d *store.Draft, id int) string { return fmt.Sprintf("balancers[%d]", d.Place(id)) }

func (s *Server) createBalancer(r *http.Request) (answer, error) {
	o, err := readObject(r)
	if err != nil {
		return answer{}, err
	}
	var id int
	return s.change(r, func(d *store.Draft) (trial, error) {
		b, note := d.Add()
		id = b.ID
		placeBalancer(&balancer{Balancer: b, note: note, site: &s.site}, o, d)
		return trial{o, placeOfBalancer(d, id)}, nil
	}, func(d store.Desired) (answer, error) { return s.showBalancer(d, id) })
}

func (s *Server) updateBalancer(r *http.Request) (answer, error) {
	o, err := readObject(r)
	if err != nil {
		return answer{}, err
	}
	id := pathID(r, "id")
	return s.change(r, func(d *store.Draft) (trial, error) {
		b, err := s.edit(d, id)
		if err == nil {
			err = match(r, func() string { return tagOfBalancer(b.Balancer, b.note) })
		}
		if err != nil {
			return trial{}, err
		}
		changeBalancer(b, o, d)
		return trial{o, placeOfBalancer(d, id)}, nil
	}, func(d store.Desired) (answer, error) { return s.showBalancer(d, id) })
}

func (s *Server) deleteBalancer(r *http.Request) (answer, error) {
	id := pathID(r, "id")
	return s.change(r, func(d *store.Draft) (trial, error) {
		b, err := s.edit(d, id)
		if err == nil {
			err = match(r, func() string { return tagOfBalancer(b.Balancer, b.note) })
		}
		if err == nil {
			d.Remove(id)
		}
		return trial{}, err
	}, showNothing)
}

// showNothing answers a removal.
func showNothing(store.Desired) (answer, error) { return answer{body: members{}}, nil }
