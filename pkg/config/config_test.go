package config

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestAFileThatIsNotThereIsNamed(t *testing.T) {
	_, err := Load("/nowhere/headgate.yaml")
	var faults Faults
	if !errors.Is(err, fs.ErrNotExist) || errors.As(err, &faults) {
		t.Fatal(err)
	}
	if want := "read configuration: open /nowhere/headgate.yaml: no such file or directory"; err.Error() != want {
		t.Errorf("got  %v\nwant %s", err, want)
	}
}

func TestADirectoryIsNoFile(t *testing.T) {
	if _, err := Load(t.TempDir()); err == nil || !strings.HasPrefix(err.Error(), "read configuration: ") {
		t.Error(err)
	}
}

func TestFaultsCarryTheNameThatWasGiven(t *testing.T) {
	name := filepath.Join(t.TempDir(), "my.yaml")
	if err := os.WriteFile(name, []byte("x: 1"), 0o600); err != nil {
		t.Fatal(err)
	}
	_, err := Load(name)
	var faults Faults
	if !errors.As(err, &faults) || len(faults) != 1 || !strings.HasPrefix(err.Error(), name+":1:1: x: unknown key") {
		t.Error(err)
	}
}

func TestEntriesAreRoundedUpToAPowerOfTwo(t *testing.T) {
	for in, want := range map[int]uint32{1024: 1024, 1025: 2048, 1 << 20: 1 << 20, 1<<20 + 1: 1 << 21, 1<<26 - 1: 1 << 26, 1 << 26: 1 << 26} {
		f, err := Parse("x", fmt.Appendf(nil, "flow_table: {v4: %d}", in))
		if err != nil {
			t.Fatal(err)
		}
		if f.FlowTable.V4 != want || f.FlowTable.V6 != DefaultFlowsV6 {
			t.Errorf("%d: %v, want %d", in, f.FlowTable, want)
		}
	}
}

func TestAnEmptyMappingIsAllDefaults(t *testing.T) {
	f, err := Parse("x", []byte("{}"))
	if err != nil {
		t.Fatal(err)
	}
	if fmt.Sprint(f) != fmt.Sprint(Default()) {
		t.Errorf("%v", f)
	}
}

func TestFaultsStandInTheOrderOfTheLines(t *testing.T) {
	_, err := Parse("x", []byte("balancers: [{label: a}]\nbogus: 1\ninterfaces: 3\n"))
	var faults Faults
	if !errors.As(err, &faults) {
		t.Fatal(err)
	}
	for i := 1; i < len(faults); i++ {
		if faults[i-1].Line > faults[i].Line {
			t.Error(err)
		}
	}
}

func TestAFaultIsOneLineWhateverTheFileHolds(t *testing.T) {
	for _, text := range []string{
		`xdp_mode: "a\nb\x1b[31m"`, `"a\nb": 1`, "xdp_mode: !!int \"a\\nb\"", "state_dir: \"\\r\\n\"",
		"interfaces: [\"\\u2028\\n\"]", "? [a, b]\n: 1", "xdp_mode: !<!x\ty> 1", strings.Repeat("k", 5000) + ": 1",
	} {
		_, err := Parse("x", []byte(text))
		var faults Faults
		if !errors.As(err, &faults) {
			t.Errorf("%q: %v", text, err)
			continue
		}
		for _, f := range faults {
			if s := f.String(); strings.ContainsAny(s, "\n\r\x1b\u2028") || len(s) > 1000 {
				t.Errorf("%q: %q", text, s)
			}
		}
	}
}

// TestASecondReadingOfABrokenValueIsNotAFault has one mistake each, from which others could seem to follow.
func TestASecondReadingOfABrokenValueIsNotAFault(t *testing.T) {
	const head = "balancers: [{label: web, ipv4: 203.0.113.1, configs: ["
	for _, text := range []string{
		"balancers: [web]",
		"balancers: [~]",
		"balancers: [{label: web, ipv4: ~, ipv6: \"2001:db8::1\", configs: [{port: 80, nodes: [{label: abc, address: \"192.0.2.1:80\"}]}]}]",
		head + "{port: 53}, {port: 53, protocol: [udp]}]}]",
		head + "{port: 80, check_interval: x, check_timeout: 30s}]}]",
		head + "{port: 80, check_interval: 200ms, check_timeout: x}]}]",
		head + "{port: 80, nodes: [{label: abc, address: x}, {label: abc, address: \"192.0.2.1:80\"}]}]}]",
		head + "{port: 80, nodes: [~, {label: abc, address: \"192.0.2.1:80\"}]}]}]",
		head + "{port: x}, {port: 80}]}]",
	} {
		_, err := Parse("x", []byte(text))
		var faults Faults
		if !errors.As(err, &faults) || len(faults) != 1 {
			t.Errorf("%s:\n%v", text, err)
		}
	}
}

func FuzzParse(f *testing.F) {
	for _, pattern := range []string{"good/*.yaml", "bad/*.yaml"} {
		for _, name := range files(f, pattern) {
			data, err := os.ReadFile(name)
			if err != nil {
				f.Fatal(err)
			}
			f.Add(data)
		}
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		file, err := Parse("x", data)
		if err != nil {
			var faults Faults
			if !errors.As(err, &faults) || len(faults) == 0 || file != nil {
				t.Fatalf("not Faults alone: %v, %v", file, err)
			}
			for _, f := range faults {
				if f.Line < 1 || f.Col < 1 || f.Reason == "" || strings.Contains(f.String(), "\n") {
					t.Fatalf("%q", f)
				}
			}
			return
		}
		out, err := Export(file.Balancers)
		if err != nil {
			t.Fatalf("what was read cannot be written: %v", err)
		}
		if _, err := Parse("export", out); err != nil {
			t.Fatalf("%v in:\n%s", err, out)
		}
	})
}
