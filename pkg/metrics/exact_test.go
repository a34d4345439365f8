package metrics

import (
	"fmt"
	"net/netip"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/cilium/ebpf"

	"github.com/headgate/headgate/loader"
	"github.com/headgate/headgate/pkg/lb"
	"github.com/headgate/headgate/pkg/maps"
	"github.com/headgate/headgate/pkg/packet"
	"github.com/headgate/headgate/pkg/state"
)

// withProgram loads the real program on maps of its own.
func withProgram(t testing.TB) (*maps.Kernel, *ebpf.Program) {
	t.Helper()
	if os.Getuid() != 0 {
		t.Skip("loading BPF programs takes root")
	}
	coll, err := loader.Unpinned(loader.Options{FlowsV4: 1024, FlowsV6: 1024})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(coll.Close)
	m := &loader.Maps{}
	if err := coll.Assign(m); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { loader.CloseMaps(m) })
	k, err := maps.NewKernel(m)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { k.Close() })
	return k, coll.Programs["headgate"]
}

// oneNode writes a service with one node; id is that of both.
func oneNode(t *testing.T, k *maps.Kernel, id uint32, balancer string, vip maps.VIP, node netip.AddrPort, source netip.Addr) {
	t.Helper()
	link := maps.LinkSlot(1, 0) // of the loopback, which test runs come from
	errs := []error{
		k.WriteLink(link, maps.Link{IfIndex: 1, MAC: [6]byte{2, 0, 0, 0, 0, 1}}),
		k.WriteSNAT(uint16(id), source),
		k.WriteNode(id, maps.Node{
			Status:  maps.Status{Mode: lb.Accept, Health: lb.Up, Lifecycle: maps.Present, Actions: maps.TakesNew},
			Address: node, Protocol: vip.Protocol, Service: id, Idle: maps.Idle{TCP: time.Hour, UDP: time.Minute},
			SNATs: maps.SNATRange{First: uint16(id), Count: 1}, Hop: maps.Hop{Link: link, MAC: [6]byte{2, 0, 0, 0, 0, 9}},
		}),
		k.WriteNodeInfo(id, maps.NodeInfo{Label: "node-" + strconv.Itoa(int(id))}),
		k.WriteServiceInfo(id, maps.ServiceInfo{VIP: vip, Balancer: balancer}),
		k.WriteSlots(id*8, maps.PackNodes([]uint32{id})),
		k.WriteService(id, maps.ServiceWord{Offset: id * 8, Length: 1}),
		k.PutVIP(vip, id),
	}
	for _, a := range []netip.Addr{vip.Addr, source} {
		i, bit := maps.OursBit(a)
		word, err := k.ReadOurs(i)
		errs = append(errs, err, k.WriteOurs(i, word|1<<bit))
	}
	for _, err := range errs {
		if err != nil {
			t.Fatal(err)
		}
	}
}

// value finds a sample by its name with labels.
func value(t *testing.T, text, series string) float64 {
	t.Helper()
	for line := range strings.Lines(text) {
		if rest, found := strings.CutPrefix(line, series+" "); found {
			v, err := strconv.ParseFloat(strings.TrimSpace(rest), 64)
			if err != nil {
				t.Fatal(err)
			}
			return v
		}
	}
	t.Fatalf("no %s in\n%s", series, text)
	return 0
}

// sender runs packets through the program, and tells the bytes of each.
func sender(t *testing.T, program *ebpf.Program) func(format string, args ...any) (bytes int) {
	return func(format string, args ...any) int {
		t.Helper()
		frame := packet.MustEncode("eth 02:00:00:00:00:02 > 02:00:00:00:00:01\n" + fmt.Sprintf(format, args...))
		if _, err := program.Run(&ebpf.RunOptions{Data: frame, DataOut: make([]byte, len(frame)+256)}); err != nil {
			t.Fatal(err)
		}
		return len(frame) - 14
	}
}

// TestFiguresEqualWhatWasSent sends packets through the real program and compares every figure with what was
// sent, packet for packet and byte for byte.
func TestFiguresEqualWhatWasSent(t *testing.T) {
	k, program := withProgram(t)
	oneNode(t, k, 1, "web", maps.VIP{Addr: vip4, Port: 80, Protocol: lb.TCP}, netip.MustParseAddrPort("192.0.2.11:8080"), netip.MustParseAddr("192.0.2.1"))
	oneNode(t, k, 2, "dns", maps.VIP{Addr: vip6, Port: 53, Protocol: lb.UDP}, netip.MustParseAddrPort("[2001:db8:1::9]:5353"), netip.MustParseAddr("2001:db8:1::1"))
	send := sender(t, program)

	var tcpIn, tcpOut, udpIn int
	const flows, data, replies, datagrams, foreign, stray = 20, 3, 2, 30, 7, 5
	for port := 5000; port < 5000+flows; port++ {
		tcpIn += send("ipv4 198.51.100.7 > 203.0.113.10\ntcp %d > 80 S seq 1000", port)
		for i := range data {
			tcpIn += send("ipv4 198.51.100.7 > 203.0.113.10\ntcp %d > 80 A seq 1001 ack 1\ndata %d*61", port, 10+100*i)
		}
	}
	for f := range k.Reader().Flows(maps.FlowFilter{Protocol: lb.TCP}) {
		for i := range replies {
			tcpOut += send("ipv4 %s > %s\ntcp %d > %d A seq 1 ack 1001\ndata %d*62", f.Node.Addr(), f.Source.Addr(), f.Node.Port(), f.Source.Port(), 1+1000*i)
		}
	}
	for i := range datagrams { // of ten sessions
		udpIn += send("ipv6 2001:db8:9::7 > 2001:db8::10\nudp %d > 53\ndata %d*63", 6000+i%10, 100+i)
	}
	for range foreign {
		send("ipv4 198.51.100.7 > 198.51.100.8\nudp 1 > 2")
	}
	for range stray {
		send("ipv4 198.51.100.7 > 203.0.113.10\ntcp 7000 > 80 A seq 1 ack 1")
	}

	s := someSources(t)
	s.Maps, s.View = k.Reader(), func() *state.View { return &state.View{} }
	text := scrape(t, s)
	web := `{address="192.0.2.11:8080",config="web/80",%slifecycle="present",node="node-1"}`
	dns := `{address="[2001:db8:1::9]:5353",config="dns/53/udp",%slifecycle="present",node="node-2"}`
	in, out := `direction="in",`, `direction="out",`
	for _, c := range []struct {
		name, labels, direction string
		want                    int
	}{
		{"node_packets_total", web, in, flows * (1 + data)},
		{"node_packets_total", web, out, flows * replies},
		{"node_bytes_total", web, in, tcpIn},
		{"node_bytes_total", web, out, tcpOut},
		{"node_new_flows_total", web, "", flows},
		{"node_active_flows", web, "", flows},
		{"node_packets_total", dns, in, datagrams},
		{"node_packets_total", dns, out, 0},
		{"node_bytes_total", dns, in, udpIn},
		{"node_new_flows_total", dns, "", 10},
		{"node_active_flows", dns, "", 10},
	} {
		series := "headgate_" + c.name + fmt.Sprintf(c.labels, c.direction)
		if got := value(t, text, series); got != float64(c.want) {
			t.Errorf("%s: %v, want %d", series, got, c.want)
		}
	}
	checkFates(t, text, map[string]int{
		"forwarded new_flow": flows + 10, "forwarded forwarded": flows*data + datagrams - 10, "forwarded replied": flows * replies,
		"passed not_ours": foreign, "refused flow_unknown": stray,
	})
	used := value(t, text, `headgate_flow_table_used_entries{class="half_open",family="ipv4"}`)
	if sessions := value(t, text, `headgate_flow_table_used_entries{class="udp",family="ipv6"}`); used != 2*flows || sessions != 2*10 {
		t.Errorf("entries in use: %v half-open, %v UDP", used, sessions)
	}
}

// checkFates compares the packets of every reason; those that are not wanted must be 0.
func checkFates(t *testing.T, text string, want map[string]int) {
	t.Helper()
	for i, reason := range loader.ReasonNames() {
		fate := loader.ReasonFates()[i]
		if got := value(t, text, fmt.Sprintf("headgate_packets_total{fate=%q,reason=%q}", fate, reason)); got != float64(want[fate+" "+reason]) {
			t.Errorf("%s %s: %v packets, want %d", fate, reason, got, want[fate+" "+reason])
		}
	}
}

// TestWhatIsTurnedAwayAndHowFlowsEndEqualsWhatWasSent refuses packets of two configs, closes flows, and fills a table with
// more sessions than it has room for.
func TestWhatIsTurnedAwayAndHowFlowsEndEqualsWhatWasSent(t *testing.T) {
	k, program := withProgram(t)
	oneNode(t, k, 1, "web", maps.VIP{Addr: vip4, Port: 80, Protocol: lb.TCP}, netip.MustParseAddrPort("192.0.2.11:8080"), netip.MustParseAddr("192.0.2.1"))
	oneNode(t, k, 2, "dns", maps.VIP{Addr: vip6, Port: 53, Protocol: lb.UDP}, netip.MustParseAddrPort("[2001:db8:1::9]:5353"), netip.MustParseAddr("2001:db8:1::1"))
	oneNode(t, k, 3, "other", maps.VIP{Addr: vip4, Port: 81, Protocol: lb.TCP}, netip.MustParseAddrPort("192.0.2.13:8080"), netip.MustParseAddr("192.0.2.3"))
	send := sender(t, program)

	const stray, resets, refused, flows, closed, sessions = 5, 3, 7, 20, 4, 700
	for range stray {
		send("ipv4 198.51.100.7 > 203.0.113.10\ntcp 7000 > 80 A seq 1 ack 1")
	}
	for range resets { // that nobody answers
		send("ipv4 198.51.100.7 > 203.0.113.10\ntcp 7000 > 81 R seq 1")
	}
	if err := k.WriteService(3, maps.ServiceWord{}); err != nil { // nobody takes new flows
		t.Fatal(err)
	}
	for port := range refused {
		send("ipv4 198.51.100.7 > 203.0.113.10\ntcp %d > 81 S seq 1000", 7000+port)
	}
	for port := range flows {
		send("ipv4 198.51.100.7 > 203.0.113.10\ntcp %d > 80 S seq 1000", 5000+port)
	}
	for port := range closed {
		send("ipv4 198.51.100.7 > 203.0.113.10\ntcp %d > 80 R seq 1001", 5000+port)
	}
	for port := range sessions {
		send("ipv6 2001:db8:9::7 > 2001:db8::10\nudp %d > 53\ndata 10*63", 6000+port)
	}

	s := someSources(t)
	s.Maps, s.View = k.Reader(), func() *state.View { return &state.View{} }
	text := scrape(t, s)
	for series, want := range map[string]int{
		`config_refused_packets_total{config="web/80",fate="refused",reason="flow_unknown",vip="203.0.113.10"}`:    stray,
		`config_refused_packets_total{config="other/81",fate="dropped",reason="refuse_silent",vip="203.0.113.10"}`: resets,
		`config_refused_packets_total{config="other/81",fate="refused",reason="no_backend",vip="203.0.113.10"}`:    refused,
		`flows_closed_total{family="ipv4",reason="client_reset"}`:                                                  closed,
		`flows_closed_total{family="ipv6",reason="client_reset"}`:                                                  0,
		`flows_removed_total{class="half_open",family="ipv4",reason="room"}`:                                       0,
	} {
		if got := value(t, text, "headgate_"+series); got != float64(want) {
			t.Errorf("%s: %v, want %d", series, got, want)
		}
	}
	if n := strings.Count(text, "\nheadgate_config_refused_packets_total{"); n != 3 {
		t.Errorf("%d series of refusals, want those 3", n)
	}
	left := value(t, text, `headgate_flows_removed_total{class="udp",family="ipv6",reason="room"}`)
	active := value(t, text, `headgate_node_active_flows{address="[2001:db8:1::9]:5353",config="dns/53/udp",lifecycle="present",node="node-2"}`)
	if left+active != sessions || left < sessions-512 {
		t.Errorf("of %d sessions %v had to make room, and %v are left, where there is room for 512", sessions, left, active)
	}
}
