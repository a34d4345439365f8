// Wire measures whole packets: how many a second come out at the far end of a veth, with 60 bytes each, from one
// core or two, through Headgate and through others that forward. Frames are injected as if a network card had
// received them. A row is void, and the run fails, unless every packet met what the row intends.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/cilium/ebpf/rlimit"

	"github.com/headgate/headgate/scripts/lab"
)

func main() {
	lab.Main()
	o := options{}
	flag.IntVar(&o.rounds, "rounds", 3, "rounds, each of which measures every row once")
	flag.UintVar(&o.packets, "packets", 1<<21, "packets of a row in a round; rows of the kernel's own ways send a quarter")
	flag.StringVar(&o.only, "only", "", "rows whose name contains this, and those that they are compared with")
	flag.IntVar(&o.cpu, "cpu", 1, "CPU of the rows on one core")
	flag.UintVar(&o.entries, "entries", 1<<21, "entries of the flow table, two a flow")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	if err := bench(ctx, o); err != nil {
		fmt.Fprintln(os.Stderr, "bench-wire:", err)
		os.Exit(1)
	}
}

// options are what people may say.
type options struct {
	rounds  int
	packets uint
	only    string
	cpu     int
	entries uint
}

// bench measures the rows in turns, so that what else the machine does meets all of them, and prints the table.
func bench(ctx context.Context, o options) (err error) {
	if err := rlimit.RemoveMemlock(); err != nil {
		return fmt.Errorf("lift the limit of locked memory (run as root): %w", err)
	}
	b, err := open(ctx, o.cpu, uint32(o.entries))
	if err != nil {
		return err
	}
	defer func() {
		if e := b.close(); err == nil {
			err = e
		}
	}()
	t := newTable(chosen(rows(uint32(o.packets), uint32(o.entries)), o.only))
	for range o.rounds {
		for _, r := range t.rows {
			if err := ctx.Err(); err != nil {
				return err
			}
			f, err := r.measure(b, o.cpu)
			if err := t.add(r, f, err); err != nil {
				return fmt.Errorf("%s: %w", r.name, err)
			}
		}
	}
	fmt.Printf("%d rounds of %d packets of %d bytes on CPU %d; flow table of %d entries\n\n", o.rounds, o.packets, frameBytes, o.cpu, o.entries)
	t.print(os.Stdout)
	return nil
}

// chosen are the rows whose name contains a text, and those that their ratios need.
func chosen(all []row, only string) []row {
	var list []row
	for _, r := range all {
		needed := strings.Contains(r.name, only)
		for _, other := range all {
			needed = needed || strings.Contains(other.name, only) && other.against == r.name
		}
		if needed {
			list = append(list, r)
		}
	}
	return list
}
