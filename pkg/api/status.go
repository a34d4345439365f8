package api

import (
	"encoding/json"
	"time"

	"github.com/headgate/headgate/pkg/lb"
)

// Sources of a Status.
const (
	FromDaemon = "daemon"
	FromMaps   = "maps"
)

// Status is the whole picture at one moment.
type Status struct {
	Source    string     `json:"source"` // FromDaemon, or FromMaps when no daemon runs
	Version   string     `json:"version,omitempty"`
	PID       int        `json:"pid,omitempty"`
	StartedAt *time.Time `json:"started_at,omitempty"`
	Generations
	BPFFS       string      `json:"bpffs"`
	File        *FileStatus `json:"file,omitempty"`
	Interfaces  []Interface `json:"interfaces"`
	ActiveFlows uint64      `json:"active_flows"` // half-open, established and UDP, of all nodes
	Checks      *CheckStats `json:"checks,omitempty"`
	Balancers   []Balancer  `json:"balancers"`
	Configs     []Config    `json:"configs"`
	Refused     []Reason    `json:"refused"`  // packets refused or dropped so far, by reason; zeros left out
	Closings    []FlowEnd   `json:"closings"` // TCP flows closed so far, by what closed them; zeros left out
	Removals    []FlowEnd   `json:"removals"` // flows that left the table so far, by why and by the state they were in; zeros left out
	Warnings    []string    `json:"warnings"`
}

// CheckStats says how the checks of nodes keep up; lags are those of the last minute.
type CheckStats struct {
	Nodes    int     `json:"nodes"`  // that are checked
	Probes   int     `json:"probes"` // distinct ones: fewer where nodes of several configs are checked alike
	InFlight int     `json:"in_flight"`
	LagP99MS float64 `json:"lag_p99_ms"` // how late 99 in 100 started at most
	LagMS    float64 `json:"lag_max_ms"`
}

// FileStatus says which file the daemon reads, and how the last reading went.
type FileStatus struct {
	Path   string    `json:"path"`
	ReadAt time.Time `json:"read_at"` // last attempt
	Faults []string  `json:"faults"`  // not empty: the file changed nothing
}

// Interface is one that the program should be, or is, attached to.
type Interface struct {
	Name    string `json:"name"`
	Index   int    `json:"index"`
	Mode    string `json:"mode"` // native or generic; empty: not attached
	Warning string `json:"warning,omitempty"`
}

// Balancer is a set of virtual addresses, and of the configs that they serve.
type Balancer struct {
	ID          int      `json:"id,omitempty"` // as in version 4 of the API; not known without a daemon
	Name        string   `json:"name"`         // its label
	Tags        []string `json:"tags,omitempty"`
	Addresses   []string `json:"addresses"`
	Settings    Settings `json:"settings,omitempty"` // what was declared; not known without a daemon
	Status      string   `json:"status"`             // UP, DOWN, PARTLY (some of its configs are up) or EMPTY
	ActiveFlows uint64   `json:"active_flows"`
	Configs     []string `json:"configs"` // their names
}

// Statuses of a balancer.
const (
	BalancerUp     = "UP"
	BalancerDown   = "DOWN"
	BalancerPartly = "PARTLY"
	BalancerEmpty  = "EMPTY"
)

// Settings is what was declared of a thing, with defaults, by the keys of the file: texts, numbers and truth values.
type Settings map[string]any

// SettingsOf gives what t declares.
func SettingsOf[T any](t *T, fields []lb.Field[T]) Settings {
	s := Settings{}
	for i := range fields {
		f := &fields[i]
		switch text := f.Get(t); {
		case text == "":
		case f.Form == lb.Number:
			s[f.Key] = json.Number(text)
		case f.Form == lb.Truth:
			s[f.Key] = text == "true"
		default:
			s[f.Key] = text
		}
	}
	return s
}

// Config is a port and protocol of a balancer.
type Config struct {
	ID        int      `json:"id,omitempty"` // as in version 4 of the API; not known without a daemon
	Name      string   `json:"name"`         // BALANCER/PORT[/udp]
	Balancer  string   `json:"balancer"`
	Settings  Settings `json:"settings,omitempty"` // what was declared; not known without a daemon
	Addresses []string `json:"addresses"`
	Protocol  string   `json:"protocol"`
	Status    string   `json:"status"`             // UP, BACKUP (the backups serve) or DOWN (new flows are refused)
	Refusing  []string `json:"refusing,omitempty"` // those of Addresses whose new flows are refused
	Refused   []Reason `json:"refused,omitempty"`  // packets refused or dropped so far, by reason; zeros left out
	Nodes     []Node   `json:"nodes"`
}

// Node is one backend of a config. Rates are averages of the last seconds; nil: not known (yet).
type Node struct {
	ID             int        `json:"id,omitempty"` // as in version 4 of the API; not known without a daemon, nor of what is removed
	Name           string     `json:"name"`         // BALANCER/PORT[/udp]/LABEL
	Config         string     `json:"config"`
	Label          string     `json:"label"`
	Address        string     `json:"address"`
	Mode           string     `json:"mode"`
	Weight         int        `json:"weight"`
	MaxConns       uint32     `json:"max_conns,omitempty"` // active flows from which on it takes no new ones; 0: any number
	Health         string     `json:"health"`              // found by checks; DOWN in mode reject
	Reason         string     `json:"reason,omitempty"`    // of the health
	Override       string     `json:"override,omitempty"`  // up or down: set by people, wins over health
	CheckedAt      *time.Time `json:"checked_at,omitempty"`
	ModeSince      *time.Time `json:"mode_since,omitempty"`     // when the mode was set
	Deadline       *time.Time `json:"deadline,omitempty"`       // when the flows of a node end that is in drain, in reject or removed; nil: at their natural end
	OldestFlowMS   *int64     `json:"oldest_flow_ms,omitempty"` // age of the oldest active flow of such a node
	TakesNew       bool       `json:"takes_new_flows"`
	Why            string     `json:"why,omitempty"` // it does or does not take new flows
	NextHop        string     `json:"next_hop,omitempty"`
	Unreachable    string     `json:"unreachable,omitempty"` // why packets do not reach the node, or its replies not us; empty: they do
	Lifecycle      string     `json:"lifecycle"`             // present, or removed: only its last flows are left
	Entry          uint32     `json:"entry"`                 // its number in the maps; 0: not there yet
	ActiveFlows    uint64     `json:"active_flows"`
	StickEntries   uint64     `json:"stick_entries"` // clients whose next new flow comes here because they stick to the node
	Flows          uint64     `json:"flows_total"`
	BytesIn        uint64     `json:"bytes_in_total"`         // client to node, layer 3
	BytesOut       uint64     `json:"bytes_out_total"`        // node to client
	Failed         *uint64    `json:"failed_total,omitempty"` // clients' connections that the node refused or left unanswered, or that did not reach it; nil: nobody looks
	NewPerSecond   *float64   `json:"new_per_second,omitempty"`
	BytesPerSecond *float64   `json:"bytes_per_second,omitempty"` // both ways
	// NAT's source ports towards the node's address, of all configs that have it: those that active flows
	// hold, and those that there are.
	SourcePortsUsed uint64 `json:"source_ports_used"`
	SourcePorts     uint64 `json:"source_ports"`
}

// Lifecycles of a node.
const (
	Present = "present"
	Removed = "removed"
)

// FlowEnd is a counter of flows that ended in one way.
type FlowEnd struct {
	Name  string `json:"name"`
	State string `json:"state,omitempty"` // of removals: one of FlowStates
	Flows uint64 `json:"flows"`
	Why   string `json:"why"` // of a flow: what the name stands for, in words
}

// Reason is a counter of packets that met one fate.
type Reason struct {
	Name    string `json:"name"`
	Packets uint64 `json:"packets"`
	Why     string `json:"why"` // of a packet: what the name stands for, in words
}
