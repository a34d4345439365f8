package loader_test

import (
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/headgate/headgate/loader"
)

// TestInterruptedRemoveLeavesNothingInTheWay stops a removal half-way, by a mount point among the pins: a
// start after that finds the tables whole or not at all.
func TestInterruptedRemoveLeavesNothingInTheWay(t *testing.T) {
	t.Parallel()
	dir := pins(t)
	open(t, dir, loader.ModeAuto).Close()
	obstacle := filepath.Join(dir, "maps", "obstacle")
	if err := os.Mkdir(obstacle, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := unix.Mount("none", obstacle, "tmpfs", 0, ""); err != nil {
		t.Fatal(err)
	}
	_, err := loader.Remove(dir)
	for _, at := range []string{obstacle, filepath.Join(dir, "maps_new", "obstacle")} {
		unix.Unmount(at, 0) // it is at one of the two
	}
	if err == nil {
		t.Fatal("Remove was not interrupted")
	}
	d := open(t, dir, loader.ModeAuto)
	defer d.Close()
	if d.TakenOver() {
		t.Error("the rest of a removal passes for tables to take over")
	}
}
