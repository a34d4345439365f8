package e2e

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/headgate/headgate/pkg/api"
)

// unitFile is the systemd unit whose word is tested here.
const unitFile = "../../../scripts/package/headgate.service"

// setting returns the words of a setting of the unit.
func setting(t *testing.T, name string) []string {
	t.Helper()
	unit, err := os.ReadFile(unitFile)
	if err != nil {
		t.Fatal(err)
	}
	_, after, found := strings.Cut(string(unit), "\n"+name+"=")
	if !found {
		t.Fatalf("%s: no %s", unitFile, name)
	}
	line, _, _ := strings.Cut(after, "\n")
	return strings.Fields(line)
}

// The daemon does all its work with the powers and the system calls that its unit leaves it, and no others.
func TestTheDaemonNeedsNoMoreThanItsUnitGrants(t *testing.T) {
	t.Parallel()
	s := newSite(t, 2, smallTable)
	s.servers()
	trace := s.star.Lab.Dir() + "/trace"
	binary := s.gate.Binary
	s.gate.Binary = s.bounded(binary, "strace -D -f -qq -s 300 -o "+trace)

	s.configure(s.yaml(conf{port: 80, extra: quickCheck, nodes: members(2, 8080, both)}))
	s.start()
	s.gate.Binary = binary // for the commands
	s.settled()
	wantShares(t, "new connections", s.exchanges("tcp", 4, 80, 10), map[string]int{"a": 5, "b": 5})
	wantShares(t, "new connections", s.exchanges("tcp", 6, 80, 10), map[string]int{"a": 5, "b": 5})
	s.set("web/80/node-a", "--mode", "drain")
	before := s.status().File.ReadAt
	s.must(s.gate.Reload())
	s.eventually("the file is read again", func(st api.Status) bool { return st.File.ReadAt.After(before) })
	s.must(s.gate.Stop())

	own := ownTrace(t, trace, binary)
	granted := grantedCalls(t, setting(t, "SystemCallFilter"))
	for _, call := range callsIn(t, own) {
		if !slices.Contains(granted, call) {
			t.Errorf("the daemon uses %s, which the unit does not grant", call)
		}
	}
	places := []string{s.gate.StateDir, s.gate.BPFFS, s.gate.Socket, filepath.Dir(s.gate.Socket) + "/.headgate-", "/dev/null"}
	for _, path := range writtenIn(t, own) {
		if !slices.ContainsFunc(places, func(place string) bool { return strings.HasPrefix(path, place) }) {
			t.Errorf("the daemon writes %s, beyond bpffs, state_dir and where its socket is", path)
		}
	}
}

// What only a start needs is given up, in every thread; what cannot be done any more for want of it is said.
func TestTheDaemonGivesUpWhatItNeedsNoMore(t *testing.T) {
	t.Parallel()
	s := newSite(t, 1, smallTable)
	s.configure(s.yaml(conf{port: 80, nodes: members(1, 8080, both)}))
	s.must(os.Chown(s.gate.File, nobody, nobody)) // root may read it by a power that is given up
	s.start()
	tasks, err := filepath.Glob("/proc/" + s.pid() + "/task/*/status")
	s.must(err)
	if len(tasks) < 2 {
		t.Fatalf("threads: %v", tasks)
	}
	// BPF, PERFMON, NET_ADMIN and NET_RAW, as capabilities(7) numbers them.
	powers := fmt.Sprintf("%016x", 1<<39|1<<38|1<<12|1<<13)
	for _, task := range tasks {
		status, err := os.ReadFile(task)
		if errors.Is(err, os.ErrNotExist) {
			continue // it has ended
		}
		s.must(err)
		for _, line := range []string{"CapPrm:\t" + powers, "CapEff:\t" + powers, "CapInh:\t0000000000000000", "NoNewPrivs:\t1"} {
			if !strings.Contains(string(status), line+"\n") {
				t.Errorf("%s lacks %q:\n%s", task, line, status)
			}
		}
	}
	if w := strings.Join(s.status().Warnings, "\n"); !strings.Contains(w, s.gate.File+": permission denied: changes to it count only from the next start") {
		t.Errorf("no word of the file that can be read no more: %s", w)
	}
}

// bounded writes a command that runs headgate with the powers of its unit only, and returns its path.
func (s *site) bounded(binary, under string) (path string) {
	s.t.Helper()
	var powers []string
	for _, c := range setting(s.t, "CapabilityBoundingSet") {
		powers = append(powers, "+"+strings.ToLower(strings.TrimPrefix(c, "CAP_")))
	}
	path = s.writeFile("bounded", fmt.Sprintf("#!/bin/sh\n"+
		"exec %s setpriv --no-new-privs --bounding-set=-all,%s --inh-caps=-all --ambient-caps=-all %s \"$@\"\n",
		under, strings.Join(powers, ","), binary))
	s.must(os.Chmod(path, 0o755))
	return path
}

// ownTrace is a trace since the binary was started.
func ownTrace(t *testing.T, trace, binary string) string {
	t.Helper()
	data, err := os.ReadFile(trace)
	if err != nil {
		t.Fatal(err)
	}
	_, own, found := strings.Cut(string(data), "execve(\""+binary)
	if !found {
		t.Fatalf("the trace does not show %s start:\n%.2000s", binary, data)
	}
	return own
}

// writtenIn lists the files that a trace opens to write, and those that it makes, renames, removes, pins or binds.
func writtenIn(t *testing.T, trace string) (paths []string) {
	t.Helper()
	line := regexp.MustCompile(`(?m)^\d+ +(open|openat|openat2|creat|mkdir|mkdirat|mknod|mknodat|rename|renameat|renameat2|unlink|unlinkat|rmdir|link|linkat|symlink|symlinkat|truncate|chmod|fchmodat|chown|fchownat|bind|bpf)\((.*)$`)
	quoted := regexp.MustCompile(`"(/[^"]*)"`)
	for _, m := range line.FindAllStringSubmatch(trace, -1) {
		call, args := m[1], m[2]
		switch {
		case strings.HasPrefix(call, "open") && !regexp.MustCompile(`O_WRONLY|O_RDWR|O_CREAT`).MatchString(args),
			call == "bpf" && !strings.HasPrefix(args, "BPF_OBJ_PIN"):
			continue
		}
		for _, path := range quoted.FindAllStringSubmatch(args, -1) {
			paths = append(paths, path[1])
		}
	}
	slices.Sort(paths)
	paths = slices.Compact(paths)
	if len(paths) < 20 { // each map is pinned
		t.Fatalf("the trace shows few files that are written: %q", paths)
	}
	return paths
}

// callsIn lists the system calls of a trace.
func callsIn(t *testing.T, own string) (calls []string) {
	t.Helper()
	for _, m := range regexp.MustCompile(`(?m)^\d+ +([a-z0-9_]+)\(`).FindAllStringSubmatch(own, -1) {
		calls = append(calls, m[1])
	}
	slices.Sort(calls)
	calls = slices.Compact(calls)
	if len(calls) < 20 || !slices.Contains(calls, "bpf") {
		t.Fatalf("the trace holds too little: %v", calls)
	}
	return calls
}

// grantedCalls resolves the groups of a SystemCallFilter as systemd does.
func grantedCalls(t *testing.T, words []string) (calls []string) {
	t.Helper()
	out, err := exec.Command("systemd-analyze", "syscall-filter").Output()
	if err != nil {
		t.Fatal(err)
	}
	groups, group := map[string][]string{}, ""
	for line := range strings.Lines(string(out)) {
		word := strings.TrimSpace(line)
		switch {
		case word == "" || strings.HasPrefix(word, "#"):
		case strings.HasPrefix(line, "@"):
			group = word
		case group != "":
			groups[group] = append(groups[group], word)
		}
	}
	var resolve func(words []string)
	resolve = func(words []string) {
		for _, w := range words {
			if strings.HasPrefix(w, "@") {
				resolve(groups[w])
			} else {
				calls = append(calls, w)
			}
		}
	}
	resolve(words)
	return calls
}
