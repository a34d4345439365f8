package loader_test

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"net/netip"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/headgate/headgate/loader"
	"github.com/headgate/headgate/loader/dptest"
	"github.com/headgate/headgate/pkg/packet"
)

// seed returns a seed for random tests: a new one, or that of HEADGATE_SEED.
func seed(t *testing.T) uint64 {
	t.Helper()
	s := rand.Uint64()
	if text := os.Getenv("HEADGATE_SEED"); text != "" {
		var err error
		if s, err = strconv.ParseUint(text, 10, 64); err != nil {
			t.Fatalf("HEADGATE_SEED: %v", err)
		}
	}
	t.Logf("HEADGATE_SEED=%d", s)
	return s
}

// Steps of time are longer than an episode takes, and no sum of them is near an idle time of the world.
const (
	ageStep      = 3200 * time.Millisecond // a multiple of 8 jiffies
	episodeLimit = 300 * time.Millisecond
	worldUDPIdle = 17 * time.Second
	worldTCPIdle = 3601 * time.Second
)

// TestProgramDecidesAsTheModelDoes runs random packets and random changes of the tables through the
// program and the model, and compares every outcome and the whole flow table after each.
func TestProgramDecidesAsTheModelDoes(t *testing.T) {
	runEpisodes(t, dptest.Options{Buckets4: 32, Buckets6: 32}, 0,
		"not_ip", "vlan", "truncated", "not_ours", "not_tcp_udp", "fragment", "no_config", "ttl_expired", "hop_unresolved",
		"new_flow", "forwarded", "replied", "no_backend", "flow_unknown", "node_down", "no_backend_dropped", "refuse_silent", "nodes_full",
		"throttled", "echo_answered", "icmp_unknown", "icmp_translated", "too_big", "left_to_fragment",
		"fragment_followed", "fragment_early", "fragment_lost", "fragment_overlap",
		"deadline", "reset_client", "bad_service",
		"signal refused", "signal unanswered", "signal unreachable",
		"owned no_backend", "owned flow_unknown", "owned node_down", "owned deadline", "owned too_big", "owned throttled", "owned refuse_silent",
		"owned fragment_lost", "owned fragment_overlap",
		"closed fin", "closed client_reset", "closed node_reset", "closed node_down", "closed deadline",
		"removed swept half-open", "removed swept udp", "removed superseded closing")
}

// TestFullTableEvictsAsTheModelDoes does the same with room for four flows of each family.
func TestFullTableEvictsAsTheModelDoes(t *testing.T) {
	runEpisodes(t, dptest.Options{Buckets4: 1, Buckets6: 1}, 4, "new_flow", "table_full", "deadline",
		"removed room half-open", "removed room closing", "removed room udp", "removed expired half-open", "removed expired udp")
}

// Random tests run for so long, and on a busy machine until they have seen enough.
const (
	fuzzTime = 3 * time.Second
	fuzzMost = 3 * time.Minute
	fuzzVar  = "HEADGATE_FUZZ_TIME" // as in 10m, for a longer run
)

func fuzzFor(t *testing.T) time.Duration {
	t.Helper()
	return durationOf(t, fuzzVar, fuzzTime)
}

// durationOf is what an environment variable says, if it is set.
func durationOf(t *testing.T, name string, otherwise time.Duration) time.Duration {
	t.Helper()
	text := os.Getenv(name)
	if text == "" {
		return otherwise
	}
	d, err := time.ParseDuration(text)
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return d
}

// runEpisodes runs random episodes for some seconds. Each of the reasons must have come out.
func runEpisodes(t *testing.T, options dptest.Options, capacity int, reasons ...string) {
	t.Helper()
	t.Parallel()
	bed := dptest.Open(t, options)
	base, limit := seed(t), fuzzFor(t)
	steps, void, seen := 0, 0, map[string]int{}
	unseen := func() []string {
		return slices.DeleteFunc(slices.Clone(reasons), func(r string) bool { return seen[r] > 0 })
	}
	begin := time.Now()
	for n := uint64(0); time.Since(begin) < limit || len(unseen()) > 0 && time.Since(begin) < fuzzMost; n++ {
		w := newWorld(t, bed, rand.New(rand.NewPCG(base, n)))
		w.model.Capacity, w.seen = capacity, seen
		start := time.Now()
		for i := range 120 {
			if time.Since(start) > episodeLimit {
				void++ // real time has passed that the model does not know of
				break
			}
			if i == 0 && !w.establish() || !w.step() {
				t.Fatalf("episode %d; what led to it:\n%s", n, strings.Join(w.log[max(0, len(w.log)-12):], "\n"))
			}
			steps++
		}
	}
	t.Logf("%d steps in %s, %d episodes cut short", steps, time.Since(begin).Round(time.Millisecond), void)
	if none := unseen(); len(none) > 0 {
		t.Errorf("in %d steps not one packet ended as %s: the test proves less than it says", steps, strings.Join(none, ", "))
	}
}

// world is a bed and a model that are changed together.
type world struct {
	t        *testing.T
	bed      *dptest.Bed
	model    *dptest.Model
	rnd      *rand.Rand
	log      []string
	seen     map[string]int // packets by reason
	services []dptest.Service
	nodes    []dptest.Node

	endedBefore dptest.Reasons // in earlier episodes

	trial *trial // of every packet before it is sent; nil: none
}

var (
	clients4 = []netip.Addr{netip.MustParseAddr("198.51.100.7"), netip.MustParseAddr("198.51.100.8")}
	clients6 = []netip.Addr{netip.MustParseAddr("2001:db8:c::7"), netip.MustParseAddr("2001:db8:c::8")}
	snats    = []netip.Addr{
		netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("192.0.2.2"),
		netip.MustParseAddr("2001:db8:b::1"), netip.MustParseAddr("2001:db8:b::2"),
	}
)

func newWorld(t *testing.T, bed *dptest.Bed, rnd *rand.Rand) *world {
	w := &world{t: t, bed: bed, model: dptest.NewModel(bed), rnd: rnd, endedBefore: bed.Ends()}
	bed.Reset()
	w.link(2, dptest.Front, packet.MAC{2, 0, 0, 0, 0, 2})
	w.link(3, dptest.Back, packet.MAC{2, 0, 0, 0, 0, 3})
	w.link(4, vlanIfindex, packet.MAC{2, 0, 0, 0, 0, 4})
	bed.SetLinkTags(4, dptest.Back, dptest.TagsOf(9))
	w.model.SetLinkTags(4, dptest.Back, dptest.TagsOf(9))
	mtu := pick(rnd, []uint32{1500, 1500, 1500, 80}) // for real packets to be small enough, or not
	for _, index := range []uint16{3, 4} {
		bed.SetMTU(index, mtu)
		w.model.SetMTU(index, mtu)
	}
	if rnd.IntN(4) == 0 { // less for those with two tags
		bed.SetMTU(2, 64)
		w.model.SetMTU(2, 64)
	}
	for i, addr := range snats {
		bed.SetSNAT(uint32(i), addr)
		w.model.SetSNAT(uint32(i), addr)
	}
	id := uint32(1)
	for _, proto := range []uint8{packet.ProtoTCP, packet.ProtoUDP} {
		for family, net := range []string{"192.0.2.1%d", "2001:db8:b::1%d"} {
			s := dptest.Service{ID: uint32(len(w.services)), Proto: proto}
			s.VIP = netip.AddrPortFrom(netip.MustParseAddr([]string{"203.0.113.10", "2001:db8:f::10"}[family]), 80)
			for range 3 {
				s.Slots = append(s.Slots, id)
				w.setNode(dptest.Node{
					ID: id, Service: s.ID, Proto: proto, Address: netip.AddrPortFrom(netip.MustParseAddr(fmt.Sprintf(net, id)), 8080),
					Actions: dptest.ActionNew | uint8(w.rnd.IntN(2))*dptest.ActionReport, SNATFirst: uint16(2 * family), SNATCount: 2,
					Hop:     dptest.Hop{Link: uint16(2 + id%3), MAC: packet.MAC{2, 0, 0, 0, 3, byte(id)}},
					TCPIdle: worldTCPIdle, UDPIdle: worldUDPIdle,
				})
				id++
			}
			w.setService(s)
			w.services = append(w.services, s)
			bed.Announce(s.VIP.Addr(), dptest.Front, packet.MAC{2, 0, 0, 0, 0, 2})
			w.model.Announce(s.VIP.Addr(), dptest.Front, packet.MAC{2, 0, 0, 0, 0, 2})
		}
	}
	return w
}

// vlanIfindex is the interface of link 4, by which no frame comes in.
const vlanIfindex = 4

func (w *world) note(format string, args ...any) { w.log = append(w.log, fmt.Sprintf(format, args...)) }

func (w *world) link(index uint16, ifindex int, mac packet.MAC) {
	w.bed.SetLink(index, ifindex, mac)
	w.model.SetLink(index, ifindex, mac)
}

func (w *world) setNode(n dptest.Node) {
	w.note("node %+v", n)
	w.bed.SetNode(n)
	w.model.SetNode(n)
	w.nodes = append(slices.DeleteFunc(w.nodes, func(o dptest.Node) bool { return o.ID == n.ID }), n)
}

// setStatus has the node keep what its status says when other changes write it whole.
func (w *world) setStatus(n dptest.Node, s loader.NodeStatus) {
	w.note("status %d %+v", n.ID, s)
	w.bed.SetStatus(n.ID, s)
	w.model.SetStatus(n.ID, s)
	i := slices.IndexFunc(w.nodes, func(o dptest.Node) bool { return o.ID == n.ID })
	w.nodes[i].Actions, w.nodes[i].Generation = s.Actions, s.Generation
	w.nodes[i].Backup, w.nodes[i].Free = s.Mode == dptest.ModeBackup, s.Lifecycle == 0
}

func (w *world) setService(s dptest.Service) {
	w.note("service %+v", s)
	w.bed.SetService(s)
	w.model.SetService(s)
}

func pick[T any](rnd *rand.Rand, from []T) T { return from[rnd.IntN(len(from))] }

// step makes one change, runs one packet or the fragments of one. It says whether both still agree.
func (w *world) step() bool {
	switch n := w.rnd.IntN(40); {
	case n < 30:
		return w.runPacket(w.tagged(w.frame()), pick(w.rnd, []int{dptest.Front, dptest.Back}))
	case n < 32:
		return w.runDatagram()
	case n < 33:
		return w.insist()
	}
	return w.change()
}

// insist has a client send a SYN again and again, or a node or its router refuse one at once: random packets hardly ever do.
func (w *world) insist() bool {
	s := w.services[w.rnd.IntN(2)]
	to := dptest.Tuple{Proto: s.Proto, Src: netip.AddrPortFrom(pick(w.rnd, clientsOf(s)), uint16(40000+w.rnd.IntN(4))), Dst: s.VIP}
	for n := range 3 {
		if n > 0 && w.rnd.IntN(2) == 0 {
			w.age(ageStep)
		}
		if !w.runSegment(to, &packet.TCP{Flags: packet.SYN}) {
			return false
		}
		if n > 0 {
			continue
		}
		switch w.rnd.IntN(4) {
		case 0:
			return w.answer(to, &packet.TCP{Flags: packet.RST | packet.ACK})
		case 1:
			return w.unreachable(to)
		}
	}
	return true
}

// unreachable has a router say of the node of a client's flow, if there is one, that it cannot be reached.
func (w *world) unreachable(to dptest.Tuple) bool {
	for _, f := range w.model.Flows() {
		if f.In != to {
			continue
		}
		quote := w.segment(f.Out, &packet.TCP{Flags: packet.SYN})[14:]
		v6 := f.Out.Src.Addr().Is6()
		message := map[bool]packet.ICMP{false: {Type: 3, Code: 1}, true: {V6: true, Type: 1, Code: 3}}[v6]
		back := dptest.Tuple{Src: netip.AddrPortFrom(routerOf(v6), 0), Dst: f.Out.Src}
		frame, err := append(plainHeaders(back), &message, &packet.Data{Bytes: quote}).Encode()
		if err != nil {
			w.t.Fatal(err)
		}
		return w.runPacket(frame, dptest.Front)
	}
	return true
}

// answer has the node of a client's flow, if there is one, answer it.
func (w *world) answer(to dptest.Tuple, tcp *packet.TCP) bool {
	for _, f := range w.model.Flows() {
		if f.In == to {
			return w.runSegment(dptest.Tuple{Proto: f.In.Proto, Src: f.Out.Dst, Dst: f.Out.Src}, tcp)
		}
	}
	return true
}

func (w *world) age(d time.Duration) {
	w.note("age %s", d)
	w.bed.Age(d)
	w.model.Age(d)
}

// change makes a change.
func (w *world) change() bool {
	node := pick(w.rnd, w.nodes)
	switch w.rnd.IntN(10) {
	case 0, 1:
		w.setStatus(node, w.status(node))
	case 2:
		s := w.scheduled(pick(w.rnd, w.services))
		w.policy(&s)
		w.setService(s)
	case 3:
		hop := pick(w.rnd, []dptest.Hop{{}, {Link: 9, MAC: packet.MAC{1}}, {Link: 2, MAC: packet.MAC{2}}, {Link: 3, MAC: packet.MAC{4}}, {Link: 4, MAC: packet.MAC{5}}})
		w.note("hop %d %v", node.ID, hop)
		w.bed.SetHop(node.ID, hop)
		w.model.SetHop(node.ID, hop)
	case 4:
		node.NextPort = pick(w.rnd, []uint64{0, 2, 63998, 127998})
		w.setNode(node)
	case 5:
		w.age(ageStep * time.Duration(pick(w.rnd, []int{1, 2, 4, 6, 1125})))
	case 6:
		// Between the steps of time, however long the episode takes.
		in := ageStep*time.Duration(w.rnd.IntN(4)) - ageStep/2
		w.note("deadline %d in %s", node.ID, in)
		w.bed.SetDeadline(node.ID, in)
		w.model.SetDeadline(node.ID, in)
	case 7:
		got, want := w.bed.SweepAll(), w.model.SweepAll()
		w.note("sweep: closed %d", got)
		if got != want {
			w.t.Errorf("the sweep closed %d, want %d", got, want)
		}
	case 8:
		node.Generation, node.Backup = uint16(w.rnd.IntN(2)), w.rnd.IntN(2) == 0
		w.setNode(node)
	case 9:
		if sticks := w.model.Sticks(); len(sticks) > 0 {
			s := pick(w.rnd, sticks)
			w.note("drop stick: %s", s)
			w.bed.DropStick(s.Service, s.Client)
			w.model.DropStick(s.Service, s.Client)
		}
	}
	return w.compareFlows()
}

// scheduled gives a service some table of its nodes, for any of the algorithms.
func (w *world) scheduled(s dptest.Service) dptest.Service {
	ids := s.Slots
	s.Slots, s.Drop = nil, w.rnd.IntN(2) == 0
	s.Algorithm = dptest.Algorithm(w.rnd.IntN(4))
	switch s.Algorithm {
	case dptest.Sequence, dptest.Hash:
		for range w.rnd.IntN(8) {
			s.Slots = append(s.Slots, pick(w.rnd, ids))
		}
	default:
		for _, own := range ids[:w.rnd.IntN(len(ids)+1)] {
			s.Columns = append(s.Columns, dptest.Column{Threshold: w.rnd.Uint32(), Own: own, Alias: pick(w.rnd, ids)})
		}
	}
	if w.rnd.IntN(2) == 0 {
		s.Members = ids
	}
	for _, n := range slices.Clone(w.nodes) {
		if slices.Contains(ids, n.ID) {
			n.MaxConns, n.Weight = pick(w.rnd, []uint32{0, 1, 1, 1}), pick(w.rnd, []uint16{1, 2, 255})
			w.setNode(n)
		}
	}
	return s
}

// policy draws how the clients of a service stick, and how fast they may open flows.
func (w *world) policy(s *dptest.Service) {
	if w.rnd.IntN(3) > 0 {
		s.Sticking = dptest.Sticking{
			TTL: pick(w.rnd, []time.Duration{5 * time.Second, 30 * time.Second, time.Hour}), Slides: w.rnd.IntN(2) == 0,
			Tier: uint16(2 + w.rnd.IntN(2)),
		}
	}
	if w.rnd.IntN(3) == 0 {
		s.Throttle = dptest.Throttle{Rate: uint32(1 + w.rnd.IntN(5)), Group: 1 + s.ID/2}
	}
}

// status is a random status word. What is in it beside the actions is for people; what user space would
// never combine, the program must bear too.
func (w *world) status(n dptest.Node) loader.NodeStatus {
	s := loader.NodeStatus{
		Generation: n.Generation, Mode: uint8(w.rnd.IntN(4)), Health: uint8(w.rnd.IntN(3)), Override: uint8(w.rnd.IntN(3)), Lifecycle: uint8(1 + w.rnd.IntN(2)),
		Actions: pick(w.rnd, []uint8{
			0, dptest.ActionNew, dptest.ActionNew | dptest.ActionStick, dptest.ActionStick,
			dptest.ActionDead, dptest.ActionDead | dptest.ActionResetTCP, dptest.ActionDead | dptest.ActionResetTCP,
			dptest.ActionDeadline, dptest.ActionStick | dptest.ActionDeadline, dptest.ActionNew | dptest.ActionReport, uint8(w.rnd.IntN(64)),
		}),
	}
	if w.rnd.IntN(20) == 0 {
		s.Lifecycle = 0
	}
	return s
}

// establish opens some connections in the proper way; random segments seldom do.
func (w *world) establish() bool {
	for _, s := range []dptest.Service{w.services[0], w.services[1]} {
		for port := range uint16(w.rnd.IntN(5)) {
			client := netip.AddrPortFrom(pick(w.rnd, clientsOf(s)), 50000+port)
			to := dptest.Tuple{Proto: s.Proto, Src: client, Dst: s.VIP}
			if !w.runSegment(to, &packet.TCP{Flags: packet.SYN}) {
				return false
			}
			if !w.answer(to, &packet.TCP{Flags: packet.SYN | packet.ACK, Seq: 999}) || !w.runSegment(to, &packet.TCP{Flags: packet.ACK, Ack: 1000}) {
				return false
			}
		}
	}
	return true
}

// runSegment runs a plain segment, whose ports are set here.
func (w *world) runSegment(t dptest.Tuple, tcp *packet.TCP) bool {
	return w.runPacket(w.segment(t, tcp), dptest.Front)
}

func (w *world) segment(t dptest.Tuple, tcp *packet.TCP) []byte {
	tcp.Src, tcp.Dst = t.Src.Port(), t.Dst.Port()
	frame, err := append(plainHeaders(t), tcp).Encode()
	if err != nil {
		w.t.Fatal(err)
	}
	return frame
}

// plainHeaders are those before the transport's.
func plainHeaders(t dptest.Tuple) packet.Packet {
	if t.Src.Addr().Is6() {
		return packet.Packet{&packet.Ethernet{}, &packet.IPv6{Src: t.Src.Addr(), Dst: t.Dst.Addr(), HopLimit: 64}}
	}
	return packet.Packet{&packet.Ethernet{}, &packet.IPv4{Src: t.Src.Addr(), Dst: t.Dst.Addr(), TTL: 64}}
}

// runPacket runs a frame through both.
func (w *world) runPacket(frame []byte, ifindex int) bool {
	told := w.trial.tellOf(w, frame, ifindex)
	before, ownedBefore := w.bed.Reasons(), w.refused()
	verdict, out := w.bed.Run(ifindex, frame, false)
	reason := w.bed.Reasons().Moved(before)
	owned := w.refused().Moved(ownedBefore)
	w.seen[reason]++
	w.model.Gone = w.gone()
	want := w.model.Run(ifindex, frame)
	for _, fault := range w.model.Faults {
		w.t.Error(fault)
	}
	w.note("from %d %x\n%s= %s %s", ifindex, frame, packet.Format(frame), verdict, reason)
	for _, fault := range dptest.Judge(verdict, reason, frame, out) {
		w.t.Error(fault)
	}
	w.trial.compare(w, told, verdict, reason, out)
	if verdict != want.Verdict || reason != want.Reason {
		w.t.Errorf("%s %s, want %s %s", verdict, reason, want.Verdict, want.Reason)
	}
	if wantOwned := w.owned(reason); owned != wantOwned {
		w.t.Errorf("%s %s is counted as: %s; want %s", verdict, reason, owned, wantOwned)
	}
	if !w.model.SameButChecksums(frame, want, out) {
		w.t.Errorf("another frame came out (checksums may differ):\n%s", packet.Diff(want.Frame, out))
	}
	return w.compareFlows()
}

// refused counts the packets that were refused or dropped, by reason and service.
func (w *world) refused() dptest.Reasons {
	all := dptest.Reasons{}
	for _, s := range w.services {
		for reason, n := range w.bed.Refused(s.ID) {
			all[ofService(reason, int(s.ID))] = n
		}
	}
	return all
}

func ofService(reason string, service int) string {
	return fmt.Sprintf("%s of service %d", reason, service)
}

// owned is how the last packet must be counted for a service, as Moved says it.
func (w *world) owned(reason string) string {
	i := slices.Index(loader.ReasonNames(), reason)
	if i < loader.FirstRefused() || w.model.Owner == dptest.Nobody {
		return "no reason"
	}
	w.seen["owned "+reason]++
	return ofService(reason, w.model.Owner)
}

// ended is how flows have ended in this episode.
func (w *world) ended() dptest.Reasons {
	ends := w.bed.Ends()
	for end, n := range w.endedBefore {
		if ends[end] -= n; ends[end] == 0 {
			delete(ends, end)
		}
	}
	return ends
}

// gone says of a flow whether the program's table has it no more.
func (w *world) gone() func(*dptest.Flow) bool {
	there := map[[2]dptest.Tuple]bool{}
	for _, f := range w.bed.Flows() {
		there[[2]dptest.Tuple{f.In, f.Out}] = true
	}
	return func(f *dptest.Flow) bool { return !there[[2]dptest.Tuple{f.In, f.Out}] }
}

func (w *world) compareFlows() bool {
	text := func(flows []dptest.Flow) string {
		var lines []string
		for _, f := range flows {
			lines = append(lines, f.String())
		}
		slices.Sort(lines)
		return strings.Join(lines, "\n")
	}
	if diff := packet.DiffText(text(w.model.Flows()), text(w.bed.Flows())); diff != "" {
		w.t.Errorf("other flows:\n%s", diff)
	}
	ended := w.ended()
	if !maps.Equal(ended, w.model.Ends) {
		w.t.Errorf("flows have ended as %v, want %v", ended, w.model.Ends)
	}
	for end := range ended {
		w.seen[strings.TrimSuffix(strings.TrimSuffix(end, " ipv4"), " ipv6")]++
	}
	if got, want := w.bed.Sticks(), w.model.Sticks(); !slices.Equal(got, want) {
		w.t.Errorf("stick entries are\n%v\nwant\n%v", got, want)
	}
	got, want := w.bed.Signals(), w.model.Signals()
	if !slices.Equal(got, want) {
		w.t.Errorf("reports are %v, want %v", got, want)
	}
	for _, s := range got {
		w.seen["signal "+s.Kind.String()]++
	}
	for _, fault := range w.bed.Check() {
		w.t.Error(fault)
	}
	return !w.t.Failed()
}
