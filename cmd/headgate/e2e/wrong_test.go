package e2e

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/headgate/headgate/scripts/lab"
)

// nobody is a user without any right.
const nobody = 65534

// refusal runs headgate, which must refuse with exit code 1, and returns the lines that it wrote to stderr.
func (s *site) refusal(uid uint32, args ...string) []string {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(s.t.Context(), soon)
	defer cancel()
	p, err := s.gate.Namespace.Start(lab.Command{
		Path:  s.gate.Binary,
		Args:  args,
		Env:   []string{"HEADGATE_SOCKET=" + s.gate.Socket, "HEADGATE_BPFFS=" + s.gate.BPFFS},
		Stdin: strings.NewReader(""),
		UID:   uid,
	})
	s.must(err)
	select {
	case <-p.Done():
	case <-ctx.Done():
		s.must(p.Kill())
		s.t.Fatalf("headgate %v does not end: %s", args, p.Stderr())
	}
	var exit *exec.ExitError
	if !errors.As(p.Err(), &exit) || exit.ExitCode() != 1 {
		s.t.Fatalf("headgate %v: want exit code 1, got %v: %s", args, p.Err(), p.Stderr())
	}
	return strings.Split(strings.TrimSpace(p.Stderr()), "\n")
}

// untouched checks that a refused start left nothing.
func (s *site) untouched() {
	s.t.Helper()
	for _, name := range s.star.Interfaces() {
		on, _, err := s.star.Balancer.XDP(name)
		s.must(err)
		if on {
			s.t.Errorf("a program is on %s", name)
		}
	}
	if pins, err := filepath.Glob(s.gate.BPFFS + "/*"); err != nil || len(pins) > 0 {
		s.t.Errorf("pins: %v %v", pins, err)
	}
	if _, err := os.Stat(s.gate.Socket); err == nil {
		s.t.Errorf("the socket is there")
	}
}

// wantLine checks that there is one line, and that it says these things.
func wantLine(t *testing.T, lines []string, words ...string) {
	t.Helper()
	if len(lines) != 1 {
		t.Errorf("want one line, got %d:\n%s", len(lines), strings.Join(lines, "\n"))
	}
	for _, word := range words {
		if !strings.Contains(lines[0], word) {
			t.Errorf("no word of %q in: %s", word, lines[0])
		}
	}
}

func TestWrongFilesAreRefusedWithThePlace(t *testing.T) {
	t.Parallel()
	s := newSite(t, 2, smallTable)
	good := s.yaml(conf{port: 80, nodes: members(2, 8080, []int{4}, 7, 9)})
	twice := good + strings.TrimPrefix(strings.Replace(s.yaml(conf{port: 80, nodes: members(1, 8080, []int{4})}), "label: web", "label: web2", 1), "balancers:\n")
	for _, c := range []struct {
		name, file string
		line       string // text of the line with the fault
		words      []string
	}{
		{"weight 0", strings.Replace(good, "weight: 7", "weight: 0", 1), "weight: 0", []string{"weight", "255"}},
		{"weight 256", strings.Replace(good, "weight: 7", "weight: 256", 1), "weight: 256", []string{"weight", "255"}},
		{"port 0", strings.Replace(good, "port: 80", "port: 0", 1), "port: 0", []string{"port", "65535"}},
		{"unknown key", strings.Replace(good, "nodes:", "wieght: 3\n        nodes:", 1), "wieght", []string{"wieght"}},
		{"unknown mode", strings.Replace(good, "weight: 7", "mode: asleep", 1), "mode: asleep", []string{"asleep", "drain"}},
		{"host name", strings.Replace(good, "10.77.1.2:8080", "example.com:80", 1), "example.com", []string{"address"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			s.configure(c.file)
			for _, command := range [][]string{{"validate", s.gate.File}, {"run", "-c", s.gate.File}} {
				lines := s.refusal(0, command...)
				wantLine(t, lines, append(c.words, s.gate.File+":"+s.lineOf(c.line)+":")...)
			}
			s.untouched()
		})
	}
	t.Run("a VIP twice", func(t *testing.T) {
		s.configure(twice)
		for _, command := range [][]string{{"validate", s.gate.File}, {"run", "-c", s.gate.File}} {
			lines := s.refusal(0, command...)
			// Both of its addresses are there twice.
			if len(lines) != 2 || !strings.Contains(lines[0], "203.0.113.10") || !strings.Contains(lines[1], "2001:db8::10") {
				t.Errorf("headgate %s: %s", command[0], strings.Join(lines, "\n"))
			}
		}
		s.untouched()
	})
	t.Run("every fault at once", func(t *testing.T) {
		s.configure(strings.NewReplacer("weight: 7", "weight: 0", "weight: 9", "weight: 300").Replace(good))
		if lines := s.refusal(0, "validate", s.gate.File); len(lines) != 2 {
			t.Errorf("two faults: %s", strings.Join(lines, "\n"))
		}
	})
	t.Run("no file", func(t *testing.T) {
		wantLine(t, s.refusal(0, "run", "-c", "/nowhere/headgate.yaml"), "/nowhere/headgate.yaml", "no such file")
		s.untouched()
	})
}

// lineOf is the number of the first line of the file with this text.
func (s *site) lineOf(text string) string {
	s.t.Helper()
	out, err := s.star.Balancer.Run(s.t.Context(), "grep", "-n", "-m1", "-F", "-e", text, s.gate.File)
	s.must(err)
	number, _, _ := strings.Cut(out, ":")
	return number
}

func TestWrongSurroundingsAreRefused(t *testing.T) {
	t.Parallel()
	s := newSite(t, 1, smallTable)
	good := s.yaml(conf{port: 80, nodes: members(1, 8080, []int{4})})
	s.configure(good)
	file, err := os.ReadFile(s.gate.File)
	s.must(err)
	t.Run("no such interface", func(t *testing.T) {
		path := s.writeFile("eth7.yaml", strings.Replace(string(file), "[client, node1]", "[client, eth7]", 1))
		wantLine(t, s.refusal(0, "run", "-c", path), "eth7", "client", "node1")
		s.untouched()
	})
	t.Run("no root", func(t *testing.T) {
		path := s.writeFile("readable.yaml", string(file))
		wantLine(t, s.refusal(nobody, "run", "-c", path), "root")
		s.untouched()
	})
	t.Run("no bpffs", func(t *testing.T) {
		plain := filepath.Join(s.star.Lab.Dir(), "plain")
		s.must(os.Mkdir(plain, 0o755))
		path := s.writeFile("plain.yaml", strings.Replace(string(file), s.gate.BPFFS, plain+"/headgate", 1))
		wantLine(t, s.refusal(0, "run", "-c", path), plain, "bpf filesystem", "mount -t bpf")
		s.untouched()
	})
	t.Run("commands without a daemon and without pins", func(t *testing.T) {
		for _, command := range [][]string{{"status"}, {"flows"}, {"node", "list"}, {"maps", "list"}} {
			wantLine(t, s.refusal(0, command...), s.gate.Socket)
		}
		wantLine(t, s.refusal(0, "node", "set", "web/80/node-a", "--mode", "drain"), s.gate.Socket)
		s.untouched()
	})
	// What was refused leaves no trace that a good start could trip over.
	s.server(0)
	s.start()
	wantShares(t, "after all the refusals", s.exchanges("tcp", 4, 80, 4), map[string]int{"a": 4})
	t.Run("wrong changes", func(t *testing.T) {
		for _, c := range []struct {
			args  []string
			words []string
		}{
			{[]string{"web/80/node-x", "--mode", "drain"}, []string{"node-x"}},
			{[]string{"web/81/node-a", "--mode", "drain"}, []string{"web/81"}},
			{[]string{"web/80/node-a", "--address", "203.0.113.10:8080"}, []string{"web/80/node-a", "203.0.113.10", "VIP"}},
		} {
			wantLine(t, s.refusal(0, append([]string{"node", "set"}, c.args...)...), c.words...)
		}
		if n := s.node("web/80/node-a"); n.Weight != 50 || n.Mode != "accept" {
			t.Errorf("something was changed: %+v", n)
		}
	})
}

func TestSecondDaemonIsRefusedAndNamesTheFirst(t *testing.T) {
	t.Parallel()
	s := newSite(t, 1, smallTable)
	s.server(0)
	s.configure(s.yaml(conf{port: 80, nodes: members(1, 8080, both)}))
	begin := time.Now()
	s.start()
	first := time.Since(begin)
	lines := s.refusal(0, "run", "-c", s.gate.File)
	wantLine(t, lines, s.pid())
	wantLine(t, s.refusal(0, "detach", "--yes"), s.pid())
	// Not in the first one's way, also when it has its own store and socket.
	file, err := os.ReadFile(s.gate.File)
	s.must(err)
	other := s.writeFile("other.yaml", strings.NewReplacer(s.gate.StateDir, s.gate.StateDir+"2", s.gate.Socket, s.gate.Socket+"2").Replace(string(file)))
	wantLine(t, s.refusal(0, "run", "-c", other), s.pid())
	wantShares(t, "the first goes on", s.exchanges("tcp", 4, 80, 4), map[string]int{"a": 4})
	if st := s.status(); st.Applied != st.Desired || len(st.Warnings) > 0 {
		t.Errorf("status of the first: %+v", st)
	}
	s.must(s.gate.Stop())
	begin = time.Now()
	s.start()
	if took := time.Since(begin); took > 3*first+5*time.Second { // the machine may be busier than it was
		t.Errorf("the start after a stop took %v, the first %v", took, first)
	}
}
