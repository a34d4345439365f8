// Bench measures the data path: how many times the floor each kind of packet costs, the floor being
// the least that a balancer does, measured in the same run behind the same harness. A figure is
// void, and the run fails, unless every packet met the reason that its case intends.
package main

import (
	"flag"
	"fmt"
	"math/bits"
	"os"
	"runtime"
	"strings"

	"github.com/cilium/ebpf/rlimit"
	"github.com/headgate/headgate/loader"
	"golang.org/x/sys/unix"
)

func main() {
	rounds := flag.Int("rounds", 5, "rounds of each case")
	packets := flag.Uint("packets", 1<<20, "packets of a round")
	only := flag.String("only", "", "cases whose name contains this")
	cpu := flag.Int("cpu", 1, "CPU to run on")
	entries := flag.Uint("entries", 1<<21, "entries of each flow table, two a flow; cases that would fill more than half of it are left out")
	flag.Parse()
	if err := bench(*rounds, uint32(*packets), *only, *cpu, uint32(*entries)); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func bench(rounds int, packets uint32, only string, cpu int, entries uint32) error {
	if bits.OnesCount32(entries) != 1 || entries < loader.FlowsMin {
		return fmt.Errorf("-entries %d: must be a power of two, at least %d", entries, loader.FlowsMin)
	}
	if err := pin(cpu); err != nil {
		return err
	}
	if err := rlimit.RemoveMemlock(); err != nil {
		return fmt.Errorf("lift the limit of locked memory (run as root): %w", err)
	}
	b, err := openBed(entries)
	if err != nil {
		return err
	}
	defer b.close()
	fmt.Printf("%d rounds of %d packets on CPU %d, flow tables of %d entries\n\n", rounds, packets, cpu, entries)
	fmt.Printf("%-42s %9s %9s %9s %7s %7s %8s %6s\n", "case", "floor ns", "median", "min", "ratio", "target", "stretch", "lines")
	for _, program := range []string{oneLine, oneLineWaited} {
		if err := b.memoryRow(program, rounds, packets); err != nil {
			return err
		}
	}
	short := 0
	for _, c := range cases() {
		if !strings.Contains(c.name, only) || !c.fits(entries) {
			continue
		}
		reached, err := c.row(b, rounds, packets)
		if err != nil {
			return fmt.Errorf("%s: %w", c.name, err)
		}
		if !reached {
			short++
		}
	}
	if err := b.countingRows(rounds, packets, only); err != nil {
		return err
	}
	if err := captureRow(); err != nil {
		return err
	}
	fmt.Printf("\nratio: median / median of the floor. %d cases miss their target.\n", short)
	fmt.Println("The first rows are no cases: the floor and a read of one random line of a table as large as the flow table, on its own")
	fmt.Println("and waiting for the read before. lines: what the case adds to the floor, in such reads that are waited for.")
	return nil
}

// memoryRow prints what one random read of a large table costs here, whatever the program.
func (b *bed) memoryRow(program string, rounds int, packets uint32) error {
	var floor, read samples
	for range rounds {
		for _, of := range []struct {
			name string
			to   *samples
		}{{"least", &floor}, {program, &read}} {
			ns, err := b.run(b.harness.Programs[of.name], anyLine(), packets)
			if err != nil {
				return err
			}
			*of.to = append(*of.to, ns)
		}
	}
	name := map[string]string{oneLine: "(one random line of memory)", oneLineWaited: "(one that waits for the one before)"}[program]
	fmt.Printf("%-42s %9.1f %9.1f %9.1f %7.2f\n", name, floor.median(), read.median(), read.least(), read.median()/floor.median())
	return nil
}

// Programs of the harness that read a line.
const (
	oneLine       = "one_line"
	oneLineWaited = "one_line_waited"
)

// anyLine has packets read lines in an order that no cache foresees.
func anyLine() benchWorkload { return clientPacket(vip4, protoTCP, flagACK).workload(1<<19, false) }

// row measures one case beside the floor, round by round in turns, and prints it.
func (c benchCase) row(b *bed, rounds int, packets uint32) (reached bool, err error) {
	var floor, program, line samples
	if err := b.putService(0, c.flags); err != nil {
		return false, err
	}
	w := c.measure.workload(c.flows, false)
	if c.batch != 0 {
		w = c.measure.workload(c.flows, true)
	}
	for range rounds {
		ns, err := b.run(b.harness.Programs["least"], w, packets)
		if err != nil {
			return false, err
		}
		floor = append(floor, ns)
		if ns, err = c.round(b, w, packets); err != nil {
			return false, err
		}
		program = append(program, ns)
		if c.flows == 1 {
			continue // nothing of it is far away
		}
		if ns, err = b.run(b.harness.Programs[oneLineWaited], anyLine(), packets/4); err != nil {
			return false, err
		}
		line = append(line, ns)
	}
	ratio := program.median() / floor.median()
	lines, mark := "", ""
	if len(line) > 0 {
		lines = fmt.Sprintf("%.1f", (program.median()-floor.median())/(line.median()-floor.median()))
	}
	if ratio > c.target {
		mark = "  misses the target"
	}
	fmt.Printf("%-42s %9.1f %9.1f %9.1f %7.2f %7.1f %8.1f %6s%s\n", c.name, floor.median(), program.median(), program.least(),
		ratio, c.target, c.stretch, lines, mark)
	return ratio <= c.target, nil
}

// round prepares and measures the packets of one round, in batches if the case wants it.
func (c benchCase) round(b *bed, w benchWorkload, packets uint32) (float64, error) {
	batch := packets
	if c.batch != 0 {
		batch = c.batch
	}
	sum, n := 0.0, 0.0
	for sent := uint32(0); sent < packets; sent += batch {
		if c.prepare != nil {
			if err := c.prepare(b, c.flows); err != nil {
				return 0, err
			}
		}
		w.Counter = c.first
		ns, err := b.send(w, batch, c.reason)
		if err != nil {
			return 0, err
		}
		sum, n = sum+ns, n+1
	}
	return sum / n, nil
}

// pin keeps this thread, and so the test runs, on one CPU; and from it the signal by which Go would have a goroutine
// yield. A test run that finds one ends with its first packet, and is begun anew: one packet too many.
func pin(cpu int) error {
	runtime.LockOSThread()
	var set unix.CPUSet
	set.Set(cpu)
	if err := unix.SchedSetaffinity(0, &set); err != nil {
		return fmt.Errorf("pin to CPU %d: %w", cpu, err)
	}
	if err := unix.PthreadSigmask(unix.SIG_BLOCK, &unix.Sigset_t{Val: [16]uint64{1 << (unix.SIGURG - 1)}}, nil); err != nil {
		return fmt.Errorf("block the signal that has goroutines yield: %w", err)
	}
	return nil
}
