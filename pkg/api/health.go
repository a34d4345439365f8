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
