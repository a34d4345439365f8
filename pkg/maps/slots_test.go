package maps

import (
	"slices"
	"testing"

	"pgregory.net/rapid"
)

func TestPackedNodesComeBack(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		ids := rapid.SliceOfN(rapid.Uint32Range(0, 1<<16-1), 0, 30).Draw(t, "ids")
		words := PackNodes(ids)
		w := ServiceWord{Length: uint32(len(ids)), Algorithm: rapid.SampledFrom([]Algorithm{Sequence, Hash}).Draw(t, "algorithm")}
		if len(words) != int(w.Words()) {
			t.Fatalf("%d ids take %d words, the service says %d", len(ids), len(words), w.Words())
		}
		got := UnpackNodes(words)
		if !slices.Equal(got[:len(ids)], ids) || slices.ContainsFunc(got[len(ids):], func(id uint32) bool { return id != 0 }) {
			t.Fatalf("%v comes back as %v", ids, got)
		}
	})
}

func TestPackedColumnsComeBack(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		column := rapid.Custom(func(t *rapid.T) Column {
			id := rapid.Uint32Range(0, 1<<16-1)
			return Column{Threshold: rapid.Uint32().Draw(t, "threshold"), Own: id.Draw(t, "own"), Alias: id.Draw(t, "alias")}
		})
		columns := rapid.SliceOfN(column, 0, 10).Draw(t, "columns")
		words := PackColumns(columns)
		if w := (ServiceWord{Length: uint32(len(columns)), Algorithm: Tickets}); len(words) != int(w.Words()) {
			t.Fatalf("%d columns take %d words, the service says %d", len(columns), len(words), w.Words())
		}
		for i, w := range words {
			if got := UnpackColumn(w); got != columns[i] {
				t.Fatalf("%+v comes back as %+v", columns[i], got)
			}
		}
	})
}

func TestMembersFollowTheTable(t *testing.T) {
	everyTables(t, func(t *testing.T, tb Tables, _ *Reader) {
		table, members := PackNodes([]uint32{1, 2, 3, 4, 5}), PackMembers([]uint32{5, 4, 3})
		must(t, tb.WriteSlots(50, append(slices.Clone(table), members...)))
		w := ServiceWord{Offset: 50, Length: 5, Algorithm: Hash, Limited: true}
		gotTable, gotMembers, err := ReadTable(tb, w)
		if err != nil || !slices.Equal(gotTable, table) || !slices.Equal(gotMembers, members) {
			t.Errorf("table %x, members %x, %v", gotTable, gotMembers, err)
		}
		w.Limited = false
		if _, gotMembers, err = ReadTable(tb, w); err != nil || gotMembers != nil {
			t.Errorf("members %x of a service without limits, %v", gotMembers, err)
		}
	})
}
