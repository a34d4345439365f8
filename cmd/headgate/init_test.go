package main

import (
	"os"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// initTrace is the runtime's account of what a package did before main.
var initTrace = regexp.MustCompile(`(?m)^init (\S+) .* (\d+) bytes`)

// People wait for each command, and scripts call many: what only some need, such as the program of the data path, which
// takes nine megabytes to read, is read by those.
func TestACommandReadsTheProgramOnlyIfItNeedsIt(t *testing.T) {
	const most = 256 << 10
	self := exec.Command(os.Args[0], "-test.run=^$")
	self.Env = append(os.Environ(), "GODEBUG=inittrace=1")
	var trace strings.Builder
	self.Stderr = &trace
	if err := self.Run(); err != nil {
		t.Fatal(err)
	}
	ours := 0
	for _, m := range initTrace.FindAllStringSubmatch(trace.String(), -1) {
		if !strings.HasPrefix(m[1], "github.com/headgate/") {
			continue
		}
		ours++
		if n, err := strconv.Atoi(m[2]); err != nil || n > most {
			t.Errorf("before main, package %s takes %s bytes, more than %d", m[1], m[2], most)
		}
	}
	if ours == 0 {
		t.Errorf("no package of ours in\n%s", trace.String())
	}
}
