package daemon

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/headgate/headgate/loader"
	"github.com/headgate/headgate/pkg/api"
	"github.com/headgate/headgate/pkg/lb"
	"github.com/headgate/headgate/pkg/maps"
	"github.com/headgate/headgate/pkg/packet"
)

// teller makes a story of what a rehearsal found.
type teller struct {
	looker
	status *api.Status
	in     api.Interface
	sent   packet.Packet
	trial  maps.Trial
	names  map[uint32]string // of nodes, by id
	story  api.Story
}

// tell is the order of a story: that of the packet's way.
func tell(l looker, st *api.Status, in api.Interface, frame []byte, out loader.Outcome) (api.Story, error) {
	states, err := l.reader.Nodes()
	if err != nil {
		return api.Story{}, err
	}
	t := &teller{looker: l, status: st, in: in, sent: packet.Decode(frame), trial: l.reader.Trial(frame, out), names: map[uint32]string{}}
	for _, s := range states {
		t.names[s.ID] = lb.NodeName(s.ConfigKey(), s.Label)
	}
	t.story = api.Story{
		Interface: in.Name, Packet: t.sent.String(), Verdict: t.trial.Verdict, Fate: t.trial.Fate, Reason: t.trial.Reason, Steps: []api.Sentence{},
	}
	t.arrival()
	t.flow()
	t.config()
	if err := t.stickiness(); err != nil {
		return api.Story{}, err
	}
	t.choice()
	t.eviction()
	t.departure()
	t.verdict()
	return t.story, nil
}

func (t *teller) step(stage, format string, args ...any) {
	t.story.Steps = append(t.story.Steps, api.Sentence{Stage: stage, Text: fmt.Sprintf(format, args...)})
}

func (t *teller) arrival() {
	t.step("packet", "%s, comes in by %s", packet.Summary(t.sent), t.in.Name)
}

// flow tells of the packet's flow, as it is before the packet.
func (t *teller) flow() {
	f := t.trial.Flow
	if f == nil {
		if _, quoted, ok := packet.TupleOf(t.sent); ok && t.trial.Reason != "not_ours" {
			what := "the packet belongs to"
			if quoted {
				what = "the error is about"
			}
			t.step("flow", "none that %s", what)
		}
		return
	}
	t.story.Node = nodeName(t.names, f.NodeID)
	t.story.Config, _, _ = strings.Cut(t.story.Node, "/"+labelOf(t.story.Node))
	t.story.State, t.story.NewFlow, t.story.Direction = f.Class.String(), t.trial.Was == nil, "in"
	if t.trial.Reply {
		t.story.Direction = "out"
	}
	shown := *f
	if t.trial.Was != nil {
		shown = *t.trial.Was
	}
	told := flowOf(shown, t.names)
	t.story.Flow = &told
	if t.trial.Was == nil {
		t.step("flow", "none that the packet belongs to: a new one is made")
		return
	}
	direction := "from the client to the node"
	if t.trial.Reply {
		direction = "from the node to the client"
	}
	t.step("flow", "%s of %s to %s: %s for %s, idle for %s, %d packets in and %d out; the packet goes %s", shown.Protocol, shown.Client,
		t.story.Node, shown.Class, round(shown.Age), round(shown.Idle), shown.PacketsIn, shown.PacketsOut, direction)
	if f.Class != shown.Class {
		t.step("flow", "the packet makes it %s", f.Class)
	}
}

// labelOf is the last part of a node's name.
func labelOf(name string) string { return name[strings.LastIndexByte(name, '/')+1:] }

func round(d time.Duration) time.Duration {
	if d < time.Second {
		return d.Round(time.Millisecond)
	}
	return d.Round(time.Second)
}

// config tells which config serves the packet's destination, if it opens a flow or finds none.
func (t *teller) config() {
	key, quoted, ok := packet.TupleOf(t.sent)
	if !ok || quoted || t.trial.Reply || t.trial.Reason == "not_ours" {
		return
	}
	var others []string
	for _, c := range t.status.Configs {
		if !slices.Contains(c.Addresses, key.Dst.Addr().String()) {
			continue
		}
		parsed, err := lb.ParseConfigKey(c.Name)
		if err != nil || parsed.Port != key.Dst.Port() || string(parsed.Protocol) != protocolOf(key.Protocol) {
			others = append(others, c.Name)
			continue
		}
		t.story.Config = c.Name
		text := fmt.Sprintf("%s serves %s", c.Name, key.Dst)
		if algorithm := t.setting("algorithm"); algorithm != "" {
			text += " by " + algorithm
		}
		status := c.Status
		if slices.Contains(c.Refusing, key.Dst.Addr().String()) {
			status = configDown
		}
		t.step("config", "%s; it is %s there", text, status)
		return
	}
	switch {
	case t.trial.Flow != nil:
	case len(others) > 0:
		t.step("config", "none serves %s/%s; there are %s at this address", key.Dst, protocolOf(key.Protocol), strings.Join(others, ", "))
	default:
		t.step("config", "none serves %s/%s", key.Dst, protocolOf(key.Protocol))
	}
}

func protocolOf(number uint8) string {
	if number == packet.ProtoUDP {
		return string(lb.UDP)
	}
	return string(lb.TCP)
}

// stickiness tells where the client of a new flow sticks.
func (t *teller) stickiness() error {
	f := t.trial.Flow
	if f == nil || t.trial.Was != nil {
		return nil
	}
	stuck := false
	for s, err := range t.reader.Sticks(maps.StickFilter{Client: f.Client.Addr()}) {
		if err != nil {
			return err
		}
		node := nodeName(t.names, s.NodeID)
		if !strings.HasPrefix(node, t.story.Config+"/") {
			continue
		}
		if stuck = s.Holds && s.NodeID == f.NodeID; stuck {
			t.step("stickiness", "the client sticks to %s since %s, for %s more", node, round(s.Age), round(s.Left))
		} else {
			t.step("stickiness", "the client stuck to %s, which takes no such flow now", node)
		}
	}
	if s := t.setting("stickiness"); !stuck && s != "" && s != "none" {
		t.step("stickiness", "the client sticks to %s from now on", t.story.Node)
	}
	return nil
}

// setting is what the packet's config declares; empty where that is not known.
func (t *teller) setting(key string) string {
	for _, c := range t.status.Configs {
		if v, known := c.Settings[key]; c.Name == t.story.Config && known {
			return fmt.Sprint(v)
		}
	}
	return ""
}

// choice tells who could have got a new flow, and who gets it.
func (t *teller) choice() {
	f := t.trial.Flow
	refused := slices.Contains([]string{"no_backend", "no_backend_dropped", "nodes_full"}, t.trial.Reason)
	if t.story.Config == "" || !refused && (f == nil || t.trial.Was != nil) {
		return
	}
	key, _, _ := packet.TupleOf(t.sent)
	for _, c := range t.status.Configs {
		if c.Name != t.story.Config {
			continue
		}
		for _, n := range c.Nodes {
			if strings.HasPrefix(n.Address, "[") == key.Dst.Addr().Is4() {
				continue // of the other family
			}
			why := n.Why
			if why == "" && n.TakesNew {
				why = "takes new flows"
			} else if why == "" {
				why = "takes no new flows"
			}
			if n.Health == string(lb.Down) && n.Reason != "" && n.Mode != string(lb.Reject) && n.Override == "" {
				why += fmt.Sprintf(" (%s)", n.Reason)
			}
			t.step("candidate", "%s (%s, weight %d, %d active flows): %s", n.Name, n.Address, n.Weight, n.ActiveFlows, why)
		}
	}
	if !refused {
		t.step("node", "%s (%s) gets the flow", t.story.Node, f.Node)
	}
}

// evictedMost bounds how many flows are named that leave.
const evictedMost = 8

func (t *teller) eviction() {
	for i, f := range t.trial.Gone {
		t.story.Evicted = append(t.story.Evicted, flowOf(f, t.names))
		if i < evictedMost {
			t.step("eviction", "%s flow of %s to %s leaves the table for it: idle for %s", f.Class, f.Client, nodeName(t.names, f.NodeID), round(f.Idle))
		}
	}
}

// departure tells what leaves, and how.
func (t *teller) departure() {
	if t.trial.Fate == loader.Dropped || t.trial.Verdict == "pass" && t.trial.Reason != "hop_unresolved" {
		return
	}
	out := packet.Decode(t.trial.Frame)
	t.story.Sent, t.story.Out = out.String(), t.egress(t.in, t.trial.Verdict, t.trial.Frame)
	stage := "rewrite"
	if t.trial.Fate == loader.Refused || t.trial.Fate == loader.Answered {
		stage = "answer"
	}
	t.step(stage, "%s", packet.Summary(out))
	if e := packet.Find[*packet.Ethernet](out); e != nil && t.story.Out != "" {
		t.step("next hop", "%s, by %s", e.Dst, t.story.Out)
	}
}

func (t *teller) verdict() {
	where := map[string]string{loader.Passed: " to the kernel"}[t.trial.Fate]
	t.step("verdict", "%s%s (%s, XDP %s): %s", t.trial.Fate, where, t.trial.Reason, t.trial.Verdict, why(t.trial.Reason))
}
