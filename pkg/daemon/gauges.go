package daemon

import (
	"fmt"
	"time"

	"github.com/headgate/headgate/pkg/events"
	"github.com/headgate/headgate/pkg/lb"
	"github.com/headgate/headgate/pkg/maps"
)

// clientsInterval is how often what is remembered of clients is counted, which takes a walk past all of it.
const clientsInterval = time.Minute

// asksFor says from which share on flow tables are to be looked at, and whether clients are to be counted.
func (l *limits) asksFor(now time.Time) (tablesFrom float64, clients bool) {
	tablesFrom = nearlyFull
	for at := range l.standing {
		if at.limit == events.FlowTable {
			tablesFrom = 0 // that it is less now will be news
		}
	}
	return tablesFrom, now.Sub(l.clientsAt) >= clientsInterval
}

// readLimits reads what only limits ask for. It is called beside the engine.
func (l *look) readLimits(r nodeReader, tablesFrom float64, clients bool) {
	l.fill = r.FillFrom(tablesFrom, l.nodes)
	l.ports = maps.PortsUsed(l.nodes)
	if l.refused, l.err = r.Refusals(); l.err == nil && clients {
		l.clients, l.err = r.LivingClients()
	}
}

// look goes by what was read of all nodes and tables.
func (l *limits) look(k *look) {
	if k.clients != nil {
		l.clients, l.clientsAt = k.clients, k.at
	}
	var all []gauge
	for i := range k.fill {
		all = append(all, flowTable(&k.fill[i]))
	}
	for i := range l.clients {
		all = append(all, clientTable(&l.clients[i]))
	}
	all = l.ofConfigs(all, k.refused)
	for i := range k.nodes {
		all = l.ofNode(all, &k.nodes[i], k.ports[k.nodes[i].ID])
	}
	l.take(k.at, all)
}

// ofNode adds the limits of a node that are near, or of which something was told: of ten thousand nodes that are
// mostly none.
func (l *limits) ofNode(all []gauge, s *maps.NodeState, use maps.PortUse) []gauge {
	if s.Status.Lifecycle != maps.Present {
		return all
	}
	key := lb.NodeKey{Config: s.ConfigKey(), Address: s.Address}
	matters := func(limit string, share, least float64) bool {
		return share >= least || l.standing[limited{limit: limit, node: key}] != nil
	}
	if used := use.Share(); matters(events.SourcePorts, used, portsWarn) {
		all = append(all, sourcePorts(key, s.Label, use))
	}
	used := 0.0
	if most := s.Load.MaxConns; most > 0 {
		used = share(s.Active, uint64(most))
	}
	if matters(events.MaxConns, used, 1) {
		all = append(all, maxConns(key, s, used))
	}
	return all
}

func share(used, of uint64) float64 { return float64(used) / float64(max(of, 1)) }

func flowTable(t *maps.TableFill) gauge {
	used := share(t.Used[maps.Established], t.Entries)
	return gauge{
		limited: limited{limit: events.FlowTable, family: t.Family}, share: used, near: nearlyFull, full: 0.95,
		says: func(_ string, is grade) string {
			if is == gradeFree {
				return fmt.Sprintf("the IPv%d flow table has room again: %.0f %% are established flows", t.Family, 100*used)
			}
			return tableNearlyFull(t)
		},
	}
}

// clientTable grades a table whose least recently used entry leaves when it is full.
func clientTable(t *maps.ClientFill) gauge {
	limit, who, lost := events.StickTable, "clients that stick to nodes", "those who were seen least recently are scheduled anew"
	if t.Table == "throttles" {
		limit, who, lost = events.ThrottleTable, "clients that open flows", "those who were seen least recently may open more than their rate"
	}
	return gauge{
		limited: limited{limit: limit}, share: share(t.Used, t.Entries), near: 0.8, full: 0.95,
		says: func(_ string, is grade) string {
			room := fmt.Sprintf("%d %s are remembered, and there is room for %d", t.Used, who, t.Entries)
			switch is {
			case gradeFree:
				return room + " again"
			case gradeNear:
				return fmt.Sprintf("%s: once it is used up, %s; make %s larger", room, lost, limit)
			}
			return fmt.Sprintf("%s: %s; make %s larger", room, lost, limit)
		},
	}
}

// refusedBy are the limits that clients of a config are refused for, by the reason.
var refusedBy = map[string]string{
	"throttled": events.Throttle, "nodes_full": events.MaxConns, "no_port": events.SourcePorts, "table_full": events.FlowTable,
}

// refusal is a reason that packets of a config were refused for.
type refusal struct {
	config lb.ConfigKey
	reason string
}

// ofConfigs adds to all those limits that clients of a config are refused for: full as long as there are more of them.
func (l *limits) ofConfigs(all []gauge, services []maps.Refusals) []gauge {
	counts := map[refusal]uint64{}
	for i := range services {
		for _, c := range services[i].Reasons {
			if refusedBy[c.Name] != "" {
				counts[refusal{services[i].ConfigKey(), c.Name}] += c.Packets
			}
		}
	}
	for of, count := range counts {
		more := uint64(0)
		if was := l.refused[of]; l.refused != nil && count > was { // else there is nothing to compare with
			more = count - was
		}
		all = append(all, refusalsOf(of, more))
	}
	l.refused = counts
	return all
}

func refusalsOf(of refusal, more uint64) gauge {
	return gauge{
		limited: limited{limit: refusedBy[of.reason], node: lb.NodeKey{Config: of.config}}, share: float64(min(more, 1)), near: never, full: 1,
		says: func(_ string, is grade) string {
			if is == gradeFree {
				return fmt.Sprintf("%s: for %s no packet was refused any more as %s", of.config, lb.FormatDuration(calm), of.reason)
			}
			return fmt.Sprintf("%s: clients are refused: %s (%s, %d in the last seconds)", of.config, why(of.reason), of.reason, more)
		},
	}
}
func sourcePorts(key lb.NodeKey, label string, use maps.PortUse) gauge {
	return gauge{
		limited: limited{limit: events.SourcePorts, node: key}, label: label, share: use.Share(), near: portsWarn, full: 1,
		says: func(name string, is grade) string {
			if is == gradeFree {
				return fmt.Sprintf("%s has source ports again: %d of %d are in use", name, use.Active, use.Ports)
			}
			return portsLow(name, use)
		},
	}
}

func maxConns(key lb.NodeKey, s *maps.NodeState, used float64) gauge {
	active, most := s.Active, s.Load.MaxConns
	return gauge{
		limited: limited{limit: events.MaxConns, node: key}, label: s.Label, share: used, near: never, full: 1,
		says: func(name string, is grade) string {
			switch {
			case is == gradeFull:
				return fmt.Sprintf("%s is full with %d flows (max_conns %d): new ones go to other nodes, or are refused (nodes_full) where there is none",
					name, active, most)
			case most == 0:
				return fmt.Sprintf("%s is not full any more: it has no max_conns now", name)
			}
			return fmt.Sprintf("%s is not full any more: %d flows (max_conns %d)", name, active, most)
		},
	}
}
