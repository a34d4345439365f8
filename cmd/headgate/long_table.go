package main

import (
	"bufio"
	"fmt"
	"io"
	"iter"
	"slices"
	"unicode/utf8"

	"github.com/headgate/headgate/pkg/config"
)

// batch is how many rows of a long table decide the widths of its columns, and how many are written at once.
const batch = 1000

// longTable writes a table of very many rows while they come in. Its rows are bytes of one buffer, since a
// string for each of some million cells would take longer than all else.
type longTable struct {
	w    io.Writer
	cols []column
	wide []int // of the columns, from the first batch on

	cells []byte // of the rows that are not written yet
	ends  []int  // of each cell
	rows  int
	out   []byte
}

// end ends a cell that was appended to cells, which it returns.
func (t *longTable) end(cells []byte) []byte {
	t.ends = append(t.ends, len(cells))
	return cells
}

// endRow ends a row of as many cells as there are columns.
func (t *longTable) endRow() error {
	if t.rows++; t.rows < batch {
		return nil
	}
	return t.flush()
}

// flush writes the rows that are not written yet, and the heading before the first.
func (t *longTable) flush() error {
	if t.wide == nil {
		t.wide = fitted(t.w, "", t.cols, t.natural())
		if err := writeRows(t.w, "", t.cols, t.wide, nil, true); err != nil {
			return err
		}
	}
	_, cut := t.w.(terminal)
	out, start, column := t.out[:0], 0, 0
	for _, end := range t.ends {
		cell, c, wide := t.cells[start:end], &t.cols[column], t.wide[column]
		start = end
		if column++; column == len(t.cols) {
			column = 0
		}
		runes := utf8.RuneCount(cell)
		if cut && runes > wide {
			cell, runes = []byte(c.fit(string(cell), wide)), wide
		}
		if c.right {
			out = appendSpaces(out, wide-runes)
		}
		out = append(out, cell...)
		switch {
		case column == 0:
			out = append(out, '\n')
		case c.right:
			out = append(out, "  "...)
		default:
			out = appendSpaces(out, max(0, wide-runes)+2)
		}
	}
	t.cells, t.ends, t.rows, t.out = t.cells[:0], t.ends[:0], 0, out
	_, err := t.w.Write(out)
	return err
}

func appendSpaces(b []byte, n int) []byte {
	const spaces = "                                                                "
	for ; n > len(spaces); n -= len(spaces) {
		b = append(b, spaces...)
	}
	return append(b, spaces[:max(0, n)]...)
}

// natural is how wide the columns want to be.
func (t *longTable) natural() []int {
	wide := titles(t.cols)
	start := 0
	for i, end := range t.ends {
		c := i % len(t.cols)
		wide[c] = max(wide[c], utf8.RuneCount(t.cells[start:end]))
		start = end
	}
	return wide
}

// printSequence writes a sequence as one JSON or YAML list while it comes in. add appends a value: as JSON, or
// as an item of a list in YAML.
func printSequence[T any](w io.Writer, form string, seq iter.Seq2[T, error], add func(b []byte, form string, v T) ([]byte, error)) error {
	out := bufio.NewWriterSize(w, 1<<16)
	before, between, after := "[\n  ", ",\n  ", "\n]\n"
	if form == asYAML {
		before, between, after = "", "", ""
	}
	var line []byte
	none := true
	for v, err := range seq {
		if err != nil {
			return err
		}
		if line, err = add(append(line[:0], before...), form, v); err != nil {
			return fmt.Errorf("write %s: %w", form, err)
		}
		if _, err := out.Write(line); err != nil {
			return err
		}
		before, none = between, false
	}
	if none {
		after = "[]\n"
	}
	if _, err := out.WriteString(after); err != nil {
		return err
	}
	return out.Flush()
}

// appendValue is what printSequence needs for values that are not so many.
func appendValue[T any](b []byte, form string, v T) ([]byte, error) {
	data, err := encode(v, "")
	if err != nil {
		return b, err
	}
	data = data[:len(data)-1] // without the line feed that ends it
	if form == asYAML {
		data, err = config.YAML(slices.Concat([]byte("["), data, []byte("]")))
	}
	return append(b, data...), err
}
