package api

import (
	"context"
	"io"
	"net/http"
	"net/netip"
	"slices"
	"strconv"
	"strings"
)

func (s *Server) status(r *http.Request) (any, error) { return s.backend.Status(r.Context()) }

// ofStatus answers with a part of the whole picture.
func ofStatus[T any](s *Server, r *http.Request, part func(*Status) (T, error)) (any, error) {
	st, err := s.backend.Status(r.Context())
	if err != nil {
		return nil, err
	}
	return part(&st)
}

func (s *Server) balancers(r *http.Request) (any, error) {
	return ofStatus(s, r, func(st *Status) ([]Balancer, error) { return st.Balancers, nil })
}

func (s *Server) balancer(r *http.Request) (any, error) {
	return ofStatus(s, r, func(st *Status) (Balancer, error) { return st.Balancer(r.PathValue("name")) })
}

func (s *Server) configs(r *http.Request) (any, error) {
	return ofStatus(s, r, func(st *Status) ([]Config, error) { return st.Configs, nil })
}

func (s *Server) config(r *http.Request) (any, error) {
	return ofStatus(s, r, func(st *Status) (Config, error) { return st.Config(r.PathValue("name")) })
}

func (s *Server) nodes(r *http.Request) (any, error) {
	return ofStatus(s, r, func(st *Status) ([]Node, error) { return st.Nodes(), nil })
}

func (s *Server) node(r *http.Request) (any, error) {
	return ofStatus(s, r, func(st *Status) (Node, error) { return st.Node(r.PathValue("name")) })
}

func (s *Server) export(*http.Request) (any, error) { return s.backend.Export(context.Background()) }

func (s *Server) apply(r *http.Request) (any, error) {
	data, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, BadRequest("", "body: %v", err)
	}
	wait, err := Waits(r)
	if err != nil {
		return nil, err
	}
	q := r.URL.Query()
	res, err := s.backend.Apply(r.Context(), ApplyRequest{
		Name: q.Get("name"), Data: data, Prune: q.Has("prune"), DryRun: q.Has("dry_run"),
	})
	return s.finish(r, res, err, wait)
}

// Waits says whether a request asks to be answered once the data path runs its change. It is to be looked at before
// the change is made: what cannot be understood must not have been obeyed by half.
func Waits(r *http.Request) (bool, error) {
	q := r.URL.Query()
	switch how := q.Get("wait"); {
	case !q.Has("wait"):
		return false, nil
	case how == "applied":
		return true, nil
	default:
		return false, BadRequest("wait", "wait must be applied, or left out, not %q", how)
	}
}

// finish waits until the data path runs a change, where that is asked for.
func (s *Server) finish(r *http.Request, res ApplyResult, err error, wait bool) (any, error) {
	if err != nil || res.DryRun || !wait {
		return res, err
	}
	res.Generations, err = s.waitFor(r, res.Desired)
	return res, err
}

func (s *Server) applied(r *http.Request) (any, error) {
	want, err := strconv.ParseUint(r.URL.Query().Get("generation"), 10, 64)
	if err != nil {
		return nil, BadRequest("generation", "generation: must be a number")
	}
	return s.waitFor(r, want)
}

func (s *Server) waitFor(r *http.Request, want uint64) (Generations, error) {
	ctx, cancel := context.WithTimeout(r.Context(), waitApplied)
	defer cancel()
	if err := s.backend.WaitApplied(ctx, want); err != nil {
		g := s.backend.Generations()
		return g, refuse(http.StatusGatewayTimeout, "",
			"generation %d is kept, but the data path still runs %d after %v: see `headgate status`", want, g.Applied, waitApplied)
	}
	return s.backend.Generations(), nil
}

func (s *Server) flows(r *http.Request) (any, error) {
	q, err := flowQuery(r)
	if err != nil {
		return nil, err
	}
	return stream(s.backend.Flows(r.Context(), q))
}

func (s *Server) countFlows(r *http.Request) (any, error) {
	q, err := flowQuery(r)
	if err != nil {
		return nil, err
	}
	return s.backend.CountFlows(r.Context(), q)
}

func (s *Server) place(*http.Request) (any, error) { return s.backend.Place(), nil }

func (s *Server) maps(r *http.Request) (any, error) { return s.backend.Maps(r.Context()) }

func (s *Server) dumpMap(r *http.Request) (any, error) {
	return stream(s.backend.DumpMap(r.Context(), r.PathValue("name")))
}

func flowQuery(r *http.Request) (FlowQuery, error) {
	v := r.URL.Query()
	q := FlowQuery{Config: v.Get("config"), Node: v.Get("node"), State: v.Get("state")}
	if q.State != "" && !slices.Contains(FlowStates, q.State) {
		return q, BadRequest("state", "state %q: must be one of %s", q.State, strings.Join(FlowStates, ", "))
	}
	if q.Sort = v.Get("sort"); q.Sort != "" && !slices.Contains(FlowSorts, q.Sort) {
		return q, BadRequest("sort", "sort %q: must be one of %s", q.Sort, strings.Join(FlowSorts, ", "))
	}
	var err error
	if c := v.Get("client"); c != "" {
		if q.Client, err = netip.ParseAddr(c); err != nil {
			return q, BadRequest("client", "client %q: must be an IP address", c)
		}
	}
	if l := v.Get("limit"); l != "" {
		if q.Limit, err = strconv.Atoi(l); err != nil || q.Limit < 0 {
			return q, BadRequest("limit", "limit %q: must be a number from 0", l)
		}
	}
	return q, nil
}
