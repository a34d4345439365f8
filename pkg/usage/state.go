package usage

import "time"

// State is what a Meter was when it was saved. The zero State is that of one that begins.
type State struct {
	At     time.Time
	Nodes  map[uint32]Last
	Totals map[int]Total
	Points map[int][]Point // by balancer, oldest first
}

// Unsaved is what is new since a Meter was saved.
type Unsaved struct {
	At     time.Time
	Nodes  map[uint32]Last
	Totals map[int]Total
	Closed []Closed
}

// Last is the counters of a node as they were last read.
type Last struct {
	Owner string `json:"owner"`
	Count
}

// Total is what a balancer has carried in a month, and since the last whole Step.
type Total struct {
	Month  string    `json:"month"` // 2006-01, UTC
	In     uint64    `json:"in"`
	Out    uint64    `json:"out"`
	Since  time.Time `json:"since"` // it is counted
	Window Window    `json:"window"`
}

// Window is what came in a Step that is not over.
type Window struct {
	Flows float64 `json:"flows"`
	In    float64 `json:"in"`
	Out   float64 `json:"out"`
}

// Closed is a point of a balancer.
type Closed struct {
	Balancer int
	Point
}
