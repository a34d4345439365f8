// Package promises holds the tests to what Headgate promises about modes, health and flows: each row of the table of
// modes and each decision has a test, or a part of one, that is named after it.
package promises

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// rows of the table of modes and health: of TestModeMatrix, but for those that have a test of their own.
var rows = map[string]string{
	"1":  "accept, UP",
	"2":  "accept, Unknown: no new flows until the first success",
	"3":  "accept, DOWN",
	"4":  "drain, UP: new flows only of clients that stick",
	"5":  "drain, DOWN",
	"6":  "reject: existing flows go on, no checks",
	"7":  "backup, UP, while a primary is eligible",
	"8":  "backup, UP, no primary eligible",
	"9":  "backup, DOWN",
	"10": "removed: existing flows until remove_deadline",
	"11": "nothing eligible and no UP backup",
}

var decisions = []string{
	"E1 nothing to send to", "E2 when backups start", "E3 backups share", "E4 flapping tiers", "E5 stick entries of a node that goes DOWN",
	"E6 stick entries of the backups", "E7 flows on a backup stay", "E8 stick time", "E9 a weight change", "E10 TCP flows of a DOWN node",
	"E11 UDP, and deadlines", "E12 drain is observable", "E13 drain without stickiness", "E14 first health", "E15 leaving reject",
	"E16 a draining node that recovers", "E17 every node in drain", "E18 removing a node", "E19 a changed address", "E20 a change takes effect",
	"E21 a SYN on a known tuple", "E22 slow start", "E23 consistent hashing", "E24 several balancers", "E25 max_conns", "E26 precedence",
}

// onTheWire are decisions about single packets, which are tried on the real program and not by clients.
var onTheWire = map[string]bool{"E21": true}

var (
	inName   = regexp.MustCompile(`^Test(E\d+)\p{Lu}`)         // of a test
	inPart   = regexp.MustCompile(`^(E\d+|row \d+|\d+) `)      // of a part of one
	rowTest  = regexp.MustCompile(`^TestModeMatrixRow(\d+)\D`) // a test of one row
	theTable = "TestModeMatrix"                                // whose parts begin with the row's number
	places   = []string{"cmd/headgate/e2e", "loader"}          // end to end, and on the wire
)

func TestEveryPromiseHasATestNamedAfterIt(t *testing.T) {
	found := map[string][]string{} // by row or decision: tests
	for _, place := range places {
		named(t, place, found)
	}
	for row, what := range rows {
		if len(found["row "+row]) == 0 {
			t.Errorf("row %s (%s) has no test: a part of %s whose name begins with %q, or TestModeMatrixRow%s…", row, what, theTable, row+" ", row)
		}
	}
	for _, decision := range decisions {
		id, _, _ := strings.Cut(decision, " ")
		tests := strings.Join(found[id], ", ")
		if want := places[0]; tests == "" || !onTheWire[id] && !strings.Contains(tests, want) {
			t.Errorf("%s has no test in %s that is named Test%s… or has a part %q; there is: %s", decision, want, id, id+" …", tests)
		}
		t.Logf("%s: %s", decision, tests)
	}
}

// named adds the tests of a package that are named after something, and their parts.
func named(t *testing.T, place string, found map[string][]string) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join("../..", place, "*_test.go"))
	if err != nil || len(files) == 0 {
		t.Fatalf("%s: no tests: %v", place, err)
	}
	for _, file := range files {
		parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(parsed, func(n ast.Node) bool {
			for key, name := range namesOf(n) {
				found[key] = append(found[key], place+": "+name)
			}
			return true
		})
	}
}

// namesOf returns what a node of the syntax is named after: a test, a part of one (t.Run), or an entry of a table of parts.
func namesOf(n ast.Node) map[string]string {
	switch n := n.(type) {
	case *ast.FuncDecl:
		if m := inName.FindStringSubmatch(n.Name.Name); m != nil {
			return map[string]string{m[1]: n.Name.Name}
		}
		if m := rowTest.FindStringSubmatch(n.Name.Name); m != nil {
			return map[string]string{"row " + m[1]: n.Name.Name}
		}
	case *ast.CallExpr:
		if f, ok := n.Fun.(*ast.SelectorExpr); ok && f.Sel.Name == "Run" && len(n.Args) == 2 {
			return partOf(n.Args[0])
		}
	case *ast.KeyValueExpr:
		if key, ok := n.Key.(*ast.Ident); ok && key.Name == "name" {
			return partOf(n.Value)
		}
	}
	return nil
}

func partOf(name ast.Expr) map[string]string {
	literal, ok := name.(*ast.BasicLit)
	if !ok || literal.Kind != token.STRING {
		return nil
	}
	text, err := strconv.Unquote(literal.Value)
	if err != nil {
		return nil
	}
	m := inPart.FindStringSubmatch(text)
	switch {
	case m == nil:
		return nil
	case strings.HasPrefix(m[1], "E"), strings.HasPrefix(m[1], "row "):
		return map[string]string{m[1]: text}
	}
	return map[string]string{"row " + m[1]: text}
}

// A promise that the code speaks of by its number is one of those above.
func TestNoOtherNumbersAreSpokenOf(t *testing.T) {
	known := map[string]bool{}
	for _, decision := range decisions {
		id, _, _ := strings.Cut(decision, " ")
		known[id] = true
	}
	files := 0
	err := filepath.WalkDir("../..", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(path, "_test.go") {
			return err
		}
		parsed, err := parser.ParseFile(token.NewFileSet(), path, nil, 0)
		if err != nil {
			return err
		}
		files++
		for _, d := range parsed.Decls {
			if f, ok := d.(*ast.FuncDecl); ok {
				if m := inName.FindStringSubmatch(f.Name.Name); m != nil && !known[m[1]] {
					t.Errorf("%s: %s is named after a decision that there is not", path, f.Name.Name)
				}
			}
		}
		return nil
	})
	if err != nil || files == 0 {
		t.Fatalf("%d files: %v", files, err)
	}
}
