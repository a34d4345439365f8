package api

import (
	"context"
	"net/http"
	"net/url"
	"time"
)

// Checked is what tells how nodes came by their health. Only a running daemon checks them.
type Checked interface {
	// Health tells of the nodes that the query selects. Their history is told when one is named.
	Health(ctx context.Context, q HealthQuery) ([]NodeHealth, error)
}

// HealthQuery selects nodes; empty fields select all.
type HealthQuery struct {
	Config string // BALANCER/PORT[/udp]
	Node   string // BALANCER/PORT[/udp]/NODE
}

// NodeHealth is a node and what its checks found. Times and counts are missing while there is no result.
type NodeHealth struct {
	Node
	Check      string        `json:"check"` // its type
	IntervalMS int64         `json:"check_interval_ms"`
	Since      *time.Time    `json:"since,omitempty"`             // Health is what it is
	DurationMS *float64      `json:"check_duration_ms,omitempty"` // of the last check
	Streak     int           `json:"streak"`                      // results in a row like the last: successes, or less than 0: failures
	Recent     string        `json:"recent"`                      // the last results, oldest first: + a success, - a failure
	History    []CheckResult `json:"history,omitempty"`           // oldest first, when one node was asked for
	Passive    *Passive      `json:"passive,omitempty"`           // where connections that a node fails speak against it
}

// Passive is what the data path saw of the connections that a node fails: those before it answers with a SYN-ACK.
type Passive struct {
	Refused     uint64     `json:"refused"`     // by the node, since it was added
	Unanswered  uint64     `json:"unanswered"`  // after three SYNs
	Unreachable uint64     `json:"unreachable"` // an ICMP error says that the SYN did not get there
	InARow      uint32     `json:"in_a_row"`    // since the node took one
	LastAt      *time.Time `json:"last_at,omitempty"`
	Last        string     `json:"last,omitempty"` // how: refused, unanswered or unreachable
	// Ejected is set while the node is taken for DOWN for it, which is so only if nobody checks it.
	Ejected *Ejected `json:"ejected,omitempty"`
	// Spared: it would be ejected, but half of the primaries, or of the backups, are out already.
	Spared bool `json:"spared,omitempty"`
}

// Ejected is how long a node is ejected.
type Ejected struct {
	Since time.Time `json:"since"`
	Until time.Time `json:"until"`
	Times int       `json:"times"` // ejections that followed each other, each twice as long as the one before
}

// CheckResult is one check in a node's history.
type CheckResult struct {
	At         time.Time `json:"at"` // its end
	DurationMS float64   `json:"duration_ms"`
	OK         bool      `json:"ok"`
	Reason     string    `json:"reason,omitempty"` // why it failed
}

func (s *Server) health(r *http.Request) (any, error) {
	v := r.URL.Query()
	return s.backend.Health(r.Context(), HealthQuery{Config: v.Get("config"), Node: v.Get("node")})
}

// Health implements Checked.
func (c *Client) Health(ctx context.Context, q HealthQuery) ([]NodeHealth, error) {
	v := url.Values{}
	for key, s := range map[string]string{"config": q.Config, "node": q.Node} {
		if s != "" {
			v.Set(key, s)
		}
	}
	return get[[]NodeHealth](ctx, c, "/health", v)
}
