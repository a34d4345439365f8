package main

import (
	"errors"
	"fmt"
	"io"
	"slices"
)

// table holds the figures of all rounds.
type table struct {
	rows    []row
	figures map[string][]figure
	leftOut map[string]error
}

func newTable(rows []row) *table {
	return &table{rows: rows, figures: map[string][]figure{}, leftOut: map[string]error{}}
}

// add notes what a round of a row found, or why it cannot be measured here; other errors it gives back.
func (t *table) add(r row, f figure, err error) error {
	if errors.Is(err, errLeftOut) {
		t.leftOut[r.name] = err
		return nil
	}
	if err == nil {
		t.figures[r.name] = append(t.figures[r.name], f)
	}
	return err
}

// median is that of a row's rates; 0 if there is none.
func (t *table) median(name string) float64 {
	var rates []float64
	for _, f := range t.figures[name] {
		rates = append(rates, f.rate)
	}
	if len(rates) == 0 {
		return 0
	}
	slices.Sort(rates)
	return rates[len(rates)/2]
}

func (t *table) print(w io.Writer) {
	fmt.Fprintf(w, "%-36s %8s %8s %8s %7s %7s %8s\n", "packets a second that arrive", "median", "least", "most", "lost", "ratio", "target")
	short := 0
	for _, r := range t.rows {
		if why := t.leftOut[r.name]; why != nil {
			fmt.Fprintf(w, "%-36s %v\n", r.name, why)
			continue
		}
		if !t.printRow(w, r) {
			short++
		}
	}
	fmt.Fprintf(w, "\nIn millions. Ratio: of medians, to %s; two cores of Headgate, to one with as many flows.\n", plainName)
	fmt.Fprintf(w, "%d rows miss their target.\n", short)
}

// printRow says whether the row reaches its target.
func (t *table) printRow(w io.Writer, r row) (reached bool) {
	least, most, lost := t.figures[r.name][0].rate, 0.0, 0.0
	for _, f := range t.figures[r.name] {
		least, most, lost = min(least, f.rate), max(most, f.rate), max(lost, f.lost)
	}
	got, ratio, target, mark := t.median(r.name), "", "", ""
	if r.against != "" {
		got /= t.median(r.against)
		ratio = fmt.Sprintf("%.2f", got)
	}
	if r.target > 0 {
		target = fmt.Sprintf("%.2f", r.target)
		if r.against == "" {
			target = fmt.Sprintf("%.1f M/s", r.target/1e6)
		}
		if got < r.target {
			mark = "  misses the target"
		}
	}
	fmt.Fprintf(w, "%-36s %8.2f %8.2f %8.2f %6.1f%% %7s %8s%s\n", r.name, t.median(r.name)/1e6, least/1e6, most/1e6, 100*lost, ratio, target, mark)
	return mark == ""
}
