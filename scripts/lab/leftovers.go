package lab

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// Leftovers lists what there is on this machine of the lab with this id, or of every lab for Prefix:
// namespaces and processes in them, mounts, directories. The running program itself is left out.
func Leftovers(id string) ([]string, error) {
	namespaces, err := filepath.Glob(filepath.Join(netnsDir, id+"*"))
	if err != nil {
		return nil, err
	}
	var left []string
	inside := map[nsID]bool{}
	for _, path := range namespaces {
		left = append(left, "namespace "+path)
		if id, err := statNS(path); err == nil {
			inside[id] = true
		}
	}
	for _, pid := range pidsInside(inside, os.Getpid()) {
		left = append(left, describeProcess(pid))
	}
	dirs, err := labDirs(id)
	if err != nil {
		return nil, err
	}
	mounts, err := os.ReadFile("/proc/self/mounts")
	if err != nil {
		return nil, err
	}
	for _, dir := range dirs {
		left = append(left, "directory "+dir)
		for line := range strings.Lines(string(mounts)) {
			if fields := strings.Fields(line); len(fields) > 1 && strings.HasPrefix(fields[1], dir+"/") {
				left = append(left, "mount "+fields[1])
			}
		}
	}
	return left, nil
}

// labDirs lists the directories of the lab with this id, or of all labs.
func labDirs(id string) ([]string, error) {
	if id == Prefix {
		id += strings.Repeat("[0-9a-f]", idDigits)
	}
	return filepath.Glob(filepath.Join(os.TempDir(), id))
}

// Strays lists the processes that run a program of that name from the directory for temporary files,
// where tests build theirs, or from a file that is no more.
func Strays(program string) []string {
	var strays []string
	links, _ := filepath.Glob("/proc/[0-9]*/exe")
	for _, link := range links {
		exe, err := os.Readlink(link)
		if err != nil {
			continue // a process of the kernel, or one that has ended
		}
		path, deleted := strings.CutSuffix(exe, " (deleted)")
		if filepath.Base(path) != program || !deleted && !strings.HasPrefix(path, os.TempDir()+"/") {
			continue
		}
		if pid, err := strconv.Atoi(filepath.Base(filepath.Dir(link))); err == nil {
			strays = append(strays, describeProcess(pid))
		}
	}
	return strays
}

func describeProcess(pid int) string {
	command, _ := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid)) // empty when it has just ended
	return strings.TrimSpace(fmt.Sprintf("process %d: %s", pid, strings.ReplaceAll(string(command), "\x00", " ")))
}
