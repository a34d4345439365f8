// Package archtest enforces who may import whom: the levels and the doors of ARCHITECTURE.md.
package archtest

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/headgate/headgate/"

// levels: a package imports only those of lower levels.
var levels = map[string]int{
	"pkg/lb": 0, "pkg/schedule": 0, "pkg/packet": 0, "pkg/events": 0, "pkg/httpd": 0, "pkg/usage": 0, "pkg/privilege": 0,
	"loader": 1, "pkg/netdev": 1, "pkg/config": 1, "pkg/store": 1,
	"pkg/maps": 2, "pkg/health": 2, "pkg/announce": 2,
	"pkg/state":     3,
	"pkg/reconcile": 4,
	"pkg/api":       5, "pkg/metrics": 5,
	"pkg/daemon":   6,
	"cmd/headgate": 7,
}

// vocabulary is what every package may import, those of its own level too.
const vocabulary = "pkg/lb"

// doors: a library, by the beginning of its import path, is known only to these packages. Tests may
// use what they like; scripts/lab and loader/dptest are helpers of tests.
var doors = map[string][]string{
	"github.com/cilium/ebpf":              {"loader", "pkg/maps", "scripts/bench"},
	"github.com/vishvananda/netlink":      {"pkg/netdev", "scripts/lab", "loader/dptest"},
	"github.com/vishvananda/netns":        {"pkg/netdev", "scripts/lab", "loader/dptest"},
	"github.com/safchain/ethtool":         {"pkg/netdev", "scripts/lab"},
	"github.com/mdlayher/packet":          {"pkg/netdev"},
	"github.com/urfave/cli":               {"cmd/headgate"},
	"github.com/gdamore/tcell":            {"cmd/headgate"},
	"github.com/prometheus/client_golang": {"pkg/metrics"},
	"github.com/prometheus/client_model":  {"pkg/metrics"},
	"kernel.org/pub/linux/libs":           {"pkg/privilege"},
	"github.com/coreos/go-systemd":        {"pkg/daemon"},
	"github.com/gopacket/gopacket":        {"pkg/packet"},
	"go.etcd.io/bbolt":                    {"pkg/store"},
	"go.yaml.in/yaml":                     {"pkg/config"},
	"google.golang.org/grpc":              {"pkg/health"},
	"github.com/google/go-cmp":            nil,         // tests only
	"github.com/linode/linodego":          nil,         // tests only
	"github.com/getkin/kin-openapi":       nil,         // tests only
	"pgregory.net/rapid":                  nil,         // tests only
	module + "scripts":                    {"scripts"}, // helpers of tests and demo, never part of the product
}

// pkg is what `go list -json` says of a package.
type pkg struct {
	ImportPath                         string
	Imports, TestImports, XTestImports []string
}

func (p pkg) name() string { return strings.TrimPrefix(p.ImportPath, module) }

func list(t *testing.T) []pkg {
	t.Helper()
	out, err := exec.Command("go", "list", "-e", "-json=ImportPath,Imports,TestImports,XTestImports", module+"...").Output()
	if err != nil {
		t.Fatal(err)
	}
	var pkgs []pkg
	for dec := json.NewDecoder(strings.NewReader(string(out))); ; {
		var p pkg
		err := dec.Decode(&p)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		pkgs = append(pkgs, p)
	}
	if len(pkgs) < 3 {
		t.Fatalf("go list found %d packages", len(pkgs))
	}
	return pkgs
}

// levelOf finds the level of a package, or of the closest one above it in the tree.
func levelOf(name string) (level int, known bool) {
	for {
		if level, known = levels[name]; known {
			return level, true
		}
		i := strings.LastIndexByte(name, '/')
		if i < 0 {
			return 0, false
		}
		name = name[:i]
	}
}

// climbs says what is wrong with an import by the levels; empty: nothing.
func climbs(from, to string) string {
	if to == vocabulary || strings.HasPrefix(from, to+"/") || strings.HasPrefix(to, from+"/") {
		return ""
	}
	fromLevel, known := levelOf(from)
	if !known {
		return "" // scripts: above all
	}
	toLevel, known := levelOf(to)
	if !known || toLevel < fromLevel {
		return ""
	}
	return fmt.Sprintf("%s (level %d) imports %s (level %d)", from, fromLevel, to, toLevel)
}

// intrudes says what is wrong with an import by the doors; empty: nothing.
func intrudes(from, imported string) string {
	for library, allowed := range doors {
		if imported != library && !strings.HasPrefix(imported, library+"/") {
			continue
		}
		inside := func(door string) bool { return from == door || strings.HasPrefix(from, door+"/") }
		if !slices.ContainsFunc(allowed, inside) {
			return fmt.Sprintf("%s imports %s, which only %v may", from, imported, allowed)
		}
	}
	return ""
}

func TestPackagesImportOnlyLowerLevels(t *testing.T) {
	for _, p := range list(t) {
		for _, imported := range p.Imports {
			if !strings.HasPrefix(imported, module) {
				continue
			}
			if wrong := climbs(p.name(), strings.TrimPrefix(imported, module)); wrong != "" {
				t.Error(wrong)
			}
		}
	}
}

// The tests of a package may use helpers from anywhere, but not the product above their package: it would make
// the package impossible to understand by itself.
func TestTestsImportNothingAboveTheirPackage(t *testing.T) {
	for _, p := range list(t) {
		for _, imported := range append(p.TestImports, p.XTestImports...) {
			name, ours := strings.CutPrefix(imported, module)
			if !ours || name == p.name() {
				continue
			}
			from, known := levelOf(p.name())
			if to, k := levelOf(name); known && k && to > from {
				t.Errorf("tests of %s (level %d) import %s (level %d)", p.name(), from, name, to)
			}
		}
	}
}

func TestEachLibraryHasItsDoor(t *testing.T) {
	for _, p := range list(t) {
		for _, imported := range p.Imports {
			if wrong := intrudes(p.name(), imported); wrong != "" {
				t.Error(wrong)
			}
		}
	}
}

func TestEveryPackageHasALevel(t *testing.T) {
	for _, p := range list(t) {
		if _, known := levelOf(p.name()); !known && !strings.HasPrefix(p.name(), "scripts/") {
			t.Errorf("%s: no level; give it one here and in ARCHITECTURE.md", p.name())
		}
	}
}

func TestRulesCatchWhatTheyForbid(t *testing.T) {
	for _, c := range []struct {
		from, to string
		bad      bool
	}{
		{"pkg/state", "pkg/reconcile", true},
		{"pkg/api", "pkg/metrics", true},
		{"pkg/schedule", "pkg/lb", false},
		{"pkg/packet", "pkg/schedule", true},
		{"pkg/reconcile", "pkg/maps", false},
		{"cmd/headgate/e2e", "pkg/api", false},
		{"scripts/demo", "pkg/api", false},
	} {
		if wrong := climbs(c.from, c.to); (wrong != "") != c.bad {
			t.Errorf("%s imports %s: %q", c.from, c.to, wrong)
		}
	}
	for _, c := range []struct {
		from, library string
		bad           bool
	}{
		{"pkg/reconcile", "github.com/cilium/ebpf/link", true},
		{"loader", "github.com/cilium/ebpf", false},
		{"pkg/api", "github.com/urfave/cli/v2", true},
		{"cmd/headgate", "github.com/urfave/cli/v2", false},
		{"pkg/daemon", module + "scripts/lab", true},
		{"scripts/demo", module + "scripts/lab", false},
	} {
		if wrong := intrudes(c.from, c.library); (wrong != "") != c.bad {
			t.Errorf("%s imports %s: %q", c.from, c.library, wrong)
		}
	}
}
