package e2e

import (
	"strings"
	"testing"

	"github.com/headgate/headgate/pkg/api"
)

// The live screen in a real terminal of 80×24: it shows what there is, and a key and a confirmation drain a node.
func TestTopInATerminal(t *testing.T) {
	s := newSite(t, 2, smallTable)
	s.servers()
	s.run(s.yaml(conf{port: 80, extra: quickCheck, nodes: members(2, 8080, []int{4})}))
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
	shows("2 of 2 nodes UP")
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
	tmux("send-keys", "-t", "top", "q")
}
