package api

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
)

// Edit is a change of one balancer, config or node, by its name.
type Edit struct {
	Action string // Add, Change or Remove
	Kind   Kind
	Name   string // LABEL, LABEL/PORT[/udp] or LABEL/PORT[/udp]/NODE
	Values Values
	DryRun bool // change nothing, only plan
}

// Kind is what an Edit, or a step of a Plan, is about.
type Kind string

// Kinds of things.
const (
	KindBalancer Kind = "balancer"
	KindConfig   Kind = "config"
	KindNode     Kind = "node"
)

// Values are what to set, by the keys of the file and as it writes them; nil stands for the default.
type Values map[string]*string

// UnmarshalJSON takes texts, numbers and truth values as what they say, and null for the default.
func (v *Values) UnmarshalJSON(data []byte) error {
	var raw map[string]any
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.UseNumber()
	if err := dec.Decode(&raw); err != nil || raw == nil {
		return errors.New("must be an object of keys and values")
	}
	*v = Values{}
	for key, value := range raw {
		var text string
		switch value := value.(type) {
		case nil:
			(*v)[key] = nil
			continue
		case string:
			text = value
		case json.Number:
			text = value.String()
		case bool:
			text = fmt.Sprint(value)
		default:
			return fmt.Errorf("%s must be a text or a number", key)
		}
		(*v)[key] = &text
	}
	return nil
}

// edit answers POST (add), PATCH (change) and DELETE (remove) of a name.
func (s *Server) edit(action string, kind Kind) handler {
	return func(r *http.Request) (any, error) {
		e := Edit{Action: action, Kind: kind, Name: r.PathValue("name"), DryRun: r.URL.Query().Has("dry_run")}
		if err := e.readValues(r.Body); err != nil {
			return nil, err
		}
		wait, err := Waits(r)
		if err != nil {
			return nil, err
		}
		res, err := s.backend.Edit(r.Context(), e)
		return s.finish(r, res, err, wait)
	}
}

func (e *Edit) readValues(body io.Reader) error {
	data, err := io.ReadAll(body)
	if err != nil {
		return BadRequest("", "body: %v", err)
	}
	if len(bytes.TrimSpace(data)) == 0 {
		return nil
	}
	if e.Action == Remove {
		return BadRequest("", "body: to remove takes none")
	}
	if err := json.Unmarshal(data, &e.Values); err != nil {
		return BadRequest("", "body: %v", err)
	}
	return nil
}

// methods of an Edit's actions.
var methods = map[string]string{Add: http.MethodPost, Change: http.MethodPatch, Remove: http.MethodDelete}

// Edit implements Control. It returns at once; see WaitApplied.
func (c *Client) Edit(ctx context.Context, e Edit) (ApplyResult, error) {
	var body []byte
	if len(e.Values) > 0 {
		var err error
		if body, err = json.Marshal(e.Values); err != nil {
			return ApplyResult{}, fmt.Errorf("%s %s %s: %w", e.Action, e.Kind, e.Name, err)
		}
	}
	v := url.Values{}
	if e.DryRun {
		v.Set("dry_run", "1")
	}
	return call[ApplyResult](ctx, c, methods[e.Action], "/"+string(e.Kind)+"s/"+escapeName(e.Name), v, body)
}
