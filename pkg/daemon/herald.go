package daemon

import (
	"fmt"
	"strings"

	"github.com/headgate/headgate/pkg/api"
	"github.com/headgate/headgate/pkg/events"
	"github.com/headgate/headgate/pkg/lb"
	"github.com/headgate/headgate/pkg/maps"
	"github.com/headgate/headgate/pkg/schedule"
	"github.com/headgate/headgate/pkg/state"
)

// herald compares each view with the one before and has what differs written down. It belongs to the
// engine's goroutine.
type herald struct {
	chronicle  *chronicle
	generation uint64 // of the view that was seen last
	revision   uint64 // of that
	nodes      map[lb.NodeKey]standing
	tiers      map[maps.VIP]schedule.Tier
	drains     *drains
}

// standing is what is followed of a node.
type standing struct {
	label    string
	health   lb.Health
	override lb.Override
	mode     lb.Mode
	weight   int
}

// follow writes down what differs from the view before. The first view is the start's, and so no news.
func (h *herald) follow(v *state.View) {
	first := h.nodes == nil
	if !first && v.Generation == h.generation {
		return
	}
	nodes, tiers := h.nodes, h.tiers
	if first || v.Revision != h.revision {
		h.nodes, h.tiers = map[lb.NodeKey]standing{}, map[maps.VIP]schedule.Tier{} // without those that are gone
	}
	var all []events.Event
	for i := range v.Services {
		svc := &v.Services[i]
		for j := range svc.Nodes {
			n := &svc.Nodes[j]
			now := standing{n.Label, n.Effective, n.Override, n.Mode, n.Weight}
			was, known := nodes[n.Key]
			h.nodes[n.Key] = now
			h.drains.follow(svc, n, first)
			if was != now && !first {
				all = append(all, newsOfNode(svc, n, was, known)...)
			}
		}
		was, known := tiers[vipOf(svc)]
		h.tiers[vipOf(svc)] = svc.Tier
		if known && was != svc.Tier {
			all = append(all, newsOfTier(svc, was))
		}
	}
	if !first && v.Revision != h.revision {
		for key, was := range nodes {
			if _, there := h.nodes[key]; !there {
				all = append(all, removal(key, was))
				h.drains.remove(key, was.label)
			}
		}
	}
	h.generation, h.revision = v.Generation, v.Revision
	h.chronicle.note(all...)
}

// newsOfNode puts into words how a node differs from what it was. That health is not known (any more)
// follows from what people did, and so is no news.
func newsOfNode(svc *state.Service, n *state.Node, was standing, known bool) (out []events.Event) {
	name := lb.NodeName(svc.Config, n.Label)
	event := func(kind events.Kind, from, to, format string, args ...any) {
		out = append(out, events.Event{Kind: kind, Config: svc.Config.String(), Node: name, From: from, To: to,
			Text: name + fmt.Sprintf(format, args...)})
	}
	if !known {
		event(events.Added, "", string(n.Mode), ": added with address %s, weight %d, mode %s", n.Key.Address, n.Weight, n.Mode)
		was = standing{n.Label, lb.Unknown, n.Override, n.Mode, n.Weight}
	}
	if set := settings(n, was); len(set) > 0 {
		from, to := "", ""
		if n.Mode != was.mode {
			from, to = string(was.mode), string(n.Mode)
		}
		event(events.Changed, from, to, ": %s", strings.Join(set, ", "))
	}
	if n.Effective != was.health && n.Effective != lb.Unknown {
		why := ""
		if n.Reason != "" {
			why = ": " + n.Reason
		}
		event(events.Health, string(was.health), string(n.Effective), " is %s%s", n.Effective, why)
	}
	return out
}

// settings says what people have set on a node.
func settings(n *state.Node, was standing) (set []string) {
	if n.Label != was.label {
		set = append(set, fmt.Sprintf("label %s → %s", was.label, n.Label))
	}
	if n.Mode != was.mode {
		set = append(set, fmt.Sprintf("mode %s → %s", was.mode, n.Mode))
	}
	if n.Weight != was.weight {
		set = append(set, fmt.Sprintf("weight %d → %d", was.weight, n.Weight))
	}
	if n.Override != was.override {
		set = append(set, fmt.Sprintf("override %s → %s", was.override, n.Override))
	}
	return set
}

func removal(key lb.NodeKey, was standing) events.Event {
	name := lb.NodeName(key.Config, was.label)
	return events.Event{Kind: events.Removed, Config: key.Config.String(), Node: name, From: string(was.mode),
		Text: fmt.Sprintf("%s: removed (%s)", name, key.Address)}
}

// newsOfTier says who takes the new flows of a service from now on.
func newsOfTier(svc *state.Service, was schedule.Tier) events.Event {
	what := map[schedule.Tier]string{
		schedule.Primary: "the primaries take new flows again",
		schedule.Backup:  "the backups take new flows: too few primaries are eligible",
		schedule.Open:    "nodes that are DOWN take new flows: nothing is eligible, and on_no_backend is open",
		schedule.None:    "new flows are refused: nothing is eligible",
	}[svc.Tier]
	if svc.Tier == schedule.None && svc.OnNoBackend == lb.NoBackendDrop {
		what = "new flows are dropped: nothing is eligible"
	}
	return events.Event{Kind: events.Tier, Config: svc.Config.String(), From: string(was), To: string(svc.Tier),
		Text: fmt.Sprintf("%s (%s): %s", svc.Config, svc.VIP, what)}
}

func vipOf(svc *state.Service) maps.VIP {
	return maps.VIP{Addr: svc.VIP, Port: svc.Port, Protocol: svc.Protocol}
}

// counted says what the steps of a plan are, by their number.
func counted(p *api.Plan) string {
	count := map[string]int{}
	for _, s := range p.Steps {
		count[s.Action]++
	}
	return fmt.Sprintf("%d added, %d changed, %d removed", count[api.Add], count[api.Change], count[api.Remove])
}
