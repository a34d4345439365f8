package e2e

import (
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/headgate/headgate/pkg/api"
	"github.com/headgate/headgate/scripts/lab/peer"
)

// The live screen in a real terminal of 80×24: it shows what there is, and a key and a confirmation drain a node;
// configs and what they refuse are a key away.
func TestTopInATerminal(t *testing.T) {
	t.Parallel()
	s := newSite(t, 2, smallTable)
	s.servers()
	s.configure(s.yaml(
		conf{port: 80, extra: quickCheck, nodes: members(2, 8080, []int{4})},
		conf{port: 81, extra: "check: none", nodes: []member{{i: 0, port: 1}, {i: 1, port: 8080, mode: "drain"}}}, // where nobody listens
	))
	s.start()
	socket := s.star.Lab.Dir() + "/tmux"
	tmux := func(args ...string) string {
		out, err := s.star.Balancer.Run(t.Context(), "tmux", append([]string{"-S", socket, "-f", "/dev/null"}, args...)...)
		s.must(err)
		return out
	}
	tmux("new-session", "-d", "-x", "80", "-y", "24", "-s", "top", s.gate.Binary, "--socket", s.gate.Socket, "top", "--interval", "200ms")
	defer s.star.Balancer.Run(t.Context(), "tmux", "-S", socket, "kill-server")
	shows := func(want string) {
		t.Helper()
		var screen string
		defer func() {
			if t.Failed() {
				t.Logf("the screen:\n%s", screen)
			}
		}()
		poll(t, soon, "the screen shows "+want, func() bool {
			screen = tmux("capture-pane", "-p", "-t", "top")
			return strings.Contains(screen, want)
		})
		for line := range strings.Lines(screen) {
			if n := len([]rune(strings.TrimRight(line, "\n"))); n > 80 {
				t.Errorf("%d columns: %s", n, line)
			}
		}
	}
	shows("2 of 4 nodes UP")
	shows("> web/80/node-a")
	tmux("send-keys", "-t", "top", "Down")
	shows("> web/80/node-b")
	tmux("send-keys", "-t", "top", "m")
	shows("web/80/node-b: mode [a]ccept [d]rain [r]eject [b]ackup?")
	tmux("send-keys", "-t", "top", "d")
	shows("set web/80/node-b to mode drain? [y/n]")
	tmux("send-keys", "-t", "top", "y")
	shows("web/80/node-b: mode drain")
	s.nodeEventually("web/80/node-b", "drains", func(n api.Node) bool { return n.Mode == "drain" })
	s.exchanges("tcp", 4, 80, 50)
	shows("########")

	refused := s.startLoad(peer.Load{Network: "tcp", Address: s.vip(4, 81), Workers: 1, Interval: 20 * time.Millisecond, Timeout: time.Second})
	defer s.finish(refused)
	line := func(what string, has *regexp.Regexp) {
		t.Helper()
		defer func() {
			if t.Failed() {
				t.Logf("the screen:\n%s", tmux("capture-pane", "-p", "-t", "top"))
			}
		}()
		poll(t, soon, what, func() bool { return has.MatchString(tmux("capture-pane", "-p", "-t", "top")) })
	}
	tmux("send-keys", "-t", "top", "s", "s", "s", "s", "s", "s", "Up")
	shows("s sort: errors")
	line("a node that refuses has errors, and is the first", regexp.MustCompile(`ERR/s +HISTORY\n> web/81/node-a .*[1-9][0-9.,]* +[#?_]`))
	s.set("web/81/node-a", "--mode", "reject") // then the config refuses
	tmux("send-keys", "-t", "top", "c")
	shows("c nodes  enter its nodes")
	line("a config that refuses has errors", regexp.MustCompile(`CONFIG .*\n> web/81 +0/2 UP +DOWN .*[1-9][0-9.,]* +[#_]+\n +web/80 `))
	// By name, for errors come and go: a config could change its place between a look and a key.
	tmux("send-keys", "-t", "top", "s")
	line("configs by name, the first chosen", regexp.MustCompile(`CONFIG .*\n> web/80 .*\n +web/81 `))
	tmux("send-keys", "-t", "top", "Enter")
	shows("> web/80/node-")
	shows("(web/80/)")
	tmux("send-keys", "-t", "top", "q")
}
