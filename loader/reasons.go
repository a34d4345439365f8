package loader

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/cilium/ebpf/btf"
)

// ReasonNames returns the names of the data path's reasons, in the order of their numbers, as people
// read them: "new_flow", "no_backend". They come from the type information in the program itself.
func ReasonNames() []string { return reasonNames() }

// reasonsOf reads the names of enum reason from the types of a program or of its map meta.
func reasonsOf(types *btf.Spec) ([]string, error) { return namesOf(types, "reason") }

// namesOf reads the names of an enum that counts from 0 to a MAX, which is left out, as is the prefix of all.
func namesOf(types *btf.Spec, name string) ([]string, error) {
	var enum *btf.Enum
	if err := types.TypeByName(name, &enum); err != nil {
		return nil, fmt.Errorf("enum %s: %w", name, err)
	}
	names := make([]string, 0, len(enum.Values))
	for i, v := range enum.Values {
		if v.Value != uint64(i) {
			return nil, fmt.Errorf("enum %s: %s is %d, not %d", name, v.Name, v.Value, i)
		}
		names = append(names, strings.ToLower(strings.TrimPrefix(v.Name, strings.ToUpper(name)+"_")))
	}
	return names[:len(names)-1], nil
}

// RemovalNames returns why flows leave the table, and ClosingNames what closes them, in the order of their numbers in
// FlowStats: "room", "fin".
func RemovalNames() []string { return removalNames() }

// ClosingNames: see RemovalNames.
func ClosingNames() []string { return closingNames() }

var (
	reasonNames  = namesInProgram("reason")
	removalNames = namesInProgram("removal")
	closingNames = namesInProgram("closing")
)

// namesInProgram reads the names of an enum when they are asked for first.
func namesInProgram(enum string) func() []string {
	return sync.OnceValue(func() []string {
		var names []string
		// Only the types are read: all of the object takes twenty times as long, and commands wait for this.
		types, err := btf.LoadSpecFromReader(bytes.NewReader(_HeadgateBytes))
		if err == nil {
			names, err = namesOf(types, enum)
		}
		if err != nil {
			panic(fmt.Sprintf("the embedded program is damaged: %v", err))
		}
		return names
	})
}

// Fates of packets: what becomes of them for a reason.
const (
	Passed    = "passed"    // to the kernel
	Forwarded = "forwarded" // to a node, or from it to its client
	Answered  = "answered"  // in the place of whoever was asked
	Refused   = "refused"   // answered with an error of ours
	Dropped   = "dropped"
)

// firstOf are the reasons that begin the groups of enum reason, as finish() of the program has them.
var firstOf = map[string]string{
	"new_flow": Forwarded, "echo_answered": Answered, "no_backend": Refused, "no_backend_dropped": Dropped,
}

// FirstRefused is the number of the first reason to refuse or drop a packet: those that ServiceStats counts begin there.
func FirstRefused() int { return firstRefused() }

var firstRefused = sync.OnceValue(func() int { return slices.Index(ReasonFates(), Refused) })

// ReasonFates returns the fate that goes with each of ReasonNames.
func ReasonFates() []string { return reasonFates() }

var reasonFates = sync.OnceValue(func() []string {
	fate := Passed
	var fates []string
	for _, name := range ReasonNames() {
		if next, begins := firstOf[name]; begins {
			fate = next
		}
		fates = append(fates, fate)
	}
	return fates
})
