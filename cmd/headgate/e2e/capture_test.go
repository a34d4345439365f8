package e2e

import (
	"fmt"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/headgate/headgate/loader"
	"github.com/headgate/headgate/pkg/api"
	"github.com/headgate/headgate/scripts/lab"
	"github.com/headgate/headgate/scripts/lab/peer"
)

// fourth is an IPv4 address, which an IPv6 connection has none of.
var fourth = regexp.MustCompile(`\b10(\.\d+){3}\b`)

// Packets are captured while connections are made all the time: by filters, as tshark reads them. Nothing of it
// is there before and after, however the capture ends, and not one connection fails.
func TestCaptureUnderTraffic(t *testing.T) {
	t.Parallel()
	s := newSite(t, 2, smallTable)
	s.servers()
	s.run(s.yaml(conf{port: 80, nodes: members(2, 8080, both)}, conf{port: 53, proto: "udp", nodes: members(2, 5353, both)}))
	plain := s.program()
	if plain == 0 {
		t.Fatal("nothing is attached")
	}
	load := s.startLoad(peer.Load{Network: "tcp", Address: s.vip(4, 80), Workers: 10, Interval: 20 * time.Millisecond})

	s.captureCurl()
	s.backTo(plain, "the capture has ended")
	s.capturesByFilters()
	s.backTo(plain, "the last capture has ended")

	first := s.startCapture("--rate", "100")
	if _, err := s.gate.CLI(t.Context(), "capture", "--count", "1"); err == nil || !strings.Contains(err.Error(), "a capture runs already") {
		t.Errorf("a second one at a time: %v", err)
	}
	if st := s.status(); !slices.ContainsFunc(st.Warnings, func(w string) bool { return strings.Contains(w, "packets are captured") }) {
		t.Errorf("status says nothing of the capture: %q", st.Warnings)
	}
	s.must(first.Kill())
	s.backTo(plain, "the capturing command was killed")

	last := s.startCapture()
	s.must(s.gate.Kill())
	<-last.Done()
	if !strings.Contains(last.Stderr(), "ended before it had answered") {
		t.Errorf("the command says %q when the daemon was killed", last.Stderr())
	}
	if id := s.program(); id == plain || id == 0 {
		t.Errorf("program %d is attached after the daemon was killed, %d before", id, plain)
	}
	s.exchanges("tcp", 4, 80, 20)
	s.start()
	again := s.program()
	s.startCapture()
	s.must(s.gate.Stop())
	s.backTo(again, "the daemon was stopped")
	if r := s.finish(load); r.Failed != 0 || r.Done < 100 {
		t.Errorf("connections meanwhile: %+v", r)
	}
}

// program is the id of the one program that all interfaces run.
func (s *site) program() (id uint32) {
	s.t.Helper()
	info, err := loader.Pinned(s.gate.BPFFS)
	s.must(err)
	for _, a := range info.Attachments {
		if id != 0 && a.ProgramID != id {
			return 0 // in the middle of a change
		}
		id = a.ProgramID
	}
	return id
}

func (s *site) backTo(plain uint32, when string) {
	s.t.Helper()
	poll(s.t, soon, fmt.Sprintf("%s: the interfaces run program %d again", when, plain), func() bool { return s.program() == plain })
}

// startCapture starts one and waits until it shows a packet.
func (s *site) startCapture(args ...string) *lab.Process {
	s.t.Helper()
	p, err := s.gate.StartCLI(append([]string{"capture"}, args...)...)
	s.must(err)
	poll(s.t, soon, "packets are captured", func() bool { return strings.Count(p.Stdout(), "\n") > 1 })
	return p
}

// captureCurl captures what curl does from one source port, whole, and reads it with tshark.
func (s *site) captureCurl() {
	t := s.t
	t.Helper()
	file := filepath.Join(s.star.Lab.Dir(), "curl.pcapng")
	client := s.star.ClientAddr(6)
	p, err := s.gate.StartCLI("capture", "--client", client.String(), "--config", "web/80", "-w", file)
	s.must(err)
	s.eventually("the capture runs", func(st api.Status) bool {
		return slices.ContainsFunc(st.Warnings, func(w string) bool { return strings.Contains(w, "packets are captured") })
	})
	_, err = s.star.Client.Run(t.Context(), "curl", "-sS", "--fail", "--max-time", "5", "http://"+s.vip(6, 80)+"/")
	s.must(err)
	_, err = s.star.Client.Run(t.Context(), "curl", "-sS", "--fail", "--max-time", "5", "http://"+s.vip(6, 80)+"/")
	s.must(err)
	var read string
	defer func() {
		if t.Failed() {
			t.Logf("tshark reads:\n%s", read)
		}
	}()
	poll(t, soon, "tshark sees both connections to their end", func() bool {
		// The last packets may be on their way into the file.
		read, _ = s.star.Balancer.Run(t.Context(), "tshark", "-n", "-o", "tcp.check_checksum:TRUE", "-r", file, "-T", "fields", "-E", "separator=|",
			"-e", "frame.interface_name", "-e", "ipv6.src", "-e", "ipv6.dst", "-e", "tcp.flags.str", "-e", "tcp.checksum.status", "-e", "frame.comment")
		return strings.Count(read, "reason=new_flow") == 4 && strings.Count(read, "F|") >= 8
	})
	s.must(p.Stop(soon))
	if !regexp.MustCompile(`^\d+ packets captured\n$`).MatchString(p.Stderr()) {
		t.Errorf("it ends with %q", p.Stderr())
	}
	node := s.star.NodeAddr(1, 6)
	for _, want := range []string{
		fmt.Sprintf("client|%s|%s|··········S·|", client, s.star.VIP(6)),
		"fate=forwarded reason=new_flow verdict=redirect config=web/80 node=web/80/node6-a in=client out=node1: it is the first packet of a flow",
		fmt.Sprintf("|%s|··········S·|", node),
		fmt.Sprintf("\nnode1|%s|", node),
		fmt.Sprintf("client|%s|%s|·······A··S·|", s.star.VIP(6), client),
		"as it left after ",
		"reason=replied verdict=redirect config=web/80 node=web/80/node6-b in=node2 out=client: it is a node's answer",
	} {
		if !strings.Contains(read, want) {
			t.Errorf("tshark does not show %q:\n%s", want, read)
		}
	}
	if strings.Count(read, "|1|") != strings.Count(read, "\n") { // 1: good
		t.Errorf("checksums are wrong:\n%s", read)
	}
	if strings.Contains(read, "web/53") || fourth.MatchString(read) {
		t.Errorf("more than was asked for:\n%s", read)
	}
}

// capturesByFilters compares what filters let through with what their words say.
func (s *site) capturesByFilters() {
	t := s.t
	t.Helper()
	for _, c := range []struct {
		args string
		want func(p string) bool
	}{
		{"--node web/80/node-a", func(p string) bool { return strings.Contains(p, "web/80/node-a ") }},
		{"--reason replied", func(p string) bool { return strings.Contains(p, " replied ") }},
		{"--reason forwarded --config web/80 --sample 3", func(p string) bool { return strings.Contains(p, " web/80/") }},
	} {
		out := s.cli(append([]string{"capture", "--count", "20"}, strings.Fields(c.args)...)...)
		lines := strings.Split(strings.TrimSpace(out), "\n")[1:]
		if len(lines) != 20 || slices.ContainsFunc(lines, func(l string) bool { return !c.want(l) }) {
			t.Errorf("%s:\n%s", c.args, out)
		}
	}
	for args, want := range map[string]string{
		"--config web/81": "no config web/81 (have: web/53/udp, web/80)", "--node web/80/node-x": "node-x",
	} {
		if _, err := s.gate.CLI(t.Context(), append([]string{"capture", "--count", "1"}, strings.Fields(args)...)...); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", args, err, want)
		}
	}
}
