package reconcile

import "testing"

func TestIDsComeBackAsLateAsPossible(t *testing.T) {
	i := newIDs(1, 4)
	for want := uint32(1); want < 4; want++ {
		if got, ok := i.take(); !ok || got != want {
			t.Fatalf("take: %d, %v; want %d", got, ok, want)
		}
	}
	if _, ok := i.take(); ok {
		t.Fatal("a fourth id out of three")
	}
	i.free(3)
	i.free(1)
	i.free(1) // twice is once
	if got, _ := i.take(); got != 1 {
		t.Errorf("take: %d, want the one after the last", got)
	}
	if i.left != 1 {
		t.Errorf("%d left, want 1", i.left)
	}
}
