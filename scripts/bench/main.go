// Bench measures the data path: how many times the floor each kind of packet costs, the floor being
// the least that a balancer does, measured in the same run behind the same harness. A figure is
// void, and the run fails, unless every packet met the reason that its case intends.
package main

import (
	"flag"
	"fmt"
	"os"
	"runtime"
	"strings"

	"github.com/cilium/ebpf/rlimit"
	"golang.org/x/sys/unix"
)

func main() {
	rounds := flag.Int("rounds", 5, "rounds of each case")
	packets := flag.Uint("packets", 1<<20, "packets of a round")
	only := flag.String("only", "", "cases whose name contains this")
	cpu := flag.Int("cpu", 1, "CPU to run on")
	flag.Parse()
	if err := bench(*rounds, uint32(*packets), *only, *cpu); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func bench(rounds int, packets uint32, only string, cpu int) error {
	if err := pin(cpu); err != nil {
		return err
	}
	if err := rlimit.RemoveMemlock(); err != nil {
		return fmt.Errorf("lift the limit of locked memory (run as root): %w", err)
	}
	b, err := openBed(flowEntries)
	if err != nil {
		return err
	}
	defer b.close()
	fmt.Printf("%d rounds of %d packets on CPU %d, flow tables of %d entries\n\n", rounds, packets, cpu, flowEntries)
	fmt.Printf("%-42s %9s %9s %9s %7s %7s %8s\n", "case", "floor ns", "median", "min", "ratio", "target", "stretch")
	if err := b.memoryRow(rounds, packets); err != nil {
		return err
	}
	short := 0
	for _, c := range cases() {
		if !strings.Contains(c.name, only) {
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
	fmt.Println("The first row is no case: it is the floor and one read of a random line of a table as large as the flow table.")
	return nil
}

// memoryRow prints what one random read of a large table costs here, whatever the program.
func (b *bed) memoryRow(rounds int, packets uint32) error {
	var floor, read samples
	w := clientPacket(vip4, protoTCP, flagACK).workload(1<<19, false)
	for range rounds {
		for _, of := range []struct {
			name string
			to   *samples
		}{{"least", &floor}, {"one_line", &read}} {
			ns, err := b.run(b.harness.Programs[of.name], w, packets)
			if err != nil {
				return err
			}
			*of.to = append(*of.to, ns)
		}
	}
	fmt.Printf("%-42s %9.1f %9.1f %9.1f %7.2f\n", "(one random line of memory)", floor.median(), read.median(), read.least(),
		read.median()/floor.median())
	return nil
}

// row measures one case beside the floor, round by round in turns, and prints it.
func (c benchCase) row(b *bed, rounds int, packets uint32) (reached bool, err error) {
	var floor, program samples
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
	}
	ratio := program.median() / floor.median()
	mark := ""
	if ratio > c.target {
		mark = "  misses the target"
	}
	fmt.Printf("%-42s %9.1f %9.1f %9.1f %7.2f %7.1f %8.1f%s\n", c.name, floor.median(), program.median(), program.least(),
		ratio, c.target, c.stretch, mark)
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

// pin keeps this thread, and so the test runs, on one CPU.
func pin(cpu int) error {
	runtime.LockOSThread()
	var set unix.CPUSet
	set.Set(cpu)
	if err := unix.SchedSetaffinity(0, &set); err != nil {
		return fmt.Errorf("pin to CPU %d: %w", cpu, err)
	}
	return nil
}
