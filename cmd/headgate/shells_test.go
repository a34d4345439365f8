package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/headgate/headgate/pkg/api"
)

// TestMain is the command itself where shells call it by its name.
func TestMain(m *testing.M) {
	if filepath.Base(os.Args[0]) == "headgate" {
		main()
	}
	os.Exit(m.Run())
}

// onPath puts this binary into PATH as headgate.
func onPath(t *testing.T) {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	if err := os.Symlink(self, filepath.Join(dir, "headgate")); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", dir+":"+os.Getenv("PATH"))
}

// twins is a daemon with nodes that go by their addresses.
func twins() *fakeDaemon {
	f := busy()
	twin := api.Node{Name: "web/443/twin", Config: "web/443", Label: "twin", Address: "192.0.2.21:443", Mode: "accept", Health: "UP", Lifecycle: api.Present}
	other := twin
	other.Address = "192.0.2.22:443"
	f.status.Configs = append(f.status.Configs, api.Config{Name: "web/443", Balancer: "web", Nodes: []api.Node{twin, other}})
	return f
}

// shell is one on a terminal, and all that it has written.
type shell struct {
	t        *testing.T
	terminal *os.File
	mu       sync.Mutex
	text     strings.Builder
}

func startShell(t *testing.T, args ...string) *shell {
	t.Helper()
	ptmx, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	if err := unix.IoctlSetPointerInt(int(ptmx.Fd()), unix.TIOCSPTLCK, 0); err != nil {
		t.Fatal(err)
	}
	n, err := unix.IoctlGetInt(int(ptmx.Fd()), unix.TIOCGPTN)
	if err != nil {
		t.Fatal(err)
	}
	if err := unix.IoctlSetWinsize(int(ptmx.Fd()), unix.TIOCSWINSZ, &unix.Winsize{Row: 50, Col: 200}); err != nil {
		t.Fatal(err)
	}
	tty, err := os.OpenFile(fmt.Sprintf("/dev/pts/%d", n), os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer tty.Close()
	cmd := exec.Command(args[0], args[1:]...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = tty, tty, tty
	cmd.Env = append(os.Environ(), "TERM=xterm", "PS1=ready> ", "HOME="+t.TempDir())
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
	if err := cmd.Start(); err != nil {
		t.Fatalf("%s: %v (see scripts/deps.sh)", args[0], err)
	}
	s := &shell{t: t, terminal: ptmx}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		_ = ptmx.Close()
		if t.Failed() {
			t.Logf("on the terminal: %q", s.all())
		}
	})
	go s.read()
	return s
}

func (s *shell) read() {
	b := make([]byte, 4096)
	for {
		n, err := s.terminal.Read(b)
		s.mu.Lock()
		s.text.Write(b[:n])
		s.mu.Unlock()
		if err != nil {
			return
		}
	}
}

var escapes = regexp.MustCompile(`\x1b(\[[0-9;?]*[a-zA-Z]|[=>]|\][^\x07]*\x07)|[\r\x07]`)

var overwritten = regexp.MustCompile(`[^\n]\x08`)

func (s *shell) all() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return overwritten.ReplaceAllString(escapes.ReplaceAllString(s.text.String(), ""), "")
}

// types types keys and waits until the terminal shows all of these beyond what it showed before.
func (s *shell) types(keys string, want ...string) {
	s.t.Helper()
	before := len(s.all())
	if _, err := s.terminal.WriteString(keys); err != nil {
		s.t.Fatal(err)
	}
	deadline := time.Now().Add(20 * time.Second)
	for {
		shown := s.all()[before:]
		missing := ""
		for _, w := range want {
			if !strings.Contains(shown, w) {
				missing = w
			}
		}
		if missing == "" {
			return
		}
		if time.Now().After(deadline) {
			s.t.Fatalf("typed %q, no %q in %q", keys, missing, shown)
		}
		time.Sleep(5 * time.Millisecond)
	}
}

// TestShellsComplete types into real shells, and runs what they make of it.
func TestShellsComplete(t *testing.T) {
	daemonOn(t, twins())
	onPath(t)
	for name, s := range map[string]struct {
		start []string
		setup string
		list  string // keys that list what is possible
	}{
		"bash": {[]string{"bash", "--norc", "--noprofile", "-i"}, "source <(headgate completion bash); echo se''t\n", "\t\t"},
		"zsh":  {[]string{"zsh", "-f", "-i"}, "autoload -U compinit; compinit -u -D; source <(headgate completion zsh); echo se''t\n", "\t"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			sh := startShell(t, s.start...)
			sh.types("", "ready> ")
			sh.types(s.setup, "set\n", "ready> ")
			sh.types("headgate no\tsh\tweb/80/web-1\n", "node show web/80/web-1", "next hop", "ready> ")
			sh.types("headgate node show web/4\t"+s.list, "192.0.2.21:443", "192.0.2.22:443")
			sh.types("2\t\n", "web/443/twin", "192.0.2.22:443", "lifecycle", "ready> ")
			sh.types("headgate node set web/80/web-1 --mo\t"+s.list, "--mode ", "accept", "backup", "drain", "reject")
			sh.types("dr\t--wa\t\n", "drain --wait", "web/80/web-1: mode drain (generation 8, applied)", "ready> ")
			sh.types("headgate node set web/80/web-1 --mode=ba\t\n", "mode backup", "ready> ")
			file := write(t, "balancers: []\n")
			sh.types("headgate validate "+file[:len(file)-4]+"\t\n", "good for apply", "ready> ")
			sh.types("headgate config add w\t", "web/")
			sh.types("9000 --wait\n", "web/9000: added", "ready> ")
		})
	}
	t.Run("fish", func(t *testing.T) {
		t.Parallel()
		for line, want := range map[string]string{
			"headgate node sh":                        "show\tall there is about one node",
			"headgate node show web/443/":             "web/443/192.0.2.21:443\taccept, UP\nweb/443/192.0.2.22:443\taccept, UP\n",
			"headgate node set web/80/web-1 --mode ":  "accept\nbackup\ndefault\ndrain\nreject\n",
			"headgate node set web/80/web-1 --mode=d": "--mode=default\n--mode=drain\n",
			"headgate validate /etc/host":             "/etc/hosts\n",
			"headgate config add ":                    "web/\t203.0.113.10 2001:db8::10\n",
		} {
			cmd := exec.Command("fish", "--no-config", "-c", "headgate completion fish | source; complete -C "+fmt.Sprintf("%q", line))
			cmd.Env = append(os.Environ(), "HOME="+t.TempDir())
			out, err := cmd.CombinedOutput()
			if err != nil || !strings.Contains(string(out), want) {
				t.Errorf("%q: %v %q, want %q in it", line, err, out, want)
			}
		}
	})
}
