package main

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/cilium/ebpf"

	"github.com/headgate/headgate/loader"
)

// compileUncounted compiles the program without what counts forwarded packets, from the same sources as the other and
// with the same flags: an object that is kept would not be noticed when it is of other sources.
func compileUncounted() (*ebpf.CollectionSpec, error) {
	dir, err := os.MkdirTemp("", "bench")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	object := filepath.Join(dir, "uncounted.o")
	out, err := exec.Command("clang-19", "-O2", "-g", "-mcpu=v3", "-target", "bpfel", "-DCOUNTING=0",
		"-idirafter", "/usr/include/x86_64-linux-gnu", "-idirafter", "/usr/include/aarch64-linux-gnu",
		"-c", "bpf/headgate.bpf.c", "-o", object).CombinedOutput()
	if err != nil {
		return nil, fmt.Errorf("compile bpf/headgate.bpf.c without counters: %w\n%s", err, out)
	}
	return ebpf.LoadCollectionSpec(object)
}

// uncounted loads the program that does not count what it forwards, onto the tables of the one that does.
func (b *bed) uncounted() (*ebpf.Collection, error) {
	spec, err := compileUncounted()
	if err != nil {
		return nil, err
	}
	delete(spec.Programs, "sweep")
	var meta loader.Meta
	if err := b.program.Maps["meta"].Lookup(uint32(0), &meta); err != nil {
		return nil, fmt.Errorf("read what the tables were made with: %w", err)
	}
	constants := map[string]any{"hz": meta.Hz, "secret0": meta.Secret[0], "secret1": meta.Secret[1], "secret2": meta.Secret[2]}
	shared := map[string]*ebpf.Map{}
	for name, m := range spec.Maps {
		if name[0] == '.' {
			continue
		}
		shared[name] = b.program.Maps[name]
		m.MaxEntries = shared[name].MaxEntries()
	}
	for _, name := range []string{"flows4", "flows6"} {
		constants[name+"_mask"] = spec.Maps[name].MaxEntries - 1
	}
	for name, value := range constants {
		if err := spec.Variables[name].Set(value); err != nil {
			return nil, fmt.Errorf("constant %s: %w", name, err)
		}
	}
	coll, err := ebpf.NewCollectionWithOptions(spec, ebpf.CollectionOptions{MapReplacements: shared})
	if err != nil {
		return nil, fmt.Errorf("load the program without counters: %w", err)
	}
	return coll, nil
}

// countingRows print what it costs to count a packet of an established flow: packets by reason, packets and bytes of
// its node, and of the flow.
func (b *bed) countingRows(rounds int, packets uint32, only string) error {
	if _, err := exec.LookPath("clang-19"); err != nil {
		fmt.Println("\nwhat counting costs: not measured, because there is no clang-19 to compile the program without it (scripts/deps.sh)")
		return nil
	}
	without, err := b.uncounted()
	if err != nil {
		return err
	}
	defer without.Close()
	title := false
	for _, c := range cases() {
		if c.reason != "forwarded" && c.reason != "replied" || c.flows > 8192 || !strings.Contains(c.name, only) {
			continue
		}
		if !title {
			fmt.Printf("\n%-42s %9s %9s %9s %9s %9s %9s\n", "what counting costs", "without", "with", "more", "min", "min", "more")
			title = true
		}
		if err := c.countingRow(b, without.Programs["headgate"], rounds, packets); err != nil {
			return fmt.Errorf("counting, %s: %w", c.name, err)
		}
	}
	return nil
}

// turns are those of each program in a round: a difference of a few percent is less than what the machine does
// otherwise from one second to the next.
const turns = 16

// countingRow measures both programs in turns, on the same flows.
func (c benchCase) countingRow(b *bed, without *ebpf.Program, rounds int, packets uint32) error {
	if err := c.prepare(b, c.flows); err != nil {
		return err
	}
	w := c.measure.workload(c.flows, false)
	if err := b.doAlike(w, b.program.Programs["headgate"], without); err != nil {
		return err
	}
	var counted, uncounted samples
	for range rounds {
		if _, err := b.send(w, 1024, c.reason); err != nil { // the flows are there
			return err
		}
		for range turns {
			for _, of := range []struct {
				program *ebpf.Program
				to      *samples
			}{{b.program.Programs["headgate"], &counted}, {without, &uncounted}} {
				ns, err := b.run(of.program, w, packets/turns)
				if err != nil {
					return err
				}
				*of.to = append(*of.to, ns)
			}
		}
	}
	fmt.Printf("%-42s %9.1f %9.1f %+8.1f%% %9.1f %9.1f %+8.1f%%\n", c.name,
		uncounted.median(), counted.median(), percentMore(counted.median(), uncounted.median()),
		uncounted.least(), counted.least(), percentMore(counted.least(), uncounted.least()))
	return nil
}

func percentMore(with, without float64) float64 { return 100 * (with/without - 1) }

// doAlike fails unless both programs make the same of a packet.
func (b *bed) doAlike(w benchWorkload, programs ...*ebpf.Program) error {
	var first []byte
	for _, p := range programs {
		if err := b.harness.Maps["under_test"].Put(uint32(0), p); err != nil {
			return fmt.Errorf("put a program under test: %w", err)
		}
		w.Packets = 1
		if err := b.harness.Maps["workloads"].Put(uint32(0), w); err != nil {
			return fmt.Errorf("set the workload: %w", err)
		}
		out := make([]byte, frameBytes+256)
		o := &ebpf.RunOptions{Data: make([]byte, frameBytes), DataOut: out, Repeat: 1}
		verdict, err := b.harness.Programs["harness"].Run(o)
		if err != nil {
			return fmt.Errorf("run the harness: %w", err)
		}
		got := append(o.DataOut, byte(verdict))
		if first == nil {
			first = got
		}
		if !bytes.Equal(got, first) {
			return fmt.Errorf("void: without counting another packet comes out: %x, not %x", got, first)
		}
	}
	return nil
}

// captureRow says what captures cost while there are none: they are another program's, so nothing.
func captureRow() error {
	plain, err := loader.Spec()
	if err != nil {
		return err
	}
	capturing, err := loader.CaptureProgram()
	if err != nil {
		return err
	}
	if _, there := plain.Maps["captured"]; there {
		return fmt.Errorf("the program has a map of captures")
	}
	n, more := len(plain.Programs["headgate"].Instructions), len(capturing.Programs["headgate"].Instructions)
	fmt.Printf("\ncaptures that are off: 0 instructions; while there is one, a program of %d instructions takes the place of this one of %d.\n", more, n)
	return nil
}
