package main

import (
	"errors"
	"fmt"
)

// figure is what one round of a row found.
type figure struct {
	rate float64 // packets a second that arrived
	lost float64 // share of those sent
}

// measure runs a row once.
func (r row) measure(b *bed, cpu int) (f figure, err error) {
	cpus := []int{cpu}
	if r.cores == 2 {
		cpus = []int{0, 1}
	}
	if err := mayUse(cpus); err != nil {
		return f, err
	}
	if err := r.begin(b); err != nil {
		return f, err
	}
	defer func() { err = errors.Join(err, r.end(b)) }()
	var all shot
	for range r.batches {
		s, err := r.batch(b, cpus)
		if err != nil {
			return f, err
		}
		all.sent, all.arrived, all.took = all.sent+s.sent, all.arrived+s.arrived, all.took+s.took
	}
	return figure{float64(all.arrived) / all.took.Seconds(), float64(all.sent-all.arrived) / float64(all.sent)}, nil
}

// batch sends the packets of a row once, after the flows that they belong to have been opened and answered.
func (r row) batch(b *bed, cpus []int) (s shot, err error) {
	if err := r.forget(b); err != nil {
		return s, err
	}
	if r.flows > 0 {
		if err := r.establish(b, cpus[0]); err != nil {
			return s, err
		}
	}
	each := uint32(len(cpus))
	streams := map[int]wireStream{}
	for i, cpu := range cpus {
		// Each core has flows of its own, as the hash of a network card spreads them.
		streams[cpu] = b.stream(r, uint32(i)*r.flows/each, r.flows/each, r.packets)
	}
	want := packets{following: uint64(r.packets * each)}
	if r.flows == 0 {
		want = packets{opening: uint64(r.packets)}
	}
	err = r.during(b, want, func() (err error) {
		s, err = b.send(r.underTest(b), streams, r.arrive.port, false)
		return err
	})
	if err != nil {
		return s, err
	}
	if s.arrived == 0 {
		return s, fmt.Errorf("void: of %d packets none arrived", s.sent)
	}
	return s, r.arrive.verify(s.frame, b.sinkMAC)
}

// establish opens the flows of a row by a packet each, which the sink answers.
func (r row) establish(b *bed, cpu int) error {
	n := uint64(r.flows)
	return r.during(b, packets{opening: n, answered: n}, func() error {
		s, err := b.send(r.underTest(b), map[int]wireStream{cpu: b.stream(r, 0, 0, r.flows)}, r.arrive.port, true)
		if err == nil && s.arrived != n {
			err = fmt.Errorf("void: of %d flows %d reached a node", n, s.arrived)
		}
		return err
	})
}
