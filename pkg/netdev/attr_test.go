package netdev

import (
	"slices"
	"testing"
)

func TestAttributesAreReadUpToTheFirstThatIsCutOff(t *testing.T) {
	b := []byte{5, 0, 1, 0, 'a', 0, 0, 0, 8, 0, 2, 0, 'b', 'c', 'd', 'e', 5, 0, 3, 0, 'f'}
	for n, want := range map[int][]string{0: nil, 3: nil, 4: nil, 5: {"a"}, 8: {"a"}, 15: {"a"}, 16: {"a", "bcde"}, 21: {"a", "bcde", "f"}} {
		var got []string
		for kind, value := range attributes(b[:n]) {
			got = append(got, string(value))
			if int(kind) != len(got) {
				t.Errorf("%d bytes: attribute %d has type %d", n, len(got), kind)
			}
		}
		if !slices.Equal(got, want) {
			t.Errorf("%d bytes: %q, want %q", n, got, want)
		}
	}
	if got := slices.Collect(func(yield func(uint16) bool) {
		for kind := range attributes([]byte{3, 0, 1, 0, 9}) {
			yield(kind)
		}
	}); got != nil {
		t.Errorf("an attribute shorter than its header is read: %v", got)
	}
}
