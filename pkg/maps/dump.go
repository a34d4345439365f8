package maps

import (
	"fmt"
	"math/bits"
	"net"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/headgate/headgate/loader"
)

// entry makes an Entry of a numbered map.
func entry(index uint32, format string, args ...any) Entry {
	return Entry{Key: strconv.FormatUint(uint64(index), 10), Value: fmt.Sprintf(format, args...)}
}

func (r *Reader) dumpFlows(family int) func(emit) {
	return func(yield emit) {
		now := jiffiesAt(&r.meta, r.clock())
		for _, t := range r.families(family) {
			halves(t, func(h half) bool { return yield(r.dumpHalf(&h, now), nil) })
		}
	}
}

func (r *Reader) dumpHalf(h *half, now uint32) Entry {
	direction := "reply"
	if h.forward() {
		direction = "forward"
	}
	e := Entry{
		Key: fmt.Sprintf("%d.%d", h.ref/bucketSlots, h.ref%bucketSlots),
		Value: fmt.Sprintf("%s %s %s %s > %s as %s > %s node %d peer %d.%d idle %s packets %d bytes %d",
			direction, decodeProtocol(h.proto), h.class(), h.key.src, h.key.dst, h.nat.src, h.nat.dst,
			h.common.Node, h.common.Peer/bucketSlots, h.common.Peer%bucketSlots,
			r.since(h.common.Seen, now).Round(time.Millisecond), h.common.Packets, h.common.Bytes),
	}
	if !h.forward() {
		e.Value += fmt.Sprintf(" hop %s", decodeHop(h.common.Own.Hop))
	}
	return e
}

func (r *Reader) dumpVIPs(yield emit) {
	vips, err := r.vips()
	if err != nil {
		yield(Entry{}, fmt.Errorf("read vips: %w", err))
		return
	}
	for _, v := range sortedVIPs(vips) {
		value := fmt.Sprintf("service %d", vips[v])
		if v.isAddress() {
			value = "the address itself"
		}
		if !yield(Entry{Key: v.String(), Value: value}, nil) {
			return
		}
	}
}

// dumpServices shows the services that have slots, and those without that a VIP leads to.
func (r *Reader) dumpServices(yield emit) {
	vips, err := r.vips()
	if err != nil {
		yield(Entry{}, fmt.Errorf("read vips: %w", err))
		return
	}
	published := make(map[uint32]bool, len(vips))
	for _, id := range vips {
		published[id] = true
	}
	for id := range uint32(len(r.services)) {
		raw := atomic.LoadUint64(&r.services[id].Word)
		if raw == 0 && !published[id] {
			continue
		}
		w := decodeServiceWord(raw)
		text, err := r.policyText(id, w)
		algorithm := w.Algorithm.String()
		if w.Limited {
			algorithm += " with limits"
		}
		if !yield(entry(id, "%s, %d entries, slots %d+%d, when empty %s", algorithm, w.Length, w.Offset, w.Words(), text), err) || err != nil {
			return
		}
	}
}

// policyText says what a service does beside scheduling.
func (r *Reader) policyText(id uint32, w ServiceWord) (string, error) {
	text := "refuse"
	if w.Drop {
		text = "drop"
	}
	if w.Stick {
		p, err := r.ReadStickPolicy(id)
		if err != nil {
			return "", err
		}
		text += fmt.Sprintf(", clients stick for %s, tier %d", p.TTL, p.Tier)
		if p.Slides {
			text += ", sliding"
		}
	}
	if w.Throttle {
		p, err := r.ReadThrottlePolicy(id)
		if err != nil {
			return "", err
		}
		text += fmt.Sprintf(", %d flows a second and client in group %d", p.Rate, p.Group)
	}
	return text, nil
}

func (r *Reader) dumpTickets(yield emit) {
	for id := range uint32(len(r.servicesLive)) {
		if n := atomic.LoadUint64(&r.servicesLive[id].Ticket); n != 0 && !yield(entry(id, "ticket %d", n), nil) {
			return
		}
	}
}

func (r *Reader) dumpRefusedOf(yield emit) {
	services, err := r.Refusals()
	if err != nil {
		yield(Entry{}, err)
		return
	}
	for _, s := range services {
		counts := make([]string, len(s.Reasons))
		for i, c := range s.Reasons {
			counts[i] = fmt.Sprintf("%s %d", c.Name, c.Packets)
		}
		if len(counts) > 0 && !yield(entry(s.ID, "packets refused or dropped: %s", strings.Join(counts, ", ")), nil) {
			return
		}
	}
}

func (r *Reader) dumpServicesInfo(yield emit) {
	for id := range uint32(len(r.servicesInfo)) {
		i := &r.servicesInfo[id]
		if i.Vip.Family == 0 {
			continue
		}
		if !yield(entry(id, "%s %s", decodeVIP(i.Vip), uncut(i.Balancer)), nil) {
			return
		}
	}
}

// dumpSlots shows the words that a service's table takes; the others are nobody's.
func (r *Reader) dumpSlots(yield emit) {
	for id := range uint32(len(r.services)) {
		w := decodeServiceWord(atomic.LoadUint64(&r.services[id].Word))
		table, members, err := ReadTable(r, w)
		if err != nil {
			yield(Entry{}, fmt.Errorf("service %d: %w", id, err))
			return
		}
		at := w.Offset
		for _, slot := range table {
			if !yield(entry(at, "%s (service %d)", describeSlot(w.Algorithm, slot), id), nil) {
				return
			}
			at++
		}
		for i, ids := range members {
			text := fmt.Sprintf("%d words of members", ids)
			if i > 0 {
				text = "members " + describeIDs(ids)
			}
			if !yield(entry(at, "%s (service %d)", text, id), nil) {
				return
			}
			at++
		}
	}
}

func (r *Reader) dumpNodes(yield emit) {
	for id := range uint32(len(r.nodes)) {
		n, err := r.ReadNode(id)
		if err == nil && n.Status.Lifecycle == Free {
			continue
		}
		s := n.Status
		if !yield(entry(id, "%s/%s %s mode %s health %s override %s actions [%s] generation %d hop %s service %d snats %d+%d idle tcp %s udp %s max_conns %d flows divided by %d%s",
			n.Address, n.Protocol, s.Lifecycle, s.Mode, s.Health, s.Override, s.Actions, s.Generation, n.Hop,
			n.Service, n.SNATs.First, n.SNATs.Count, n.Idle.TCP, n.Idle.UDP, n.Load.MaxConns, n.Load.Weight, r.deadline(n.Deadline)), err) || err != nil {
			return
		}
	}
}

// deadline says in words when one falls, or fell; nothing when there is none.
func (r *Reader) deadline(at Moment) string {
	if at == 0 {
		return ""
	}
	left := r.Time(at).Sub(r.now()).Round(time.Second)
	if left < 0 {
		return fmt.Sprintf(" deadline %s ago", -left)
	}
	return fmt.Sprintf(" deadline in %s", left)
}

// The source ports of NAT, as in bpf/abi.h.
const (
	natPortMin   = 1536
	natPortCount = 64000
)

// dumpLive shows the port that the counter stands for.
func (r *Reader) dumpLive(yield emit) {
	for id := range uint32(len(r.nodesLive)) {
		l := &r.nodesLive[id]
		active, next := atomic.LoadUint64(&l.Active), atomic.LoadUint64(&l.NextPort)
		if active|next == 0 {
			continue
		}
		if !yield(entry(id, "active %d next port %d", active, natPortMin+next%natPortCount), nil) {
			return
		}
	}
}

func (r *Reader) dumpTrouble(yield emit) {
	for id := range uint32(len(r.nodesTrouble)) {
		t, err := r.Trouble(id)
		if err == nil && t == (Trouble{}) {
			continue
		}
		if !yield(entry(id, "failed %d connections in a row, %d reports lost", t.InARow, t.Lost), err) || err != nil {
			return
		}
	}
}

// dumpTraffic shows the nodes that have an id; the map holds nothing of interest for others.
func (r *Reader) dumpTraffic(yield emit) {
	for id := range uint32(len(r.nodes)) {
		n, err := r.ReadNode(id)
		if err == nil && n.Status.Lifecycle == Free {
			continue
		}
		var t Traffic
		if err == nil {
			t, err = r.nodeTraffic(id)
		}
		if !yield(entry(id, "in %d packets %d bytes, out %d packets %d bytes, %d flows%s",
			t.PacketsIn, t.BytesIn, t.PacketsOut, t.BytesOut, t.Flows, t.Failed), err) || err != nil {
			return
		}
	}
}

func (r *Reader) dumpNodesInfo(yield emit) {
	for id := range uint32(len(r.nodesInfo)) {
		i, err := r.ReadNodeInfo(id)
		if err == nil && i.Label == "" {
			continue
		}
		checked := "never"
		if !i.CheckedAt.IsZero() {
			checked = i.CheckedAt.UTC().Format(time.RFC3339Nano)
		}
		mode := ""
		if i.ModeSince != 0 {
			mode = fmt.Sprintf(" mode set %s ago", r.now().Sub(r.Time(i.ModeSince)).Round(time.Second))
		}
		if !yield(entry(id, "%s weight %d checked %s%s flows %s after removal",
			i.Label, i.Weight, checked, mode, i.RemoveAfter), err) || err != nil {
			return
		}
	}
}

func (r *Reader) dumpSNATs(yield emit) {
	for i := range uint16(len(r.snats)) {
		a, err := r.ReadSNAT(i)
		if err == nil && !a.IsValid() {
			continue
		}
		if !yield(entry(uint32(i), "%s", a), err) || err != nil {
			return
		}
	}
}

func (r *Reader) dumpOurs(yield emit) {
	for i := range r.ours {
		w := atomic.LoadUint64(&r.ours[i])
		if w == 0 {
			continue
		}
		if !yield(entry(uint32(i), "%016x (%d bits)", w, bits.OnesCount64(w)), nil) {
			return
		}
	}
}

func (r *Reader) dumpLinks(yield emit) {
	for i := range uint32(len(r.links)) {
		e := &r.links[i]
		if e.Ifindex == 0 {
			continue
		}
		mtu := "any"
		if n := decodeMTU(atomic.LoadUint32(&e.Mtu)); n != 0 {
			mtu = strconv.Itoa(n)
		}
		tags := ""
		if e.Flags&loader.LinkTagged != 0 {
			tags = " VLAN " + decodeTags(e.Tags).String()
		}
		if !yield(entry(i, "interface %d mac %s mtu %s%s", e.Ifindex, net.HardwareAddr(e.Mac[:]), mtu, tags), nil) {
			return
		}
	}
}

func (r *Reader) dumpTags(yield emit) {
	for i := range r.tags {
		word := atomic.LoadUint64(&r.tags[i])
		if word == 0 {
			continue
		}
		text := "VLAN " + decodeTags(word).String()
		if isRetired(word) {
			text += ", to be freed"
		}
		if !yield(entry(uint32(i), "%s", text), nil) {
			return
		}
	}
}

func (r *Reader) dumpTxPorts(yield emit) {
	for i := range uint16(len(r.links)) {
		ifindex, err := r.txPort(i)
		if err == nil && ifindex == 0 {
			continue
		}
		if !yield(entry(uint32(i), "interface %d", ifindex), err) || err != nil {
			return
		}
	}
}

func (r *Reader) dumpReasons(yield emit) {
	counts, err := r.Reasons()
	if err != nil {
		yield(Entry{}, err)
		return
	}
	for _, c := range counts {
		if c.Packets != 0 && !yield(Entry{Key: c.Name, Value: fmt.Sprintf("%d packets", c.Packets)}, nil) {
			return
		}
	}
}

func (r *Reader) dumpRefusals(yield emit) {
	tokens, err := r.refusalTokens()
	if err != nil {
		yield(Entry{}, fmt.Errorf("read refusals: %w", err))
		return
	}
	for cpu, n := range tokens {
		if n != 0 && !yield(Entry{Key: fmt.Sprintf("cpu %d", cpu), Value: fmt.Sprintf("%d tokens", n)}, nil) {
			return
		}
	}
}

// dumpMeta leaves out the secret: who knows it can make flows that collide.
func (r *Reader) dumpMeta(yield emit) {
	yield(entry(0, "schema %d, %d jiffies a second, made %s ago", r.meta.Schema, r.meta.Hz,
		time.Duration(r.clock()-r.meta.MonotonicNs).Round(time.Second)), nil)
}
