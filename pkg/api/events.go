package api

import (
	"io"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/headgate/headgate/pkg/events"
	"github.com/headgate/headgate/pkg/lb"
)

// events answers with one event a line; with ?follow the answer has no end, and each line goes out at once.
func (s *Server) events(r *http.Request) (any, error) {
	q, err := eventQuery(r.URL.Query())
	if err != nil {
		return nil, err
	}
	return lines(func(w io.Writer) {
		enc := encoder(w)
		flush := func() {
			if f, ok := w.(http.Flusher); ok && q.Follow {
				f.Flush()
			}
		}
		flush() // a follower learns at once that it is heard
		for e, err := range s.backend.Events(r.Context(), q) {
			if err != nil {
				_ = enc.Encode(envelope{[]Refusal{{Reason: err.Error()}}})
				return
			}
			if enc.Encode(e) != nil {
				return // the client went away
			}
			flush()
		}
	}), nil
}

// eventQuery reads ?kind=a,b&config=&node=&after=&limit=&follow.
func eventQuery(v url.Values) (EventQuery, error) {
	q := EventQuery{Filter: events.Filter{Config: v.Get("config"), Node: v.Get("node")}, Follow: v.Has("follow")}
	for _, kind := range strings.FieldsFunc(v.Get("kind"), func(r rune) bool { return r == ',' }) {
		if !slices.Contains(events.Kinds, events.Kind(kind)) {
			return q, BadRequest("kind", "kind %s", lb.WordReason(events.Kind(kind), events.Kinds))
		}
		q.Kinds = append(q.Kinds, events.Kind(kind))
	}
	var err error
	if s := v.Get("after"); s != "" {
		if q.After, err = strconv.ParseUint(s, 10, 64); err != nil {
			return q, BadRequest("after", "after %q: must be the number of an event", s)
		}
	}
	if s := v.Get("limit"); s != "" {
		if q.Limit, err = strconv.Atoi(s); err != nil || q.Limit < 0 {
			return q, BadRequest("limit", "limit %q: must be a number from 0", s)
		}
	}
	return q, nil
}

// values is the reverse of eventQuery.
func (q EventQuery) values() url.Values {
	v := url.Values{}
	set := func(key, value string, is bool) {
		if is {
			v.Set(key, value)
		}
	}
	kinds := make([]string, len(q.Kinds))
	for i, k := range q.Kinds {
		kinds[i] = string(k)
	}
	set("kind", strings.Join(kinds, ","), len(kinds) > 0)
	set("config", q.Config, q.Config != "")
	set("node", q.Node, q.Node != "")
	set("after", strconv.FormatUint(q.After, 10), q.After != 0)
	set("limit", strconv.Itoa(q.Limit), q.Limit != 0)
	set("follow", "1", q.Follow)
	return v
}
