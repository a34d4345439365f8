package lab_test

import (
	"errors"
	"os"
	"testing"
	"time"

	"github.com/headgate/headgate/scripts/lab"
	"golang.org/x/sys/unix"
)

func TestMain(m *testing.M) {
	lab.Main()
	os.Exit(m.Run())
}

func init() { lab.RegisterRole("orphan", runOrphan) }

// runOrphan makes a lab with something in it, says its id and waits to be killed.
func runOrphan([]string) error {
	l, err := lab.New()
	if err != nil {
		return err
	}
	if _, err := l.MountBPF(); err != nil {
		return err
	}
	s, err := lab.NewStar(l, 1)
	if err != nil {
		return err
	}
	if _, err := s.Client.Start(lab.Command{Path: "sleep", Args: []string{"1000"}}); err != nil {
		return err
	}
	if _, err := os.Stdout.WriteString(l.ID()); err != nil {
		return err
	}
	select {}
}

func newLab(t *testing.T) *lab.Lab {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("network namespaces need root")
	}
	l, err := lab.New()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := l.Close(); err != nil {
			t.Error(err)
		}
	})
	return l
}

// leftovers lists what there still is of a lab.
func leftovers(t *testing.T, id string) []string {
	t.Helper()
	left, err := lab.Leftovers(id)
	if err != nil {
		t.Fatal(err)
	}
	return left
}

func within(t *testing.T, limit time.Duration, what string, holds func() bool) {
	t.Helper()
	for deadline := time.Now().Add(limit); !holds(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("not within %v: %s", limit, what)
		}
	}
}

func TestCloseLeavesNothing(t *testing.T) {
	l := newLab(t)
	if _, err := l.MountBPF(); err != nil {
		t.Fatal(err)
	}
	s, err := lab.NewStar(l, 2)
	if err != nil {
		t.Fatal(err)
	}
	p, err := s.Client.Start(lab.Command{Path: "sleep", Args: []string{"1000"}})
	if err != nil {
		t.Fatal(err)
	}
	if len(leftovers(t, l.ID())) != 7 { // four namespaces, the process, the mount and the directory
		t.Fatalf("lab is not where the test looks: %v", leftovers(t, l.ID()))
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	if left := leftovers(t, l.ID()); left != nil {
		t.Errorf("left behind: %v", left)
	}
	if err := unix.Kill(p.PID(), 0); !errors.Is(err, unix.ESRCH) {
		t.Errorf("process %d still there: %v", p.PID(), err)
	}
}

func TestLabOfAKilledOwnerIsRemoved(t *testing.T) {
	l := newLab(t)
	ns, err := l.Namespace("host")
	if err != nil {
		t.Fatal(err)
	}
	orphan, err := ns.StartRole("orphan")
	if err != nil {
		t.Fatal(err)
	}
	within(t, 10*time.Second, "the orphan's lab is made", func() bool { return orphan.Stdout() != "" })
	id := orphan.Stdout()
	if leftovers(t, id) == nil {
		t.Fatal("the orphan made nothing")
	}
	if err := orphan.Kill(); err != nil {
		t.Fatal(err)
	}
	within(t, 10*time.Second, "the orphan's lab is removed", func() bool { return leftovers(t, id) == nil })
}

func TestCommandsRunInsideAndMountsStayVisible(t *testing.T) {
	l := newLab(t)
	bpffs, err := l.MountBPF()
	if err != nil {
		t.Fatal(err)
	}
	s, err := lab.NewStar(l, 1)
	if err != nil {
		t.Fatal(err)
	}
	out, err := s.Balancer.Run(t.Context(), "stat", "-f", "-c", "%T", bpffs)
	if err != nil || out != "bpf_fs\n" {
		t.Errorf("bpffs inside the namespace: %q, %v", out, err)
	}
	out, err = s.Balancer.Run(t.Context(), "cat", "/proc/net/dev")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range s.Interfaces() {
		if _, err := s.Balancer.Index(name); err != nil {
			t.Error(err)
		}
	}
	if len(out) == 0 {
		t.Error("no interfaces inside")
	}
	if _, err := s.Balancer.Run(t.Context(), "false"); err == nil {
		t.Error("a failed command is no error")
	}
}
