package api

import (
	"context"
	"iter"
	"net/netip"
	"time"

	"github.com/headgate/headgate/pkg/events"
)

// Headers of every answer, and the prefix of every path.
const (
	HeaderGeneration = "X-Generation"
	HeaderApplied    = "X-Applied-Generation"
	Prefix           = "/headgate/v1"
)

// Look is what can be read. Without a daemon it is read from the pinned maps.
type Look interface {
	// Status is the whole picture: interfaces, configs, nodes, warnings.
	Status(ctx context.Context) (Status, error)
	// Flows yields the live flows that match, in no order. After an error it yields nothing more.
	Flows(ctx context.Context, q FlowQuery) iter.Seq2[Flow, error]
	// CountFlows counts the live flows that match, by node and state.
	CountFlows(ctx context.Context, q FlowQuery) ([]FlowCount, error)
	// Maps lists the pinned maps.
	Maps(ctx context.Context) ([]Map, error)
	// DumpMap yields the entries in use of one map, decoded.
	DumpMap(ctx context.Context, name string) iter.Seq2[Entry, error]
}

// Control is what changes the desired state.
type Control interface {
	// SetNode changes a node, named BALANCER/PORT[/udp]/NODE, where NODE is a label or an address.
	SetNode(ctx context.Context, name string, change NodeChange) (Generations, error)
	// Apply makes the desired state match the balancers of a file.
	Apply(ctx context.Context, req ApplyRequest) (ApplyResult, error)
	// Export gives the desired balancers as a file that Apply takes.
	Export(ctx context.Context) ([]byte, error)
	// WaitApplied returns once the data path runs the desired state of that generation or a newer one.
	WaitApplied(ctx context.Context, generation uint64) error
	// Generations says what is desired and what is applied at this moment.
	Generations() Generations
}

// Eventful is what tells what happened. Only a running daemon does; see store.ReadArchive for without one.
type Eventful interface {
	// Events yields the latest events that match, oldest first, and with Follow those that come, until ctx
	// ends.
	Events(ctx context.Context, q EventQuery) iter.Seq2[events.Event, error]
}

// EventQuery selects events; its zero fields select all.
type EventQuery struct {
	events.Filter
	Limit  int  // at most so many of those that were before; 0: all
	Follow bool // and then those that come
}

// Generations of the desired state: every change makes a new one.
type Generations struct {
	Desired uint64 `json:"generation"`
	Applied uint64 `json:"applied_generation"` // what the data path runs
}

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
	Configs     []Config    `json:"configs"`
	Refused     []Reason    `json:"refused"` // packets refused or dropped so far, by reason; zeros left out
	Warnings    []string    `json:"warnings"`
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

// Config is a port and protocol of a balancer.
type Config struct {
	Name      string   `json:"name"` // BALANCER/PORT[/udp]
	Addresses []string `json:"addresses"`
	Protocol  string   `json:"protocol"`
	Status    string   `json:"status"`             // UP, BACKUP (the backups serve) or DOWN (new flows are refused)
	Refusing  []string `json:"refusing,omitempty"` // those of Addresses whose new flows are refused
	Nodes     []Node   `json:"nodes"`
}

// Node is one backend of a config. Rates are averages of the last seconds; nil: not known (yet).
type Node struct {
	Name           string     `json:"name"` // BALANCER/PORT[/udp]/LABEL
	Config         string     `json:"config"`
	Label          string     `json:"label"`
	Address        string     `json:"address"`
	Mode           string     `json:"mode"`
	Weight         int        `json:"weight"`
	Health         string     `json:"health"`             // found by checks; DOWN in mode reject
	Reason         string     `json:"reason,omitempty"`   // of the health
	Override       string     `json:"override,omitempty"` // up or down: set by people, wins over health
	CheckedAt      *time.Time `json:"checked_at,omitempty"`
	TakesNew       bool       `json:"takes_new_flows"`
	Why            string     `json:"why,omitempty"` // it does or does not take new flows
	NextHop        string     `json:"next_hop,omitempty"`
	Unreachable    string     `json:"unreachable,omitempty"` // why packets do not reach the node, or its replies not us; empty: they do
	Lifecycle      string     `json:"lifecycle"`             // present, or removed: only its last flows are left
	ID             uint32     `json:"id"`                    // in the maps; 0: not there yet
	ActiveFlows    uint64     `json:"active_flows"`
	Flows          uint64     `json:"flows_total"`
	BytesIn        uint64     `json:"bytes_in_total"`  // client to node, layer 3
	BytesOut       uint64     `json:"bytes_out_total"` // node to client
	NewPerSecond   *float64   `json:"new_per_second,omitempty"`
	BytesPerSecond *float64   `json:"bytes_per_second,omitempty"` // both ways
}

// Lifecycles of a node.
const (
	Present = "present"
	Removed = "removed"
)

// Reason is a counter of packets that met one fate.
type Reason struct {
	Name    string `json:"name"`
	Packets uint64 `json:"packets"`
}

// NodeChange says what to set on a node; nil leaves it as it is.
type NodeChange struct {
	Mode     *string `json:"mode,omitempty"`
	Weight   *int    `json:"weight,omitempty"`
	Override *string `json:"override,omitempty"`
}

// ApplyRequest is a file to apply. Only its balancers count.
type ApplyRequest struct {
	Name   string // of the file, for the places of faults
	Data   []byte // YAML
	Prune  bool   // also remove the balancers that the file does not name
	DryRun bool   // change nothing, only plan
	Wait   bool   // answer once the data path runs it
}

// ApplyResult says what an Apply did, or would do.
type ApplyResult struct {
	Generations
	Plan   Plan `json:"plan"`
	DryRun bool `json:"dry_run"`
}

// FlowQuery selects flows; zero fields select all.
type FlowQuery struct {
	Config string     // BALANCER/PORT[/udp]
	Node   string     // BALANCER/PORT[/udp]/NODE
	Client netip.Addr // source address
	State  string     // one of FlowStates
	Limit  int        // at most so many; 0: all
}

// FlowStates are the states of a flow: a handshake that is not complete, established, a closed
// connection that rests, and a UDP session.
var FlowStates = []string{"half_open", "established", "closing", "udp"}

// Flow is one TCP connection or UDP session with its two halves joined. Times are durations until
// now; packets and bytes are of layer 3.
type Flow struct {
	Protocol   string         `json:"protocol"`
	Client     netip.AddrPort `json:"client"`
	VIP        netip.AddrPort `json:"vip"`
	Source     netip.AddrPort `json:"source"` // what the node sees as its client
	Node       netip.AddrPort `json:"node"`
	NodeName   string         `json:"node_name"` // BALANCER/PORT[/udp]/LABEL
	State      string         `json:"state"`
	AgeMS      int64          `json:"age_ms"`
	IdleMS     int64          `json:"idle_ms"`
	PacketsIn  uint64         `json:"packets_in"` // client to node
	PacketsOut uint64         `json:"packets_out"`
	BytesIn    uint64         `json:"bytes_in"`
	BytesOut   uint64         `json:"bytes_out"`
}

// FlowCount counts the flows of one node in one state.
type FlowCount struct {
	Node  string `json:"node"`
	State string `json:"state"`
	Flows uint64 `json:"flows"`
}

// Map is a pinned BPF map.
type Map struct {
	Name    string `json:"name"`
	What    string `json:"what"`    // it holds, in words
	Entries uint64 `json:"entries"` // there is room for
	Used    uint64 `json:"used"`
	Bytes   uint64 `json:"bytes"` // of memory
}

// Entry is one entry of a map, decoded for people: a line of text that starts with its key.
type Entry struct {
	Key   string `json:"key"`
	Value string `json:"value"`
}
