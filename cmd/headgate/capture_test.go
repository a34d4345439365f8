package main

import (
	"bytes"
	"context"
	"encoding/json"
	"iter"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/gopacket/gopacket/pcapgo"

	"github.com/headgate/headgate/pkg/api"
	"github.com/headgate/headgate/pkg/packet"
)

func (f *fakeDaemon) Capture(ctx context.Context, q api.CaptureQuery) (iter.Seq2[api.Captured, error], error) {
	f.captureQuery = q
	if f.captureRefused != nil {
		return nil, f.captureRefused
	}
	return func(yield func(api.Captured, error) bool) {
		for _, p := range f.captured {
			if !yield(p, nil) {
				return
			}
		}
		if f.goesOn {
			<-ctx.Done()
		}
	}, nil
}

// captives are a packet that is forwarded, what was missed since, and a packet that is dropped.
func captives() *fakeDaemon {
	f := busy()
	at := time.Date(2026, 3, 1, 12, 0, 0, 5e6, time.Local)
	frame := func(text string) []byte { return packet.MustEncode(macs + text) }
	in := frame("ipv4 198.51.100.7 > 203.0.113.10\ntcp 40000 > 80 S seq 1")
	f.captured = []api.Captured{
		{Fate: "forwarded", Reason: "new_flow", Why: "it is the first packet of a flow", Verdict: "redirect", Config: "web/80", Node: "web/80/web-1",
			In:  &api.CapturedFrame{Time: at, Interface: "eth0", Length: len(in), Data: in},
			Out: &api.CapturedFrame{Time: at.Add(3100), Interface: "eth1", Length: len(in), Data: frame("ipv4 192.0.2.1 > 192.0.2.11\ntcp 1536 > 8080 S seq 1")}},
		{Skipped: 1234, Lost: 5},
		{Fate: "dropped", Reason: "throttled", Why: "its client is too fast", Verdict: "drop", Config: "web/80", Skipped: 1234, Lost: 5,
			In: &api.CapturedFrame{Time: at.Add(time.Second), Interface: "eth0", Length: 1500, Data: in}},
	}
	return f
}

func TestCaptureShowsALineForEachPacket(t *testing.T) {
	f := captives()
	daemonOn(t, f)
	o := command(t, "capture", "--config", "web/80", "--node", "web/80/web-1", "--client", "198.51.100.7/24", "--reason", "dropped,new_flow", "--sample", "10", "--rate", "7", "--snap", "100", "--count", "2")
	if o.code != exitDone {
		t.Fatalf("%+v", o)
	}
	golden(t, "capture", o.out)
	if want := "2 packets captured, of one in 10; 1,234 more came while a CPU's rate of 7 a second was used up, and were not looked at; 5 were lost because they were not taken fast enough\n"; o.stderr != want {
		t.Errorf("%swant\n%s", o.stderr, want)
	}
	want := api.CaptureQuery{Config: "web/80", Node: "web/80/web-1", Client: netip.MustParsePrefix("198.51.100.0/24"), Reasons: []string{"dropped", "new_flow"}, Snap: 100, Sample: 10, Rate: 7}
	if diff := cmp.Diff(want, f.captureQuery, cmp.Comparer(func(a, b netip.Prefix) bool { return a == b })); diff != "" {
		t.Error(diff)
	}
	o = command(t, "capture", "--count", "1", "-o", "json")
	var p api.Captured
	if err := json.Unmarshal([]byte(o.out), &p); err != nil || p.Node != "web/80/web-1" || o.stderr != "1 packet captured\n" {
		t.Errorf("%+v, %v", o, err)
	}
}

// TestCaptureRecordsBothEnds: each packet as it came and as it left, with what became of it in words.
func TestCaptureRecordsBothEnds(t *testing.T) {
	f := captives()
	daemonOn(t, f)
	file := filepath.Join(t.TempDir(), "x.pcapng")
	if o := command(t, "capture", "-w", file, "--count", "2"); o.code != exitDone || o.out != "" || !strings.HasPrefix(o.stderr, "2 packets captured; 1,234 more came") {
		t.Fatalf("%+v", o)
	}
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var out, said bytes.Buffer
	if code := run(t.Context(), env{stdout: &out, stderr: &said}, []string{"capture", "-w", "-", "--count", "2"}); code != exitDone || out.String() != string(data) {
		t.Errorf("to the standard output: %d, %s%q", code, &said, &out)
	}
	if o := command(t, "capture", "-w", "-"); o.code != exitUsage || !strings.Contains(o.stderr, "not for a terminal") {
		t.Errorf("to a terminal: %+v", o)
	}
	r, err := pcapgo.NewNgReader(strings.NewReader(string(data)), pcapgo.NgReaderOptions{})
	if err != nil {
		t.Fatal(err)
	}
	for i, want := range []struct {
		on, comment string
		length      int
	}{
		{"eth0", "fate=forwarded reason=new_flow verdict=redirect config=web/80 node=web/80/web-1 in=eth0 out=eth1: it is the first packet of a flow", 54},
		{"eth1", "as it left after 3.1µs; fate=forwarded reason=new_flow verdict=redirect config=web/80 node=web/80/web-1 in=eth0 out=eth1: it is the first packet of a flow", 54},
		{"eth0", "fate=dropped reason=throttled verdict=drop config=web/80 in=eth0: its client is too fast", 1500},
	} {
		_, info, options, err := r.ReadPacketDataWithOptions()
		if err != nil {
			t.Fatal(err)
		}
		on, _ := r.Interface(info.InterfaceIndex)
		if on.Name != want.on || info.Length != want.length || len(options.Comments) != 1 || options.Comments[0] != want.comment {
			t.Errorf("%d: on %s, %d bytes, %q", i, on.Name, info.Length, options.Comments)
		}
	}
}

// TestCaptureThatEndsByItselfSaysSo, and what was recorded until then is there.
func TestCaptureThatEndsByItselfSaysSo(t *testing.T) {
	daemonOn(t, captives())
	file := filepath.Join(t.TempDir(), "x.pcapng")
	o := command(t, "capture", "-w", file)
	if o.code != exitFailed || !strings.Contains(o.stderr, "the daemon has ended the capture") {
		t.Errorf("%+v", o)
	}
	if o := command(t, "explain", "--pcap", file, "--number", "2"); o.code != exitDone {
		t.Errorf("%+v", o)
	}
	noDaemon(t)
	if o := command(t, "capture"); o.code != exitFailed || !strings.Contains(o.stderr, "no daemon answers") {
		t.Errorf("%+v", o)
	}
}

// TestCaptureThatIsRefusedLeavesAnOlderRecordingAlone; one that runs takes its place.
func TestCaptureThatIsRefusedLeavesAnOlderRecordingAlone(t *testing.T) {
	f := captives()
	f.captureRefused = api.Conflict("a capture runs already")
	daemonOn(t, f)
	dir := t.TempDir()
	older, anew := filepath.Join(dir, "older.pcapng"), filepath.Join(dir, "new.pcapng")
	if err := os.WriteFile(older, []byte("precious"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, file := range []string{older, anew} {
		if o := command(t, "capture", "-w", file); o.code == exitDone || !strings.Contains(o.stderr, "a capture runs already") {
			t.Errorf("%+v", o)
		}
	}
	if data, err := os.ReadFile(older); err != nil || string(data) != "precious" {
		t.Errorf("the recording is %q now, %v", data, err)
	}
	if _, err := os.Stat(anew); !os.IsNotExist(err) {
		t.Errorf("a file was made: %v", err)
	}
	f.captureRefused = nil
	for _, file := range []string{older, anew} {
		if o := command(t, "capture", "-w", file, "--count", "2"); o.code != exitDone {
			t.Errorf("%+v", o)
		}
		data, err := os.ReadFile(file)
		info, statErr := os.Stat(file)
		if err != nil || statErr != nil || len(data) < 100 || info.Mode() != 0o600 {
			t.Errorf("%s: %d bytes, %v, %v, %v", file, len(data), err, info, statErr)
		}
	}
}

// TestCaptureEndsAfterItsDuration, which begins when the capture has.
func TestCaptureEndsAfterItsDuration(t *testing.T) {
	f := captives()
	f.captured, f.goesOn = nil, true
	daemonOn(t, f)
	if o := command(t, "capture", "--duration", "1ms"); o.code != exitDone || o.stderr != "0 packets captured\n" {
		t.Errorf("%+v", o)
	}
}

func TestCaptureRefusesWhatMakesNoSense(t *testing.T) {
	noDaemon(t)
	for line, want := range map[string]string{
		"--snap 63": "must be a number from 64 to 2048", "--snap 2049": "from 64 to 2048", "--sample 0": "must be a number from 1", "--rate -1": "must be a number from 1",
		"--count 0": "must be a number from 1", "--count x": "must be a number from 1", "--duration 0s": "must be more than 0", "--duration 5": "must be a duration",
		"--client web": "must be an IP address, or a prefix", "--reason nonsense": "--reason nonsense: must be one of passed, forwarded", "-o yaml": "not with yaml",
		"-w x -o json": "do not go together", "web/80": "takes no argument",
	} {
		if o := command(t, append([]string{"capture"}, strings.Fields(line)...)...); o.code != exitUsage || !strings.Contains(o.stderr, want) {
			t.Errorf("%s: %+v", line, o)
		}
	}
}
