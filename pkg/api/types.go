package api

import (
	"context"
	"iter"
	"net/netip"

	"github.com/headgate/headgate/pkg/events"
)

// Headers of every answer, and the prefix of every path.
const (
	HeaderGeneration = "X-Generation"
	HeaderApplied    = "X-Applied-Generation"
	Prefix           = "/headgate/v1"
)

// Look is what needs no daemon: what can be read, which is then read from the pinned maps, and stick
// entries taken away.
type Look interface {
	// Status is the whole picture: interfaces, configs, nodes, warnings.
	Status(ctx context.Context) (Status, error)
	// Flows yields the live flows that match. After an error it yields nothing more.
	Flows(ctx context.Context, q FlowQuery) iter.Seq2[Flow, error]
	// CountFlows counts the live flows that match, by node and state.
	CountFlows(ctx context.Context, q FlowQuery) ([]FlowCount, error)
	// Explain tries a packet out in the data path, without a trace, and tells what becomes of it and why.
	Explain(ctx context.Context, q Question) (Story, error)
	// Maps lists the pinned maps.
	Maps(ctx context.Context) ([]Map, error)
	// DumpMap yields the entries in use of one map, decoded.
	DumpMap(ctx context.Context, name string) iter.Seq2[Entry, error]
	Sticky
}

// Control is what changes the desired state.
type Control interface {
	// Edit adds, changes or removes one balancer, config or node.
	Edit(ctx context.Context, e Edit) (ApplyResult, error)
	// Apply makes the desired state match the balancers of a file.
	Apply(ctx context.Context, req ApplyRequest) (ApplyResult, error)
	// Export gives the desired balancers as a file that Apply takes.
	Export(ctx context.Context) ([]byte, error)
	// WaitApplied returns once the data path runs the desired state of that generation or a newer one.
	WaitApplied(ctx context.Context, generation uint64) error
	// Generations says what is desired and what is applied at this moment.
	Generations() Generations
	// Place says where the daemon's maps are.
	Place() Place
}

// Place is where a daemon keeps its maps: who may open them reads them faster than over the socket.
type Place struct {
	BPFFS string `json:"bpffs"`  // the directory of the pins, as the daemon sees it
	MapID uint32 `json:"map_id"` // the kernel's id of the IPv4 flow table: tells whether pins found there are the daemon's
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

// ApplyRequest is a file to apply. Only its balancers count.
type ApplyRequest struct {
	Name   string // of the file, for the places of faults
	Data   []byte // YAML
	Prune  bool   // also remove the balancers that the file does not name
	DryRun bool   // change nothing, only plan
	Wait   bool   // answer once the data path runs it
}

// ApplyResult says what an Apply or an Edit did, or would do.
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
	Sort   string     // one of FlowSorts, the greatest first; empty: in no order
	Limit  int        // at most so many; 0: all
}

// FlowStates are the states of a flow: a handshake that is not complete, established, a closed
// connection that rests, and a UDP session.
var FlowStates = []string{"half_open", "established", "closing", "udp"}

// FlowSorts is what flows can be sorted by: bytes and packets of both directions, the time since they were
// made, and since their last packet.
var FlowSorts = []string{"bytes", "packets", "age", "idle"}

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
