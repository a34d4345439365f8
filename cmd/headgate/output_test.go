package main

import (
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/headgate/headgate/pkg/api"
)

func TestTablesFit100Columns(t *testing.T) {
	var b strings.Builder
	long := strings.Repeat("a", 60)
	rows := [][]string{{"web/80/" + long, "[2001:db8:1111:2222:3333:4444:5555:6666]:65535", "12"}, {"ü→", "b", "7"}}
	if err := writeTable(terminal{&b, 100}, "  ", columns("NODE", "ADDRESS", ">N"), rows); err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimRight(b.String(), "\n"), "\n")
	for _, line := range lines {
		if n := len([]rune(line)); n > 100 || !strings.HasPrefix(line, "  ") || strings.HasSuffix(line, " ") {
			t.Errorf("%d columns: %q", n, line)
		}
	}
	if !strings.Contains(lines[1], "…") || !strings.HasPrefix(lines[1], "  web/80/aaa") || !strings.Contains(lines[1], "a  [2001") {
		t.Errorf("both ends of a name stay: %q", lines[1])
	}
	if !strings.HasSuffix(lines[2], " 7") || len([]rune(lines[2])) != len([]rune(lines[1])) {
		t.Errorf("numbers stand right: %q", lines[2])
	}
}

func TestTablesAreCutOnANarrowTerminalAlone(t *testing.T) {
	long, prose := strings.Repeat("a", 90), strings.Repeat("why ", 30)+"END"
	table := func(w io.Writer) {
		if err := writeTable(w, "", columns("NODE", "~NOTE"), [][]string{{long, prose}}); err != nil {
			t.Fatal(err)
		}
	}
	for columns, widest := range map[int]int{1: leastColumns, 80: 80, 100: 100, 213: 213, 300: 90 + 2 + 123} {
		var b strings.Builder
		table(terminal{&b, columns})
		got := 0
		for line := range strings.Lines(b.String()) {
			got = max(got, len([]rune(strings.TrimRight(line, "\n"))))
		}
		if got != widest || strings.Contains(b.String(), "…") != (columns < 215) {
			t.Errorf("on %d columns: %d, want %d:\n%s", columns, got, widest, b.String())
		}
	}
	var pipe strings.Builder
	table(&pipe)
	if !strings.Contains(pipe.String(), long+"  "+prose+"\n") {
		t.Errorf("into a pipe:\n%s", pipe.String())
	}
}

func TestOnlyATerminalHasAWidth(t *testing.T) {
	pty, err := os.OpenFile("/dev/ptmx", os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer pty.Close()
	for columns, want := range map[uint16]int{0: usualColumns, 72: 72, 213: 213} {
		if err := unix.IoctlSetWinsize(int(pty.Fd()), unix.TIOCSWINSZ, &unix.Winsize{Row: 24, Col: columns}); err != nil {
			t.Fatal(err)
		}
		if got := maxColumns(output(pty)); got != want {
			t.Errorf("of a terminal of %d columns: %d, want %d", columns, got, want)
		}
	}
	file, err := os.Create(filepath.Join(t.TempDir(), "f"))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	if got := maxColumns(output(file)); got != math.MaxInt {
		t.Errorf("of a file: %d", got)
	}
}

func TestAFlowThatIsWiderThanThoseBeforeIsWholeInAPipe(t *testing.T) {
	long := "web/80/" + strings.Repeat("n", 60)
	flows := func(yield func(api.Flow, error) bool) {
		for i := range batch + 1 {
			f := api.Flow{NodeName: "web/80/web-1"}
			if i == batch {
				f.NodeName = long
			}
			if !yield(f, nil) {
				return
			}
		}
	}
	var pipe strings.Builder
	if err := printFlows(&pipe, asTable, flows); err != nil || !strings.Contains(pipe.String(), long+"  ") {
		t.Errorf("%v", err)
	}
}

func TestUnits(t *testing.T) {
	for _, tt := range []struct{ got, want string }{
		{number(0), "0"}, {number(999), "999"}, {number(1000), "1,000"}, {number(1234567), "1,234,567"},
		{size(0), "0 B"}, {size(999), "999 B"}, {size(1000), "1.0 kB"}, {size(999949), "999.9 kB"}, {size(999951), "1.0 MB"}, {size(2e18), "2.0 EB"}, {size(2e22), "20000.0 EB"},
		{decimal(0), "0"}, {decimal(0.25), "0.2"}, {decimal(99.94), "99.9"}, {decimal(100.4), "100"}, {decimal(12345.6), "12,346"},
		{span(0), "0s"}, {span(250 * time.Millisecond), "250ms"}, {span(59 * time.Second), "59s"}, {span(61 * time.Second), "1m01s"},
		{span(3*time.Hour + 12*time.Minute), "3h12m"}, {span(49 * time.Hour), "2d01h"},
		{rate(nil, decimal), "-"}, {ago(0), "just now"}, {ago(3 * time.Second), "3s ago"},
	} {
		if tt.got != tt.want {
			t.Errorf("%q, want %q", tt.got, tt.want)
		}
	}
}

func TestStatusOfManyNodesFitsAScreenWorstFirst(t *testing.T) {
	st := api.Status{Source: api.FromMaps, Configs: []api.Config{{Name: "big/80"}, {Name: "small/80"}}}
	for i := range 1000 {
		n := api.Node{Label: fmt.Sprintf("node-%d", i), Health: "UP", Mode: "accept", TakesNew: true}
		if i == 777 {
			n.Health = "DOWN"
		}
		st.Configs[0].Nodes = append(st.Configs[0].Nodes, n)
	}
	st.Configs[1].Nodes = st.Configs[0].Nodes[:2]
	var b strings.Builder
	if err := printStatus(&b, st, false, time.Now()); err != nil {
		t.Fatal(err)
	}
	if n := strings.Count(b.String(), "\n"); n > 55 {
		t.Errorf("%d lines", n)
	}
	for _, want := range []string{"node-777 ", "headgate node list --config big/80", "… and 961 more", "small/80", "… and 1 more"} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("lacks %q:\n%s", want, b.String())
		}
	}
	b.Reset()
	if err := printStatus(&b, st, true, time.Now()); err != nil {
		t.Fatal(err)
	}
	if n := strings.Count(b.String(), "\n"); n < 1000 {
		t.Errorf("--all: %d lines", n)
	}
}

func TestNotes(t *testing.T) {
	now := time.Unix(1_800_000_000, 0)
	soon, past := now.Add(90*time.Second), now.Add(-time.Second)
	if got := note(api.Node{Health: "DOWN", Mode: "reject", Reason: "admin"}, now); got != "" {
		t.Errorf("admin stands beside the health already: %q", got)
	}
	for want, n := range map[string]api.Node{
		"":                                       {Health: "UP", Mode: "accept", TakesNew: true},
		"refused":                                {Health: "DOWN", Mode: "accept", Reason: "refused"},
		"active":                                 {Health: "UP", Mode: "backup", TakesNew: true},
		"drained":                                {Health: "UP", Mode: "drain"},
		"last flows":                             {Health: "UP", Mode: "drain", ActiveFlows: 1},
		"last flows, for 1m30s at most":          {Health: "DOWN", Mode: "reject", Reason: "admin", ActiveFlows: 1, Deadline: &soon},
		"last flows are ended":                   {Health: "UP", Mode: "drain", ActiveFlows: 1, Deadline: &past},
		"unchecked":                              {Health: "Unknown", Mode: "accept", TakesNew: true},
		"no route":                               {Health: "DOWN", Mode: "accept", Unreachable: "no route", Reason: "refused"},
		"removed, last flows, for 1m30s at most": {Health: "UP", Lifecycle: api.Removed, Unreachable: "no route", Deadline: &soon},
	} {
		if got := note(n, now); got != want {
			t.Errorf("%+v: %q, want %q", n, got, want)
		}
	}
}

// Where a terminal would break words, sentences break between them; elsewhere each is a line.
func TestSentencesBreakBetweenWords(t *testing.T) {
	const text = "web/80: new flows to 203.0.113.10 are turned away: it has no nodes, and so nobody takes any of them"
	var b strings.Builder
	writeWrapped(&b, "  ! ", text)
	if b.String() != "  ! "+text+"\n" {
		t.Errorf("%q", b.String())
	}
	b.Reset()
	writeWrapped(terminal{&b, 60}, "  ! ", text)
	want := "  ! web/80: new flows to 203.0.113.10 are turned away: it\n    has no nodes, and so nobody takes any of them\n"
	if b.String() != want {
		t.Errorf("%q, want %q", b.String(), want)
	}
	b.Reset()
	writeWrapped(terminal{&b, 60}, "! ", strings.Repeat("x", 70))
	if b.String() != "! "+strings.Repeat("x", 70)+"\n" {
		t.Errorf("a word that is too long: %q", b.String())
	}
}
