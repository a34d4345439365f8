package api

import (
	"context"
	"encoding/json"
	"net/http"
)

// Question is a packet that somebody asks about.
type Question struct {
	Frame     []byte `json:"frame"`               // from the Ethernet header on
	Interface string `json:"interface,omitempty"` // that it comes in by; empty: the first that the program is on
}

// Story is what would become of a packet at this moment, and why.
type Story struct {
	Interface string     `json:"interface"`
	Packet    string     `json:"packet"` // as it comes, a line for each of its layers
	Config    string     `json:"config,omitempty"`
	Node      string     `json:"node,omitempty"`      // that its flow goes to
	NewFlow   bool       `json:"new_flow"`            // its flow would be made
	Direction string     `json:"direction,omitempty"` // in: client to node; out: node to client
	Flow      *Flow      `json:"flow,omitempty"`      // as the packet finds it, or as it would be made
	State     string     `json:"state,omitempty"`     // of the flow, afterwards
	Evicted   []Flow     `json:"evicted,omitempty"`   // flows that would leave the table for it
	Sent      string     `json:"sent,omitempty"`      // the packet as it would leave, or what would answer it
	Out       string     `json:"out,omitempty"`       // the interface that it would leave by
	Verdict   string     `json:"verdict"`             // of XDP: pass, drop, tx or redirect
	Fate      string     `json:"fate"`                // passed, forwarded, answered, refused or dropped
	Reason    string     `json:"reason"`              // as in status and in the metrics
	Steps     []Sentence `json:"steps"`               // all of it in sentences, in the packet's order
}

// Sentence is one of a story, about a stage of the packet's way.
type Sentence struct {
	Stage string `json:"stage"`
	Text  string `json:"text"`
}

// Explain implements Look.
func (c *Client) Explain(ctx context.Context, q Question) (Story, error) {
	body, err := json.Marshal(q)
	if err != nil {
		return Story{}, err
	}
	return call[Story](ctx, c, http.MethodPost, "/explain", nil, body)
}

func (s *Server) explain(r *http.Request) (any, error) {
	var q Question
	dec := json.NewDecoder(r.Body)
	dec.DisallowUnknownFields()
	if err := dec.Decode(&q); err != nil {
		return nil, BadRequest("", "body: %v", err)
	}
	return s.backend.Explain(r.Context(), q)
}
