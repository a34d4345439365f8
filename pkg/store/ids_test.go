package store

import (
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/headgate/headgate/pkg/lb"
)

// ids gives those of a list: balancers, then each one's configs and nodes.
func ids(balancers []lb.Balancer) (all []int) {
	for i := range balancers {
		for id := range idsOf(&balancers[i]) {
			all = append(all, *id)
		}
	}
	return all
}

func testIDs(t *testing.T, open opener) {
	dir := t.TempDir()
	s := open(t, dir)
	wantIDs := func(what string, d Desired, want ...int) {
		t.Helper()
		if got := ids(d.Balancers); !slices.Equal(got, want) {
			t.Errorf("%s: got %v, want %v", what, got, want)
		}
	}
	one, two := balancer(1, 2), balancer(2, 1)
	wantIDs("new", set(t, s, []lb.Balancer{one, two}), 1, 2, 3, 4, 5, 6, 7)

	// A file names balancers by label, configs by port and protocol, nodes by address.
	one.Configs[0].Nodes[0].Weight, one.IPv4 = 99, balancer(3, 0).IPv4
	one.Configs[0].Nodes = slices.Insert(one.Configs[0].Nodes, 1, balancer(1, 9).Configs[0].Nodes[8])
	wantIDs("declared anew", set(t, s, []lb.Balancer{two, one}), 5, 6, 7, 1, 2, 3, 8, 4)
	mustClose(t, s)
	s = open(t, dir)
	defer func() { mustClose(t, s) }()
	wantIDs("reopened", s.Get(), 5, 6, 7, 1, 2, 3, 8, 4)

	two.Configs[0].Port = 81 // another config, and so are its nodes
	wantIDs("another port", set(t, s, []lb.Balancer{two}), 5, 9, 10)
	wantIDs("what was gone comes back as another", set(t, s, []lb.Balancer{two, one}), 5, 9, 10, 11, 12, 13, 14, 15)

	// Who has ids at hand keeps them, whatever else changes.
	d, err := s.Change(func(d *Draft) error {
		b, _ := d.Edit(11)
		b.Label, b.Configs[0].Port, b.Configs[0].Nodes[1].Address = "renamed", 8443, balancer(1, 30).Configs[0].Nodes[29].Address
		b.Configs[0].Nodes = append(b.Configs[0].Nodes[1:], lb.Node{ID: d.NewID(), Label: "new", Address: balancer(1, 40).Configs[0].Nodes[39].Address, Weight: 1, Mode: lb.Accept, Override: lb.OverrideNone})
		d.Remove(5)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	wantIDs("edited", d, 11, 12, 14, 15, 16)
	mustClose(t, s)
	s = open(t, dir)
	wantIDs("edited and reopened", s.Get(), 11, 12, 14, 15, 16)
	if diff := cmp.Diff(d, s.Get(), exact); diff != "" {
		t.Error(diff)
	}

	_, err = s.Change(func(d *Draft) error {
		b, _ := d.Edit(11)
		b.Configs[0].Nodes[0].ID = b.Configs[0].Nodes[1].ID
		return nil
	})
	if !errors.Is(err, errTwice) {
		t.Errorf("an id twice: %v", err)
	}
	if b, _ := NewDraft(s.Get(), time.Now()).Edit(5); b != nil {
		t.Errorf("found what was removed: %+v", b)
	}
}

func testNotes(t *testing.T, open opener) {
	dir := t.TempDir()
	s := open(t, dir)
	first := noted(t, s)
	note := first.Notes[0]
	if note.Type != "premium" || note.Configs[2] != (ConfigNote{HTTP: true, CipherSuite: "legacy"}) ||
		note.Created.IsZero() || note.Created.Nanosecond() != 0 || note.Created.Location() != time.UTC {
		t.Errorf("%+v", note)
	}
	// A file that is applied again knows nothing of notes.
	changed := full()
	changed[0].Configs[0].Nodes[0].Weight++
	d := set(t, s, append(changed, balancer(1, 1)))
	if got := d.Notes[0]; got.Type != "premium" || got.Configs[2] != note.Configs[2] || got.Created != note.Created || got.Updated.Before(note.Updated) {
		t.Errorf("%+v", got)
	}
	mustClose(t, s)
	s = open(t, dir)
	defer mustClose(t, s)
	if diff := cmp.Diff(d, s.Get(), exact); diff != "" {
		t.Error(diff)
	}
	again, err := s.Change(func(d *Draft) error {
		_, note := d.Edit(1)
		note.SetConfig(2, ConfigNote{})
		return nil
	})
	if err != nil || again.Revision != d.Revision+1 || len(again.Notes[0].Configs) != 0 {
		t.Errorf("%+v, %v", again.Notes[0], err)
	}
	// The notes of a config go with it.
	noteless := full()
	noteless[0].Configs = nil
	noted(t, s)
	if d := set(t, s, noteless); len(d.Notes[0].Configs) != 0 {
		t.Errorf("%+v", d.Notes[0])
	}
}

// testDraftsAreTheirOwn changes all that a draft hands out, and lets it fail.
func testDraftsAreTheirOwn(t *testing.T, open opener) {
	s := open(t, t.TempDir())
	defer mustClose(t, s)
	want := noted(t, s)
	shared := s.Get()
	mine := errors.New("mine")
	_, err := s.Change(func(d *Draft) error {
		b, note := d.Edit(1)
		b.Tags[0], b.Configs[0].Nodes[0].Weight, note.Type = "scribble", 1, "scribble"
		note.SetConfig(2, ConfigNote{})
		b, _ = d.Add()
		*b = balancer(9, 1)
		d.Remove(1)
		return mine
	})
	if err != mine {
		t.Error(err)
	}
	if diff := cmp.Diff(want, shared, exact); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff(want, s.Get(), exact); diff != "" {
		t.Error(diff)
	}
}
