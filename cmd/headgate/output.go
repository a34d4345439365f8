package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"os"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/urfave/cli/v2"
	"golang.org/x/sys/unix"

	"github.com/headgate/headgate/pkg/config"
)

// Formats of -o.
const (
	asTable = "table"
	asJSON  = "json"
	asYAML  = "yaml"
)

// terminal is an output that shows only so many columns.
type terminal struct {
	io.Writer
	columns int
}

// Where a terminal does not say how wide it is, and how narrow a table can get.
const (
	usualColumns = 100
	leastColumns = 60
)

// output is f, and how wide it is when it is a terminal.
func output(f *os.File) io.Writer {
	if !isTerminal(f) {
		return f
	}
	size, err := unix.IoctlGetWinsize(int(f.Fd()), unix.TIOCGWINSZ)
	if err != nil || size.Col == 0 {
		return terminal{f, usualColumns}
	}
	return terminal{f, int(size.Col)}
}

// maxColumns is how wide a table on w may get: as wide as the terminal, and without bounds elsewhere,
// where nobody could see what was cut.
func maxColumns(w io.Writer) int {
	if t, ok := w.(terminal); ok {
		return max(t.columns, leastColumns)
	}
	return math.MaxInt
}

func outputFlag() cli.Flag {
	return &cli.StringFlag{Name: "output", Aliases: []string{"o"}, Value: asTable, Usage: "`FORMAT`: table, json or yaml"}
}

// format gives the wanted format.
func format(c *cli.Context) (string, error) {
	f := c.String("output")
	if !slices.Contains([]string{asTable, asJSON, asYAML}, f) {
		return "", usage(c, "-o %s: must be table, json or yaml", f)
	}
	return f, nil
}

// printAs writes v as JSON or YAML, or calls table.
func printAs(w io.Writer, format string, v any, table func(io.Writer) error) error {
	if format == asTable {
		return table(w)
	}
	data, err := encode(v, "  ")
	if err != nil {
		return fmt.Errorf("write %s: %w", format, err)
	}
	if format == asYAML {
		if data, err = config.YAML(data); err != nil {
			return fmt.Errorf("write %s: %w", format, err)
		}
	}
	_, err = w.Write(data)
	return err
}

// encode makes JSON that people can read, which the library's Marshal does not: it writes <, > and &
// as numbers. A line feed ends it.
func encode(v any, indent string) ([]byte, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", indent)
	err := enc.Encode(v)
	return b.Bytes(), err
}

// column is a heading of a table; numbers stand right, and prose gives way first.
type column struct {
	title string
	right bool
	prose bool
}

// columns makes columns of titles: ">" stands for right, "~" for prose.
func columns(titles ...string) []column {
	cols := make([]column, len(titles))
	for i, t := range titles {
		title, right := strings.CutPrefix(t, ">")
		title, prose := strings.CutPrefix(title, "~")
		cols[i] = column{title, right, prose}
	}
	return cols
}

// writeTable writes rows under their titles, indented. Where they are wider than maxColumns prose gives
// way first, cut at its end, then the widest columns, with an ellipsis in the middle, since names
// differ at their ends.
func writeTable(w io.Writer, indent string, cols []column, rows [][]string) error {
	return writeRows(w, indent, cols, widths(w, indent, cols, rows), rows, true)
}

// widths fits the columns of these rows to w.
func widths(w io.Writer, indent string, cols []column, rows [][]string) []int {
	wide := titles(cols)
	for i := range cols {
		for _, row := range rows {
			wide[i] = max(wide[i], utf8.RuneCountInString(row[i]))
		}
	}
	return fitted(w, indent, cols, wide)
}

// titles is how wide the titles of columns are.
func titles(cols []column) []int {
	wide := make([]int, len(cols))
	for i, c := range cols {
		wide[i] = utf8.RuneCountInString(c.title)
	}
	return wide
}

// fitted makes columns as narrow as w needs them.
func fitted(w io.Writer, indent string, cols []column, wide []int) []int {
	total := len(indent) + 2*(len(cols)-1)
	for _, n := range wide {
		total += n
	}
	for most := maxColumns(w); total > most; total-- {
		wide[givesWay(cols, wide)]--
	}
	return wide
}

// leastProse is what is left of prose before names are cut.
const leastProse = 12

// givesWay chooses the column to make narrower.
func givesWay(cols []column, wide []int) int {
	widest := 0
	for i := range wide {
		if cols[i].prose && wide[i] > leastProse {
			return i
		}
		if wide[i] > wide[widest] {
			widest = i
		}
	}
	return widest
}

func writeRows(w io.Writer, indent string, cols []column, wide []int, rows [][]string, heading bool) error {
	_, cut := w.(terminal) // a later row may be wider than those that decided the widths
	var b strings.Builder
	line := func(cells []string) {
		var l strings.Builder
		l.WriteString(indent)
		for i, c := range cols {
			s := cells[i]
			if cut {
				s = c.fit(s, wide[i])
			}
			pad := strings.Repeat(" ", max(0, wide[i]-utf8.RuneCountInString(s)))
			if c.right {
				s, pad = pad, s
			}
			l.WriteString(s + pad + "  ")
		}
		b.WriteString(strings.TrimRight(l.String(), " ") + "\n")
	}
	if heading {
		titles := make([]string, len(cols))
		for i, c := range cols {
			titles[i] = c.title
		}
		line(titles)
	}
	for _, row := range rows {
		line(row)
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// fit cuts s to n runes.
func (c column) fit(s string, n int) string {
	runes := []rune(s)
	if len(runes) <= n {
		return s
	}
	if c.prose {
		return string(runes[:n-1]) + "…"
	}
	head := n / 2
	return string(runes[:head]) + "…" + string(runes[len(runes)-(n-head-1):])
}

// writeWrapped writes a sentence behind a mark; a terminal shows it in lines that break between words, and elsewhere it
// is one line, to be searched for.
func writeWrapped(w io.Writer, mark, text string) {
	t, ok := w.(terminal)
	if !ok {
		fmt.Fprintf(w, "%s%s\n", mark, text)
		return
	}
	room := maxColumns(t) - utf8.RuneCountInString(mark)
	line := ""
	for word := range strings.FieldsSeq(text) {
		if line != "" && utf8.RuneCountInString(line)+1+utf8.RuneCountInString(word) > room {
			fmt.Fprintf(w, "%s%s\n", mark, line)
			mark, line = strings.Repeat(" ", utf8.RuneCountInString(mark)), ""
		}
		line = strings.TrimPrefix(line+" "+word, " ")
	}
	fmt.Fprintf(w, "%s%s\n", mark, line)
}
