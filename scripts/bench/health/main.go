// Health measures the checks of ten thousand nodes by the real daemon over real packets: what they cost, how
// they keep their interval, and how soon a thousand nodes that die at once take no new flows any more.
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
	lagMost    = 500 * time.Millisecond // of 99 in 100 checks
	coreMost   = 0.5                    // of one core, for TCP checks
	memoryMost = 100 << 20              // bytes
	outMost    = time.Second            // from a node's last failure until it takes no new flows
)

func main() {
	lab.Main()
	o := options{}
	flag.IntVar(&o.nodes, "nodes", 10_000, "nodes that are checked")
	flag.IntVar(&o.die, "die", 1_000, "nodes that die at once")
	flag.DurationVar(&o.interval, "interval", 5*time.Second, "of the checks")
	flag.DurationVar(&o.watch, "watch", 30*time.Second, "how long the daemon is watched")
	flag.StringVar(&o.check, "check", "connection", "connection or http")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	missed, err := bench(ctx, o)
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench-health:", err)
		os.Exit(1)
	}
	if missed > 0 {
		fmt.Printf("%d figures miss their target\n", missed)
		os.Exit(1)
	}
}

// options are what people may say.
type options struct {
	nodes, die int
	interval   time.Duration
	watch      time.Duration
	check      string
}

// bench prints a line for each figure, and counts those that miss their target.
func bench(ctx context.Context, o options) (missed int, err error) {
	b, err := open(ctx, o)
	if err != nil {
		return 0, err
	}
	defer func() {
		if e := b.close(); err == nil {
			err = e
		}
	}()
	fmt.Printf("%d nodes, check %s every %v\n\n%-52s %10s %10s\n", o.nodes, o.check, o.interval, "", "", "at most")
	row := func(what string, got, most float64, unit string) {
		fmt.Printf("%-52s %10s %10s\n", what, fmt.Sprintf("%.4g %s", got, unit), fmt.Sprintf("%.4g %s", most, unit))
		if got > most {
			missed++
		}
	}
	quiet, err := b.watch(ctx, o.watch)
	if err != nil {
		return 0, err
	}
	row("lag, 99th percentile", quiet.lag, ms(lagMost), "ms")
	row("CPU of the daemon, of one core", 100*quiet.core, 100*coreMost, "%")
	row("memory of the daemon", quiet.memory/(1<<20), memoryMost>>20, "MiB")
	out, err := b.die(ctx)
	if err != nil {
		return 0, err
	}
	row(fmt.Sprintf("%d nodes die: last failure to no new flows, median", o.die), ms(out[len(out)/2]), ms(outMost), "ms")
	row("… the slowest", ms(out[len(out)-1]), ms(outMost), "ms")
	return missed, nil
}

func ms(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }
