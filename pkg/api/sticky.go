package api

import (
	"context"
	"iter"
	"net/http"
	"net/netip"
	"net/url"
	"strconv"
)

// Sticky is the stick entries: to which node a client of a config goes.
type Sticky interface {
	// Sticks yields the entries that match, in no order. After an error it yields nothing more.
	Sticks(ctx context.Context, q StickQuery) iter.Seq2[Stick, error]
	// RemoveSticks takes the entries away that match: the next new flows of their clients are scheduled
	// anew. A query that selects nothing in particular is refused, unless it says All. Its limit does not
	// count.
	RemoveSticks(ctx context.Context, q StickQuery) (StickRemoval, error)
}

// StickQuery selects stick entries; zero fields select all.
type StickQuery struct {
	Config string     // BALANCER/PORT[/udp]
	Node   string     // BALANCER/PORT[/udp]/NODE
	Client netip.Addr // its address
	Limit  int        // at most so many; 0: all
	All    bool       // remove also without any of the above
}

// Stick is a stick entry that is not dead: its time is not over, its node was not DOWN since, nor has the
// backups' turn ended that made it.
type Stick struct {
	Config  string         `json:"config"`
	Client  netip.Addr     `json:"client"`
	Node    string         `json:"node"` // BALANCER/PORT[/udp]/LABEL
	Address netip.AddrPort `json:"address"`
	Holds   bool           `json:"holds"`   // new flows of the client go there; not, for example, in mode reject
	AgeMS   int64          `json:"age_ms"`  // since it was made, or last used where entries slide
	LeftMS  int64          `json:"left_ms"` // until its time is over
}

// StickRemoval says how many entries were taken away.
type StickRemoval struct {
	Removed int `json:"removed"`
}

func (s *Server) sticks(r *http.Request) (any, error) {
	q, err := stickQuery(r.URL.Query())
	if err != nil {
		return nil, err
	}
	return stream(s.backend.Sticks(r.Context(), q))
}

func (s *Server) removeSticks(r *http.Request) (any, error) {
	q, err := stickQuery(r.URL.Query())
	if err != nil {
		return nil, err
	}
	return s.backend.RemoveSticks(r.Context(), q)
}

// Selects says whether the query is for some entries in particular.
func (q *StickQuery) Selects() bool { return q.Config != "" || q.Node != "" || q.Client.IsValid() }

// stickQuery reads ?config=&node=&client=&limit=&all.
func stickQuery(v url.Values) (StickQuery, error) {
	q := StickQuery{Config: v.Get("config"), Node: v.Get("node"), All: v.Has("all")}
	var err error
	if s := v.Get("client"); s != "" {
		if q.Client, err = netip.ParseAddr(s); err != nil {
			return q, BadRequest("client", "client %q: must be an IP address", s)
		}
	}
	if s := v.Get("limit"); s != "" {
		if q.Limit, err = strconv.Atoi(s); err != nil || q.Limit < 0 {
			return q, BadRequest("limit", "limit %q: must be a number from 0", s)
		}
	}
	return q, nil
}

// values is the reverse of stickQuery.
func (q *StickQuery) values() url.Values {
	v := url.Values{}
	set := func(key, value string, is bool) {
		if is {
			v.Set(key, value)
		}
	}
	set("config", q.Config, q.Config != "")
	set("node", q.Node, q.Node != "")
	set("client", q.Client.String(), q.Client.IsValid())
	set("limit", strconv.Itoa(q.Limit), q.Limit != 0)
	set("all", "1", q.All)
	return v
}

// Sticks implements Sticky.
func (c *Client) Sticks(ctx context.Context, q StickQuery) iter.Seq2[Stick, error] {
	return getLines[Stick](ctx, c, "/sticky", q.values())
}

// RemoveSticks implements Sticky.
func (c *Client) RemoveSticks(ctx context.Context, q StickQuery) (StickRemoval, error) {
	return call[StickRemoval](ctx, c, http.MethodDelete, "/sticky", q.values(), nil)
}
