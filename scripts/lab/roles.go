package lab

import (
	"fmt"
	"os"
	"sync/atomic"
)

// roleEnv names the role that a copy of the running program is to play.
const roleEnv = "HEADGATE_LAB_ROLE"

var (
	roles      = map[string]func(args []string) error{guardRole: runGuard}
	mainCalled atomic.Bool
)

// RegisterRole makes a role known that Namespace.StartRole can start: a function that runs in a copy
// of this program, alone in its process and its namespace. Call it from init.
func RegisterRole(name string, run func(args []string) error) {
	if _, taken := roles[name]; taken {
		panic("lab: role " + name + " registered twice")
	}
	roles[name] = run
}

// Main must be the first call of a program's main, or of a package's TestMain. In a copy that was
// started to play a role it plays it and ends the process; otherwise it returns at once.
func Main() {
	mainCalled.Store(true)
	name := os.Getenv(roleEnv)
	if name == "" {
		return
	}
	run, known := roles[name]
	if !known {
		fmt.Fprintf(os.Stderr, "lab: unknown role %q\n", name)
		os.Exit(2)
	}
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintf(os.Stderr, "lab: %s: %v\n", name, err)
		os.Exit(1)
	}
	os.Exit(0)
}
