package daemon

import (
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"

	"github.com/headgate/headgate/pkg/api"
	"github.com/headgate/headgate/pkg/lb"
	"github.com/headgate/headgate/pkg/state"
)

// newsMost is how many changes of nodes have a line each in the log until the next tick: a rack that
// goes away is one line, not thousands.
const newsMost = 20

// herald logs what becomes of the nodes. It belongs to the engine's goroutine.
type herald struct {
	log        *slog.Logger
	generation uint64                  // of the view that was seen last
	revision   uint64                  // of that
	seen       map[lb.NodeKey]standing // nil: none yet
	said       int                     // lines since the last tick
	held       map[string]int          // changes since the last tick that got no line, by what they are
}

// standing is what the log follows of a node.
type standing struct {
	health lb.Health
	mode   lb.Mode
	weight int
}

// news is one change of a node.
type news struct{ line, kind string }

// follow logs what differs from the view before. The first view is the start's, and so no news.
func (h *herald) follow(v *state.View) {
	if h.seen != nil && v.Generation == h.generation {
		return
	}
	first := h.seen == nil
	before := h.seen
	if first || v.Revision != h.revision {
		h.seen = map[lb.NodeKey]standing{} // without those that are gone
	}
	h.generation, h.revision = v.Generation, v.Revision
	var all []news
	for i := range v.Services {
		svc := &v.Services[i]
		for j := range svc.Nodes {
			n := &svc.Nodes[j]
			now := standing{n.Effective, n.Mode, n.Weight}
			was, known := before[n.Key]
			h.seen[n.Key] = now
			if first || was == now {
				continue
			}
			if !known {
				was = standing{lb.Unknown, n.Mode, n.Weight}
			}
			all = append(all, newsOf(svc, n, was)...)
		}
	}
	h.tell(all)
}

// newsOf puts into words how a node differs from what it was. That health is not known (any more) follows
// from what people did, and so is no news.
func newsOf(svc *state.Service, n *state.Node, was standing) (out []news) {
	name := lb.NodeName(svc.Config, n.Label)
	var set []string
	if n.Mode != was.mode {
		set = append(set, fmt.Sprintf("mode %s → %s", was.mode, n.Mode))
	}
	if n.Weight != was.weight {
		set = append(set, fmt.Sprintf("weight %d → %d", was.weight, n.Weight))
	}
	if len(set) > 0 {
		out = append(out, news{fmt.Sprintf("%s: %s", name, strings.Join(set, ", ")), "set"})
	}
	if n.Effective != was.health && n.Effective != lb.Unknown {
		line := fmt.Sprintf("%s is %s", name, n.Effective)
		if n.Reason != "" {
			line += ": " + n.Reason
		}
		out = append(out, news{line, string(n.Effective)})
	}
	return out
}

// tell logs news line by line, or keeps them for the tick's summary when they would be too many.
func (h *herald) tell(all []news) {
	if h.said+len(all) <= newsMost {
		h.said += len(all)
		for _, n := range all {
			h.log.Info(n.line)
		}
		return
	}
	if h.held == nil {
		h.held = map[string]int{}
	}
	for _, n := range all {
		h.held[n.kind]++
	}
}

// tick says what was held back, in one line.
func (h *herald) tick() {
	h.said = 0
	if len(h.held) == 0 {
		return
	}
	var words []string
	for _, kind := range slices.Sorted(maps.Keys(h.held)) {
		words = append(words, fmt.Sprintf("%d %s", h.held[kind], kind))
	}
	h.held = nil
	h.log.Info("many nodes changed at once (`headgate status` shows them): " + strings.Join(words, ", "))
}

// counted are the numbers of a plan's steps, for the log.
func counted(p *api.Plan) []any {
	count := map[string]int{}
	for _, s := range p.Steps {
		count[s.Action]++
	}
	return []any{"added", count[api.Add], "changed", count[api.Change], "removed", count[api.Remove]}
}
