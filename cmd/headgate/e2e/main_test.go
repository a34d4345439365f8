// Package e2e tries the real binary from outside: real clients and servers in network namespaces, real
// packets through XDP on veth pairs. Each test has namespaces, a bpffs, a socket and a state directory of
// its own, and leaves nothing behind. It needs root and what scripts/deps.sh installs.
package e2e

import (
	"context"
	"fmt"
	"os"
	"testing"

	"github.com/headgate/headgate/scripts/lab"
	"github.com/headgate/headgate/scripts/lab/gate"
)

// headgateBinary is headgate, built from this source for the run of these tests.
var headgateBinary string

func TestMain(m *testing.M) {
	lab.Main()
	os.Exit(run(m))
}

func run(m *testing.M) int {
	if os.Geteuid() != 0 {
		fmt.Println("SKIP: end-to-end tests need root: network namespaces and XDP")
		return 0
	}
	dir, err := os.MkdirTemp("", "headgate-e2e-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	if err := os.Chmod(dir, 0o755); err != nil { // one test runs the binary as nobody
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	if headgateBinary, err = gate.Build(context.Background(), dir); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return m.Run()
}
