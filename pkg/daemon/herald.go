package daemon

import (
	"fmt"
	"strings"

	"github.com/headgate/headgate/pkg/api"
	"github.com/headgate/headgate/pkg/events"
	"github.com/headgate/headgate/pkg/lb"
	"github.com/headgate/headgate/pkg/schedule"
	"github.com/headgate/headgate/pkg/state"
)

// herald compares each view with the one before and has what differs written down. It belongs to the
// engine's goroutine.
type herald struct {
	chronicle  *chronicle
	generation uint64 // of the view that was seen last
	services   map[serviceKey]*followed
	order      []*followed // as their services stood in that view
	drains     *drains
}

// serviceKey is a config with the family of one of its VIPs, which may be another address tomorrow.
type serviceKey struct {
	config lb.ConfigKey
	is4    bool
}

// followed is what is followed of a service.
type followed struct {
	key        serviceKey
	built      uint64 // as it was seen last
	generation uint64 // of the last view in which it was placed
	tier       schedule.Tier
	nodes      []state.Node // which nobody changes
}

// seen is what events tell of.
type seen struct {
	label    string
	health   lb.Health
	override lb.Override
	mode     lb.Mode
	weight   int
	ejected  bool
	spared   bool
}

func seenOf(n *state.Node) seen {
	return seen{n.Label, n.Effective, n.Override, n.Mode, n.Weight, n.Ejection != nil && !n.Spared, n.Spared}
}

// follow writes down what differs from the view before. The first view is the start's, and so no news.
func (h *herald) follow(v *state.View) {
	first := h.services == nil
	if !first && v.Generation == h.generation {
		return
	}
	if first {
		h.services = map[serviceKey]*followed{}
	}
	var all []events.Event
	moved := len(h.order) != len(v.Services)
	for i, svc := range v.Services {
		if i < len(h.order) && svc.Built != 0 && h.order[i].built == svc.Built {
			continue
		}
		f := h.of(i, svc)
		if moved = moved || h.order[i] != f; f.built != svc.Built {
			news := f.follow(svc, h.drains, first)
			if !first {
				all = append(all, news...)
			}
		}
	}
	if moved {
		h.place(v)
		all = append(all, h.forget(v.Generation)...)
	}
	h.generation = v.Generation
	h.chronicle.note(all...)
}

// place notes where the services of a view stand.
func (h *herald) place(v *state.View) {
	order := make([]*followed, len(v.Services))
	for i, svc := range v.Services {
		order[i] = h.of(i, svc)
		order[i].generation = v.Generation
	}
	h.order = order
}

// of gives what is followed of the service that stands there in the view. Mostly that is where it stood before.
func (h *herald) of(i int, svc *state.Service) *followed {
	key := serviceKey{svc.Config, svc.VIP.Is4()}
	if i < len(h.order) && h.order[i].key == key {
		return h.order[i]
	}
	f := h.services[key]
	if f == nil {
		f = &followed{key: key, tier: svc.Tier}
		h.services[key] = f
	}
	return f
}

// follow says what has become of a service.
func (f *followed) follow(svc *state.Service, d *drains, first bool) (all []events.Event) {
	for j := range svc.Nodes {
		d.follow(svc, &svc.Nodes[j], first)
	}
	var gone []events.Event
	key := func(n *state.Node) lb.NodeKey { return n.Key }
	state.Pair(f.nodes, svc.Nodes, key, func(key lb.NodeKey, was, is *state.Node) {
		switch {
		case is == nil:
			gone = append(gone, removal(key, seenOf(was)))
			d.remove(key, was.Label)
		case was == nil:
			all = append(all, newsOfNode(svc, is, seen{}, false)...)
		case seenOf(was) != seenOf(is):
			all = append(all, newsOfNode(svc, is, seenOf(was), true)...)
		}
	})
	if f.tier != svc.Tier {
		all = append(all, newsOfTier(svc, f.tier))
	}
	f.built, f.tier, f.nodes = svc.Built, svc.Tier, svc.Nodes
	return append(all, gone...)
}

// forget drops the services that a view has no longer, and says which nodes have gone with them.
func (h *herald) forget(generation uint64) (all []events.Event) {
	for key, f := range h.services {
		if f.generation == generation {
			continue
		}
		for i := range f.nodes {
			was := &f.nodes[i]
			all = append(all, removal(was.Key, seenOf(was)))
			h.drains.remove(was.Key, was.Label)
		}
		delete(h.services, key)
	}
	return all
}

// newsOfNode puts into words how a node differs from what it was. That health is not known (any more)
// follows from what people did, and so is no news.
func newsOfNode(svc *state.Service, n *state.Node, was seen, known bool) (out []events.Event) {
	name := lb.NodeName(svc.Config, n.Label)
	event := func(kind events.Kind, from, to, format string, args ...any) {
		out = append(out, events.Event{Kind: kind, Config: svc.Config.String(), Node: name, From: from, To: to,
			Text: name + fmt.Sprintf(format, args...)})
	}
	if !known {
		event(events.Added, "", string(n.Mode), ": added with address %s, weight %d, mode %s", n.Key.Address, n.Weight, n.Mode)
		was = seen{label: n.Label, health: lb.Unknown, override: n.Override, mode: n.Mode, weight: n.Weight}
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
	switch {
	case n.Spared && !was.spared && n.Override == lb.OverrideNone:
		event(events.Passive, "", "spared", ": %s; it is not ejected, because no more than half may be out for that", n.Ejection.Failure)
	case n.Ejection == nil && was.ejected:
		event(events.Passive, "ejected", "", ": its ejection is over")
	}
	return out
}

// settings says what people have set on a node.
func settings(n *state.Node, was seen) (set []string) {
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

func removal(key lb.NodeKey, was seen) events.Event {
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

// counted says what the steps of a plan are, by their number.
func counted(p *api.Plan) string {
	count := map[string]int{}
	for _, s := range p.Steps {
		count[s.Action]++
	}
	return fmt.Sprintf("%d added, %d changed, %d removed", count[api.Add], count[api.Change], count[api.Remove])
}
