package loader_test

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// TestObjectMatchesItsSources compiles the programs, and the one that makes packets, again: what is committed must be what their sources
// say, byte for byte.
func TestObjectMatchesItsSources(t *testing.T) {
	t.Parallel()
	if _, err := exec.LookPath("clang-19"); err != nil {
		t.Fatal("clang-19 is needed to compare the object with its sources: run scripts/deps.sh")
	}
	scratch := copyModule(t)
	generate := exec.Command("go", "generate", "./loader", "./loader/dptest")
	generate.Dir = scratch
	if out, err := generate.CombinedOutput(); err != nil {
		t.Fatalf("go generate: %v\n%s", err, out)
	}
	for _, name := range []string{
		"headgate_bpfel.o", "headgate_bpfel.go", "capture_bpfel.o", "capture_bpfel.go", "dptest/generator_bpfel.o", "dptest/generator_bpfel.go",
	} {
		committed, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		rebuilt, err := os.ReadFile(filepath.Join(scratch, "loader", name))
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(committed, rebuilt) {
			t.Errorf("%s is not what its sources say: run make generate", name)
		}
	}
}

// copyModule copies what generating needs to a directory of its own.
func copyModule(t *testing.T) string {
	t.Helper()
	scratch := t.TempDir()
	for _, pattern := range []string{"go.mod", "go.sum", "bpf/*", "loader/gen.go", "loader/dptest/gen.go", "loader/dptest/bpf/*"} {
		files, err := filepath.Glob(filepath.Join("..", pattern))
		if err != nil || len(files) == 0 {
			t.Fatalf("no files match %s: %v", pattern, err)
		}
		for _, file := range files {
			data, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			to := filepath.Join(scratch, file[len("../"):])
			if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(to, data, 0o644); err != nil {
				t.Fatal(err)
			}
		}
	}
	return scratch
}
