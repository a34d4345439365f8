package dptest

import (
	"net/netip"
	"time"

	"github.com/headgate/headgate/loader"
	"github.com/headgate/headgate/pkg/packet"
)

// Model is the program's decision written a second time, in Go. A test makes the same changes to it
// and to a Bed, and runs the same packets, the Bed's first. It holds for a Bed whose flow tables are
// large enough never to be full, and for one with a single bucket, whose Capacity is 4.
type Model struct {
	Admits   func(netip.Addr) bool // the Bed's: what is not ours may look so, and comes a little further
	Capacity int                   // flows of each family; 0: any number
	Gone     func(f *Flow) bool    // whether the Bed has it no more; several may be equally good to leave
	Faults   []string              // of evictions: a flow left that should have stayed
	Ends     Reasons               // how flows have ended; as Bed.Ends
	Owner    int                   // the service of the last packet, if it was refused or dropped; Nobody: not known

	links     map[uint16]modelLink
	snats     map[uint32]netip.Addr
	services  map[Tuple]*modelService // key: protocol and VIP, as Dst
	vips      map[netip.Addr]bool     // of all services, also of those that are gone
	nodes     map[uint32]*Node
	deadline  map[uint32]time.Duration // of nodes; counts with ActionDeadline
	flows     map[Tuple]*modelFlow     // by the client's tuple
	replies   map[Tuple]*modelFlow     // by the node's
	sticks    map[clientKey]*modelStick
	budgets   map[budgetKey]time.Duration // until when a client's flows last at its rate
	announced map[announcedKey]packet.MAC
	signals   modelSignals
	now       time.Duration
	sentWith  *Tags // the tags of the frame that Run sends on; nil: it is not

	datagrams     map[datagramKey]*modelDatagram
	datagramCount uint32 // sent on, in fragments
}

// Nobody is the Owner of a packet that the program could not tell the service of.
const Nobody = -1

type modelLink struct {
	ifindex int
	mac     packet.MAC
	mtu     int
	tags    Tags // of a VLAN interface
	parent  int  // of one: the interface that frames leave by
}

// limit is the largest packet that leaves by a hop of the link.
func (l modelLink) limit(hop Hop) int {
	if hop.Tags.double() {
		return l.mtu - 4
	}
	return l.mtu
}

type modelService struct {
	Service
	ticket, cursor uint64
}

// modelFlow is a flow; times are those of the Model.
type modelFlow struct {
	Flow
	born, seenForward, seenReply time.Duration
	closed                       time.Duration // since when its class is Closing
	failed                       bool          // its node has, and that was counted
}

// NewModel returns a model of a Bed with empty tables.
func NewModel(b *Bed) *Model {
	return &Model{
		Admits: b.Admits, Ends: Reasons{},
		links: map[uint16]modelLink{}, snats: map[uint32]netip.Addr{}, services: map[Tuple]*modelService{}, vips: map[netip.Addr]bool{},
		nodes: map[uint32]*Node{}, deadline: map[uint32]time.Duration{}, flows: map[Tuple]*modelFlow{}, replies: map[Tuple]*modelFlow{},
		datagrams: map[datagramKey]*modelDatagram{}, sticks: map[clientKey]*modelStick{}, announced: map[announcedKey]packet.MAC{}, budgets: map[budgetKey]time.Duration{},
		signals: modelSignals{row: map[uint32]uint32{}, reported: map[uint32]time.Duration{}},
	}
}

// Times after which an idle flow is as good as gone, whatever its node says.
const (
	halfOpenIdle = 10 * time.Second
	closingIdle  = 10 * time.Second
)

func vipTuple(s Service) Tuple { return Tuple{Proto: s.Proto, Dst: s.VIP} }

// SetLink, SetSNAT, SetService, SetNode, SetStatus, SetDeadline, SetHop and Age do to the model
// what the methods of the same name do to a Bed.
func (m *Model) SetLink(index uint16, ifindex int, mac packet.MAC) {
	m.links[index] = modelLink{ifindex: ifindex, mac: mac, mtu: 1 << 16}
}

// SetMTU is Bed.SetMTU.
func (m *Model) SetMTU(index uint16, mtu uint32) {
	link := m.links[index]
	link.mtu = int(mtu)
	m.links[index] = link
}

// SetSNAT is Bed.SetSNAT.
func (m *Model) SetSNAT(index uint32, addr netip.Addr) { m.snats[index] = addr }

// SetService is Bed.SetService.
func (m *Model) SetService(s Service) {
	next := &modelService{Service: s}
	if was := m.services[vipTuple(s)]; was != nil {
		next.ticket, next.cursor = was.ticket, was.cursor
	}
	m.services[vipTuple(s)] = next
	m.vips[s.VIP.Addr()] = true
}

// SetNode is Bed.SetNode.
func (m *Model) SetNode(n Node) { m.nodes[n.ID], m.deadline[n.ID] = &n, m.now }

// SetStatus is Bed.SetStatus. Health, override, and other modes than backup do not count.
func (m *Model) SetStatus(id uint32, s loader.NodeStatus) {
	n := m.nodes[id]
	n.Actions, n.Generation, n.Backup, n.Free = s.Actions, s.Generation, s.Mode == ModeBackup, s.Lifecycle == 0
}

// SetDeadline is Bed.SetDeadline.
func (m *Model) SetDeadline(id uint32, in time.Duration) {
	m.deadline[id] = m.now + in
	m.nodes[id].Actions |= ActionDeadline
}

// SetHop is Bed.SetHop.
func (m *Model) SetHop(id uint32, hop Hop) { m.nodes[id].Hop = hop }

// Age is Bed.Age.
func (m *Model) Age(d time.Duration) { m.now += d }

// SweepAll is Bed.SweepAll.
func (m *Model) SweepAll() (closed uint32) {
	for _, f := range m.flows {
		switch {
		case m.expired(f):
			m.remove(f, "swept")
			closed++
		case f.Class != UDP && m.overdue(f):
			m.close(f, "deadline")
		}
	}
	return closed
}

// Flows is Bed.Flows.
func (m *Model) Flows() []Flow {
	var flows []Flow
	for _, f := range m.flows {
		flows = append(flows, f.Flow)
	}
	sortFlows(flows)
	return flows
}

// expired says whether a flow is as good as gone.
func (m *Model) expired(f *modelFlow) bool {
	return m.outlived(f) || f.Class == UDP && m.overdue(f)
}

// outlived says whether a flow was idle for too long; a closing one rests from when it was closed.
func (m *Model) outlived(f *modelFlow) bool {
	node := m.nodes[f.Node]
	if f.Class == Closing && m.now-f.closed <= closingIdle {
		return false
	}
	limit := map[Class]time.Duration{
		HalfOpen: halfOpenIdle, Closing: closingIdle, Established: node.TCPIdle, UDP: node.UDPIdle,
	}[f.Class]
	return m.idle(f) > limit
}

// overdue says whether the node of a flow is past its deadline.
func (m *Model) overdue(f *modelFlow) bool { return m.pastDeadline(m.nodes[f.Node]) }

func (m *Model) pastDeadline(n *Node) bool {
	return n.Actions&ActionDeadline != 0 && m.now >= m.deadline[n.ID]
}

func (m *Model) close(f *modelFlow, why string) {
	if f.Class != Closing {
		f.Class, f.closed = Closing, m.now
		m.Ends[closed(why, f.In.Src.Addr().Is4())]++
	}
}

func (m *Model) remove(f *modelFlow, why string) {
	m.Ends[removed(why, f.Class, f.In.Src.Addr().Is4())]++
	delete(m.flows, f.In)
	delete(m.replies, f.Out.reverse())
}

// Outcome is what should become of a packet.
type Outcome struct {
	Verdict Verdict
	Reason  string
	Frame   []byte // as it is then; checksums of forwarded packets are left as they came
}

// decide says what should become of a frame whose tags were taken off.
func (m *Model) decide(ifindex int, frame []byte, t Tags) Outcome {
	if isARP(frame) {
		if t.elsewhere() {
			return Outcome{Pass, "not_ip", frame}
		}
		return m.answerARP(ifindex, frame)
	}
	p, reason := m.parse(frame)
	if reason != "" {
		return Outcome{Pass, reason, frame}
	}
	p.ifindex, p.tags = ifindex, t
	switch {
	case p.part != nil:
		return m.fragment(p)
	case p.icmp():
		return m.control(p)
	}
	return m.ordinary(p)
}

// ordinary decides about a packet that has ports.
func (m *Model) ordinary(p *modelPacket) Outcome {
	admitted := false
	if f := m.flows[p.tuple]; f != nil {
		if outcome, done := m.forward(p, f); done {
			return outcome
		}
		admitted = (f.Class == HalfOpen || f.Class == UDP) && !m.outlived(f)
	} else if f := m.replies[p.tuple]; f != nil {
		return m.reply(p, f)
	}
	return m.newFlow(p, admitted)
}

func (m *Model) ownedBy(node uint32) { m.Owner = int(m.nodes[node].Service) }

func (m *Model) forward(p *modelPacket, f *modelFlow) (Outcome, bool) {
	m.ownedBy(f.Node)
	if p.ttl <= 1 {
		return Outcome{Pass, "ttl_expired", p.frame}, true
	}
	if m.givesWay(p, f) {
		return Outcome{}, false
	}
	if why := m.whyOver(p, f); why != "" && p.tcp() {
		m.close(f, why)
		return m.refuse(p, why), true
	}
	return m.deliver(p, f, "forwarded"), true
}

// whyOver is the reason why a flow ends with this packet, or empty.
func (m *Model) whyOver(p *modelPacket, f *modelFlow) string {
	switch {
	case p.flags&packet.RST != 0:
		return "" // that ends it by itself
	case p.tcp() && m.nodes[f.Node].Actions&ActionResetTCP != 0:
		return "node_down"
	case m.overdue(f):
		return "deadline"
	}
	return ""
}

// givesWay says whether a packet of the client ends the flow that it belongs to, for a new one.
func (m *Model) givesWay(p *modelPacket, f *modelFlow) bool {
	actions := m.nodes[f.Node].Actions
	dead := actions&ActionDead != 0 || m.overdue(f)
	if !p.tcp() {
		return dead || m.expired(f)
	}
	return p.opens() && (dead || f.Class == Closing || f.Class == HalfOpen && actions&(ActionNew|ActionStick) == 0)
}

func (m *Model) reply(p *modelPacket, f *modelFlow) Outcome {
	m.ownedBy(f.Node)
	if p.ttl <= 1 {
		return Outcome{Pass, "ttl_expired", p.frame}
	}
	reason, why := "replied", m.whyOver(p, f)
	switch {
	case why != "" && (f.Class == UDP || f.Class == Closing):
		return m.refuse(p, why)
	case why != "":
		m.close(f, why)
		reason = "reset_client"
	case !m.fits(p, f.ReplyHop):
		return m.refuse(p, "too_big")
	}
	f.seenReply = m.now
	f.Reply.Packets++
	f.Reply.Bytes += p.bytes
	if p.tcp() {
		m.follow(p, f, false)
	}
	return m.send(p, f.In.reverse(), f.ReplyHop, reason)
}

func (m *Model) deliver(p *modelPacket, f *modelFlow, reason string) Outcome {
	hop := m.nodes[f.Node].Hop
	if !m.fits(p, hop) {
		if reason == "new_flow" {
			f.Forward = Traffic{1, p.bytes} // as it was created
		}
		return m.refuse(p, "too_big")
	}
	f.seenForward = m.now
	f.Forward.Packets++
	f.Forward.Bytes += p.bytes
	if p.tcp() {
		m.follow(p, f, true)
	}
	return m.send(p, f.Out, hop, reason)
}

// follow moves a flow's class by a segment's flags.
func (m *Model) follow(p *modelPacket, f *modelFlow, fromClient bool) {
	switch {
	case p.flags&packet.RST != 0:
		if !fromClient && p.flags&packet.ACK != 0 {
			m.failed(f, Refused)
		}
		m.close(f, map[bool]string{true: "client_reset", false: "node_reset"}[fromClient])
		return
	case fromClient && p.flags&(packet.SYN|packet.ACK|packet.FIN) == packet.SYN && f.Forward.Packets >= unansweredSYNs && m.now-f.born >= unansweredAfter:
		m.failed(f, Unanswered)
	case !fromClient && p.flags&(packet.SYN|packet.ACK) == packet.SYN|packet.ACK:
		f.SynAck, f.ExpectAck = true, p.seq+1
		m.taken(f)
	case fromClient && f.SynAck && f.Class == HalfOpen && p.flags&(packet.SYN|packet.ACK) == packet.ACK &&
		p.ack-f.ExpectAck < 1<<20:
		f.Class = Established
	}
	if p.flags&packet.FIN == 0 {
		return
	}
	if fromClient {
		f.ClientFIN = true
	} else {
		f.NodeFIN = true
	}
	if f.ClientFIN && f.NodeFIN {
		m.close(f, "fin")
	}
}

// send rewrites a packet and names its way out.
func (m *Model) send(p *modelPacket, to Tuple, hop Hop, reason string) Outcome {
	return m.leave(p, p.rewritten(to), hop, reason)
}

// leave names the way out of a packet that is as it is to be but for its MACs.
func (m *Model) leave(p *modelPacket, out []byte, hop Hop, reason string) Outcome {
	link, known := m.links[hop.Link]
	if hop == (Hop{}) || !known {
		return Outcome{Pass, "hop_unresolved", out}
	}
	if int(p.bytes) > link.limit(hop) && !p.icmp() && reason != "reset_client" {
		return Outcome{Pass, "left_to_fragment", out}
	}
	copy(out, hop.MAC[:])
	copy(out[6:], link.mac[:])
	if reason == "reset_client" {
		out = p.cut(out)
	}
	m.sentWith = &hop.Tags
	by := link.ifindex
	if link.tags != 0 {
		m.sentWith, by = &link.tags, link.parent
	}
	if by == p.ifindex {
		return Outcome{Tx, reason, out}
	}
	return Outcome{Redirect, reason, out}
}
