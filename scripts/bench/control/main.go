// Control measures what the control plane takes with ten thousand nodes, by the real daemon: to start, to bring one
// change to the data path, and of memory.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/headgate/headgate/scripts/lab"
)

// What is to be reached, on two cores.
const (
	startMost  = 3 * time.Second
	changeMost = 100 * time.Millisecond // from the request until the data path runs it
	memoryMost = 200 << 20              // bytes
)

// shape is how the nodes are spread.
type shape struct {
	name             string
	configs, nodes   int // of each config
	algorithm, other string
	drained          int // of the nodes of each config, the last
}

var shapes = []shape{
	{"1 config of 10,000 nodes, by turn", 1, 10_000, "roundrobin", "leastconn", 0},
	{"1 config of 10,000 nodes, by hash", 1, 10_000, "source", "roundrobin", 0},
	{"1 config of 10,000 nodes, by hash, 9,000 in drain", 1, 10_000, "source", "roundrobin", 9_000},
	{"1,000 configs of 10 nodes", 1000, 10, "roundrobin", "source", 0},
}

func main() {
	lab.Main()
	changes := flag.Int("changes", 20, "changes of each kind")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	missed := 0
	for _, s := range shapes {
		n, err := bench(ctx, s, *changes)
		if err != nil {
			fmt.Fprintf(os.Stderr, "bench-control: %s: %v\n", s.name, err)
			os.Exit(1)
		}
		missed += n
	}
	if missed > 0 {
		fmt.Printf("%d figures miss their target\n", missed)
		os.Exit(1)
	}
}

// bench prints a line for each figure of a shape, and counts those that miss their target.
func bench(ctx context.Context, s shape, changes int) (missed int, err error) {
	b, err := open(s)
	if err != nil {
		return 0, err
	}
	defer func() {
		if e := b.lab.Close(); err == nil {
			err = e
		}
	}()
	fmt.Printf("%-58s %10s %10s\n", s.name, "", "at most")
	row := func(what string, got, most float64, unit string) {
		fmt.Printf("  %-56s %10s %10s\n", what, fmt.Sprintf("%.4g %s", got, unit), fmt.Sprintf("%.4g %s", most, unit))
		if got > most {
			missed++
		}
	}
	for _, start := range []string{"start with nothing there", "start again, the store and the maps being there"} {
		took, err := b.start(ctx)
		if err != nil {
			return 0, err
		}
		row(start, ms(took), ms(startMost), "ms")
		if err := b.gate.Stop(); err != nil {
			return 0, err
		}
	}
	if _, err := b.start(ctx); err != nil {
		return 0, err
	}
	for _, k := range b.kinds() {
		took, err := b.measure(ctx, k, changes)
		if err != nil {
			return 0, fmt.Errorf("%s: %w", k.what, err)
		}
		row(k.what+", median", ms(took[len(took)/2]), ms(changeMost), "ms")
		row("… the slowest", ms(took[len(took)-1]), ms(changeMost), "ms")
	}
	memory, err := b.memory()
	if err != nil {
		return 0, err
	}
	row("memory of the daemon, without the maps", memory/(1<<20), memoryMost>>20, "MiB")
	return missed, b.gate.Stop()
}

func ms(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }
