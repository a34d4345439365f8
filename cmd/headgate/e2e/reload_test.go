package e2e

import (
	"strings"
	"testing"

	"github.com/headgate/headgate/pkg/api"
)

func TestFaultyFileChangesNothing(t *testing.T) {
	t.Parallel()
	s := newSite(t, 2, smallTable)
	s.servers()
	good := s.yaml(conf{port: 80, nodes: members(2, 8080, both, 1, 4)})
	s.run(good)
	before := s.cli("export")
	s.configure(strings.NewReplacer("weight: 4", "weight: 256", "port: 80\n", "port: 0\n        colour: red\n").Replace(good))
	s.must(s.gate.Reload())
	var file api.FileStatus
	s.eventually("status tells the faults of the file", func(st api.Status) bool {
		if st.File != nil {
			file = *st.File
		}
		return len(file.Faults) > 0
	})
	faults := strings.Join(file.Faults, "\n")
	for _, want := range []string{"weight", "port", "colour"} {
		if !strings.Contains(faults, want) {
			t.Errorf("no fault about %s: %s", want, faults)
		}
	}
	for _, fault := range file.Faults {
		if !strings.HasPrefix(fault, s.gate.File+":") {
			t.Errorf("fault without its place: %s", fault)
		}
	}
	if !strings.Contains(s.cli("status"), "weight") || !strings.Contains(s.gate.Log(), "weight") {
		t.Error("the fault is not in status, or not in the log")
	}
	if after := s.cli("export"); after != before {
		t.Errorf("the faulty file changed something:\n%s", after)
	}
	wantShares(t, "as before", s.exchanges("tcp", 4, 80, 10), map[string]int{"a": 2, "b": 8})

	s.configure(s.yaml(conf{port: 80, nodes: members(2, 8080, both)}))
	s.must(s.gate.Reload())
	s.eventually("the good file is applied", func(st api.Status) bool {
		return st.File != nil && len(st.File.Faults) == 0 && st.Applied == st.Desired && st.Nodes()[0].Weight == 50
	})
	wantShares(t, "the new weights", s.exchanges("tcp", 4, 80, 10), map[string]int{"a": 5, "b": 5})
}

func TestApplyAndExport(t *testing.T) {
	t.Parallel()
	s := newSite(t, 3, smallTable)
	s.servers()
	s.run(s.yaml(conf{port: 80, nodes: members(2, 8080, both)}))
	three := s.writeFile("three.yaml", s.yaml(conf{port: 80, nodes: members(3, 8080, both)}, conf{port: 81, nodes: members(1, 8080, both)}))
	before := s.cli("export")
	plan := s.cli("apply", "-f", three, "--dry-run")
	if !strings.Contains(plan, "node-c") || !strings.Contains(plan, "web/81") {
		t.Errorf("plan does not tell what is added:\n%s", plan)
	}
	if s.cli("export") != before {
		t.Error("--dry-run changed something")
	}
	held := s.hold("tcp", 4, 80, 4)
	s.cli("apply", "-f", three, "--wait")
	wantShares(t, "three nodes", s.exchanges("tcp", 4, 80, 9), map[string]int{"a": 3, "b": 3, "c": 3})
	wantShares(t, "a new config", s.exchanges("tcp", 6, 81, 3), map[string]int{"a": 3})
	exported := s.writeFile("exported.yaml", s.cli("export"))
	s.cli("validate", exported)
	if out := s.cli("apply", "-f", exported, "--dry-run"); strings.Contains(out, "node-") {
		t.Errorf("what was exported is not what runs:\n%s", out)
	}
	// Configs that the file leaves out of a balancer that it names are gone; the connections of the others stay.
	one := s.writeFile("one.yaml", s.yaml(conf{port: 80, nodes: members(1, 8080, both)}))
	s.cli("apply", "-f", one, "--wait")
	wantShares(t, "one node", s.exchanges("tcp", 4, 80, 4), map[string]int{"a": 4})
	if r := s.exchanges("tcp", 4, 81, 1); r.Failed != 1 {
		t.Errorf("the config that is gone still answers: %+v", r)
	}
	if r := s.pulse(held); r.Failed != 0 || r.Nodes["b"] != 4 {
		t.Errorf("connections to a node that was removed: %+v", r)
	}
	other := s.writeFile("other.yaml", strings.NewReplacer("label: web", "label: other", "203.0.113.10", "203.0.113.11", "2001:db8::10", "2001:db8::11").
		Replace(s.yaml(conf{port: 80, nodes: members(1, 8080, both)})))
	s.cli("apply", "-f", other, "--prune", "--wait")
	if out := s.cli("export"); strings.Contains(out, "label: web\n") || !strings.Contains(out, "label: other") {
		t.Errorf("after --prune:\n%s", out)
	}
	if r := s.pulse(held); r.Failed != 0 {
		t.Errorf("connections to a balancer that was removed: %+v", r)
	}
}
