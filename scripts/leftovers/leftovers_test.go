// Package leftovers holds the test that runs last.
package leftovers

import (
	"path/filepath"
	"testing"

	"github.com/headgate/headgate/scripts/lab"
)

// TestNothingIsLeftBehind looks for what the tests before should have removed. It is for the end of a
// run of all of them; while others run it would see theirs.
func TestNothingIsLeftBehind(t *testing.T) {
	left, err := lab.Leftovers(lab.Prefix)
	if err != nil {
		t.Fatal(err)
	}
	pins, err := filepath.Glob("/sys/fs/bpf/" + lab.Prefix + "*")
	if err != nil {
		t.Fatal(err)
	}
	for _, pin := range pins {
		left = append(left, "pins "+pin)
	}
	left = append(left, lab.Strays("headgate")...)
	for _, what := range left {
		t.Error("left behind: " + what)
	}
}
