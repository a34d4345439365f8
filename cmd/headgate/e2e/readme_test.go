package e2e

import (
	"fmt"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/headgate/headgate/scripts/lab"
)

// readme is the project's README in parts: its blocks of code.
func readme(t *testing.T) (blocks []string) {
	t.Helper()
	text, err := os.ReadFile(source + "/README.md")
	if err != nil {
		t.Fatal(err)
	}
	for i, part := range strings.Split(string(text), "\n```") {
		if i%2 == 1 {
			blocks = append(blocks, part)
		}
	}
	return blocks
}

// readmeFile is the README's first balancer, at the addresses of the lab.
func readmeFile(t *testing.T) string {
	t.Helper()
	for _, block := range readme(t) {
		if file, found := strings.CutPrefix(block, "yaml\ninterfaces: [eth0]"); found {
			_, balancers, _ := strings.Cut(file, "\n")
			return toLab.Replace(balancers) + "\n"
		}
	}
	t.Fatal("the README has no first balancer")
	return ""
}

// toLab puts the README's nodes where the lab's are.
var toLab = strings.NewReplacer("192.0.2.11:", "10.77.1.2:", "192.0.2.12:", "10.77.2.2:", "192.0.2.13:", "10.77.3.2:", "192.0.2.14:", "10.77.4.2:")

// readmeCommands are the README's headgate commands in their order, but that which starts the daemon.
func readmeCommands(t *testing.T) (commands []string) {
	t.Helper()
	line := regexp.MustCompile(`(?m)^(?:sudo )?(headgate [^#\n]+)`)
	for _, block := range readme(t) {
		for _, m := range line.FindAllStringSubmatch(block, -1) {
			if command := strings.TrimSpace(m[1]); !strings.HasPrefix(command, "headgate run ") {
				commands = append(commands, toLab.Replace(command))
			}
		}
	}
	if len(commands) < 20 {
		t.Fatalf("the README has %d commands: %q", len(commands), commands)
	}
	return commands
}

// untilInterrupted runs a command that goes on until ^C, which it must do after two seconds, too.
func untilInterrupted(command string) string {
	const stillRan = 124 // says timeout
	return fmt.Sprintf("{ timeout --signal=INT 2 %s; [ $? -eq %d ]; }", command, stillRan)
}

// Every command in the README does what it says on the README's first balancer.
func TestTheCommandsOfTheReadmeWork(t *testing.T) {
	t.Parallel()
	s := newSite(t, 4, smallTable)
	s.servers()
	s.run(readmeFile(t))
	wantShares(t, "the first balancer", s.exchanges("tcp", 4, 80, 30), map[string]int{"a": 20, "b": 10})
	path := s.star.Lab.Dir() + "/bin"
	s.must(os.Mkdir(path, 0o755))
	s.must(os.Symlink(s.gate.Binary, path+"/headgate"))
	for _, command := range readmeCommands(t) {
		begin, goesOn := time.Now(), strings.HasPrefix(command, "headgate capture")
		if goesOn {
			command = untilInterrupted(command)
		}
		out, err := s.star.Balancer.RunCommand(t.Context(), lab.Command{
			Path: "/bin/sh", Args: []string{"-c", "cd " + s.star.Lab.Dir() + " && " + command},
			Env: []string{"HEADGATE_SOCKET=" + s.gate.Socket, "HEADGATE_BPFFS=" + s.gate.BPFFS, "PATH=" + path + ":/usr/bin:/bin"},
		})
		if err != nil || strings.TrimSpace(out) == "" && !goesOn {
			t.Errorf("%s: %v, %q", command, err, out)
		}
		t.Logf("%s: %v", command, time.Since(begin).Round(time.Millisecond))
	}
}
