package schedule

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/headgate/headgate/pkg/lb"
)

func TestE26NoMoreThanHalfAreEjected(t *testing.T) {
	at := func(s int) time.Time { return time.Unix(1_800_000_000+int64(s), 0) }
	well, first, second, third := Suspect{Mode: lb.Accept}, Suspect{Mode: lb.Accept, Since: at(1)}, Suspect{Mode: lb.Accept, Since: at(2)}, Suspect{Mode: lb.Accept, Since: at(3)}
	with := func(s Suspect, m lb.Mode, o lb.Override) Suspect { s.Mode, s.Override = m, o; return s }
	for name, tt := range map[string]struct {
		nodes []Suspect
		want  []bool
	}{
		"nobody":                         {nil, []bool{}},
		"one of two":                     {[]Suspect{well, first}, []bool{false, true}},
		"of two the first":               {[]Suspect{second, first}, []bool{false, true}},
		"of three one":                   {[]Suspect{third, second, first}, []bool{false, false, true}},
		"of four two":                    {[]Suspect{first, second, third, well}, []bool{true, true, false, false}},
		"not the only one":               {[]Suspect{first}, []bool{false}},
		"not the only primary":           {[]Suspect{first, with(well, lb.Backup, ""), with(well, lb.Drain, "")}, []bool{false, false, false}},
		"backups are counted apart":      {[]Suspect{first, well, with(second, lb.Backup, ""), with(third, lb.Backup, "")}, []bool{true, false, true, false}},
		"a node in drain":                {[]Suspect{well, with(first, lb.Drain, "")}, []bool{false, true}},
		"a node in reject":               {[]Suspect{well, well, with(first, lb.Reject, "")}, []bool{false, false, false}},
		"override up wins":               {[]Suspect{with(first, lb.Accept, lb.OverrideUp), second}, []bool{false, true}},
		"who is DOWN by override is out": {[]Suspect{with(well, lb.Accept, lb.OverrideDown), first}, []bool{false, false}},
		"more are than half":             {[]Suspect{with(well, lb.Accept, lb.OverrideDown), with(well, lb.Accept, lb.OverrideDown), first}, []bool{false, false, false}},
	} {
		if diff := cmp.Diff(tt.want, Ejected(tt.nodes)); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
}

func TestE26HalfOfThePrimariesAlwaysStay(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		nodes := make([]Suspect, rapid.IntRange(0, 20).Draw(t, "nodes"))
		all, out := 0, 0
		for i := range nodes {
			nodes[i] = Suspect{Mode: rapid.SampledFrom(lb.Modes).Draw(t, "mode"), Override: rapid.SampledFrom(lb.Overrides).Draw(t, "override")}
			if rapid.Bool().Draw(t, "suspect") {
				nodes[i].Since = time.Unix(int64(1+rapid.IntRange(0, 5).Draw(t, "since")), 0)
			}
		}
		for i, ejected := range Ejected(nodes) {
			n := nodes[i]
			if n.Mode == lb.Accept {
				all++
			}
			if ejected && (n.Since.IsZero() || n.Override != lb.OverrideNone || n.Mode == lb.Reject) {
				t.Fatalf("%+v is ejected", n)
			}
			if ejected && n.Mode == lb.Accept {
				out++
			}
		}
		if 2*out > all {
			t.Fatalf("%d of %d primaries are ejected", out, all)
		}
	})
}
