package api

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"syscall"
	"time"

	"github.com/headgate/headgate/pkg/events"
)

// Client asks a daemon over its unix socket. It is safe for concurrent use.
type Client struct {
	socket string
	http   *http.Client
}

// answerWithin is how long a daemon may take to begin its answer: longer than to search the largest flow
// table for a flow that is not there.
const answerWithin = 30 * time.Second

// NewClient makes a client of the daemon on that socket. Nothing is sent yet.
func NewClient(socket string) *Client {
	dial := func(ctx context.Context, _, _ string) (net.Conn, error) {
		conn, err := (&net.Dialer{}).DialContext(ctx, "unix", socket)
		if err != nil {
			return nil, &NotRunningError{Socket: socket, Err: rootCause(err)}
		}
		return conn, nil
	}
	return &Client{socket: socket, http: &http.Client{
		Transport: &http.Transport{DialContext: dial, ResponseHeaderTimeout: answerWithin},
	}}
}

// rootCause strips what repeats the socket's path.
func rootCause(err error) error {
	for next := errors.Unwrap(err); next != nil; next = errors.Unwrap(err) {
		err = next
	}
	return err
}

// Status implements Look.
func (c *Client) Status(ctx context.Context) (Status, error) {
	return get[Status](ctx, c, "/status", nil)
}

// Nodes lists the nodes of all configs, those included that are removed and still have flows.
func (c *Client) Nodes(ctx context.Context) ([]Node, error) {
	return get[[]Node](ctx, c, "/nodes", nil)
}

// Config gives one config by name, with its nodes.
func (c *Client) Config(ctx context.Context, name string) (Config, error) {
	return get[Config](ctx, c, "/configs/"+escapeName(name), nil)
}

// Node gives one node by name.
func (c *Client) Node(ctx context.Context, name string) (Node, error) {
	return get[Node](ctx, c, "/nodes/"+escapeName(name), nil)
}

// Flows implements Look.
func (c *Client) Flows(ctx context.Context, q FlowQuery) iter.Seq2[Flow, error] {
	return getLines[Flow](ctx, c, "/flows", q.values())
}

// CountFlows implements Look.
func (c *Client) CountFlows(ctx context.Context, q FlowQuery) ([]FlowCount, error) {
	return get[[]FlowCount](ctx, c, "/flows/count", q.values())
}

// Maps implements Look.
func (c *Client) Maps(ctx context.Context) ([]Map, error) {
	return get[[]Map](ctx, c, "/maps", nil)
}

// DumpMap implements Look.
func (c *Client) DumpMap(ctx context.Context, name string) iter.Seq2[Entry, error] {
	return getLines[Entry](ctx, c, "/maps/"+url.PathEscape(name), nil)
}

// Events implements Eventful.
func (c *Client) Events(ctx context.Context, q EventQuery) iter.Seq2[events.Event, error] {
	return getLines[events.Event](ctx, c, "/events", q.values())
}

// Apply sends a file.
func (c *Client) Apply(ctx context.Context, req ApplyRequest) (ApplyResult, error) {
	v := url.Values{"name": {req.Name}}
	if req.Prune {
		v.Set("prune", "1")
	}
	if req.DryRun {
		v.Set("dry_run", "1")
	}
	if req.Wait {
		v.Set("wait", "applied")
	}
	return call[ApplyResult](ctx, c, http.MethodPost, "/apply", v, req.Data)
}

// Export gives the daemon's balancers as a file.
func (c *Client) Export(ctx context.Context) ([]byte, error) {
	resp, err := c.do(ctx, http.MethodGet, "/export", nil, nil)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	return io.ReadAll(resp.Body)
}

// WaitApplied returns once the data path runs that generation; the daemon gives up after 5 s with
// an Error of status 504.
func (c *Client) WaitApplied(ctx context.Context, generation uint64) error {
	v := url.Values{"generation": {strconv.FormatUint(generation, 10)}}
	_, err := get[Generations](ctx, c, "/applied", v)
	return err
}

// Place says where the daemon's maps are.
func (c *Client) Place(ctx context.Context) (Place, error) {
	return get[Place](ctx, c, "/place", nil)
}

// Ping returns nil when a daemon answers.
func (c *Client) Ping(ctx context.Context) error {
	_, err := get[Generations](ctx, c, "/applied", url.Values{"generation": {"0"}})
	return err
}

func (q FlowQuery) values() url.Values {
	v := url.Values{}
	for key, s := range map[string]string{"config": q.Config, "node": q.Node, "state": q.State, "sort": q.Sort} {
		if s != "" {
			v.Set(key, s)
		}
	}
	if q.Client.IsValid() {
		v.Set("client", q.Client.String())
	}
	if q.Limit != 0 {
		v.Set("limit", strconv.Itoa(q.Limit))
	}
	return v
}

// escapeName escapes what a path may not hold; the slashes of a node's name stay.
func escapeName(name string) string { return (&url.URL{Path: name}).EscapedPath() }

func get[T any](ctx context.Context, c *Client, path string, v url.Values) (T, error) {
	return call[T](ctx, c, http.MethodGet, path, v, nil)
}

func call[T any](ctx context.Context, c *Client, method, path string, v url.Values, body []byte) (T, error) {
	var out T
	resp, err := c.do(ctx, method, path, v, body)
	if err != nil {
		return out, err
	}
	defer resp.Body.Close()
	if err := json.NewDecoder(resp.Body).Decode(&out); err != nil {
		return out, fmt.Errorf("%s %s: the daemon's answer: %w", method, path, err)
	}
	return out, nil
}

// getLines reads an answer of one JSON value a line while it comes in.
func getLines[T any](ctx context.Context, c *Client, path string, v url.Values) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		list, err := openLines[T](ctx, c, path, v)
		if err != nil {
			var zero T
			yield(zero, err)
			return
		}
		list(yield)
	}
}

// openLines is getLines that asks at once. Whoever gets the sequence must go through it.
func openLines[T any](ctx context.Context, c *Client, path string, v url.Values) (iter.Seq2[T, error], error) {
	resp, err := c.do(ctx, http.MethodGet, path, v, nil)
	if err != nil {
		return nil, err
	}
	return func(yield func(T, error) bool) {
		defer resp.Body.Close()
		dec := json.NewDecoder(resp.Body)
		for dec.More() {
			var line struct {
				envelope
				value T
			}
			var raw json.RawMessage
			err := dec.Decode(&raw)
			if err == nil {
				err = json.Unmarshal(raw, &line.value)
			}
			if err == nil && bytes.HasPrefix(raw, []byte(`{"errors":`)) && json.Unmarshal(raw, &line.envelope) == nil {
				err = &Error{Status: http.StatusInternalServerError, Reasons: line.Errors}
			}
			if err != nil {
				var zero T
				yield(zero, fmt.Errorf("GET %s: %w", path, err))
				return
			}
			if !yield(line.value, nil) {
				return
			}
		}
		// The decoder has no more to give, be it that all has come or that the daemon has died.
		if err := dec.Decode(new(json.RawMessage)); err != io.EOF {
			var zero T
			yield(zero, c.unanswered(http.MethodGet, err))
		}
	}, nil
}

// unanswered says what became of a request that the daemon took and did not answer.
func (c *Client) unanswered(method string, err error) error {
	switch broke := errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE); {
	case broke && method == http.MethodGet:
		return fmt.Errorf("the daemon on %s ended before it had answered", c.socket)
	case broke:
		return fmt.Errorf("the daemon on %s ended before it answered: the change is made whole or not at all, look which when it runs again", c.socket)
	}
	return fmt.Errorf("ask the daemon on %s: %w", c.socket, err)
}

// do sends a request; an answer that is a refusal becomes an *Error, a daemon that does not answer
// a *NotRunningError. The caller closes the body.
func (c *Client) do(ctx context.Context, method, path string, v url.Values, body []byte) (*http.Response, error) {
	u := "http://headgate" + Prefix + path
	if len(v) > 0 {
		u += "?" + v.Encode()
	}
	req, err := http.NewRequestWithContext(ctx, method, u, bytes.NewReader(body))
	if err != nil {
		return nil, fmt.Errorf("%s %s: %w", method, path, err)
	}
	resp, err := c.http.Do(req)
	if err != nil {
		var gone *NotRunningError
		if errors.As(err, &gone) {
			return nil, gone
		}
		if timeout := interface{ Timeout() bool }(nil); ctx.Err() == nil && errors.As(err, &timeout) && timeout.Timeout() {
			return nil, fmt.Errorf("the daemon on %s does not answer: is it stopped, or its host overloaded?", c.socket)
		}
		return nil, c.unanswered(method, rootCause(err))
	}
	if resp.StatusCode < 300 {
		return resp, nil
	}
	defer resp.Body.Close()
	var e envelope
	if err := json.NewDecoder(resp.Body).Decode(&e); err != nil || len(e.Errors) == 0 {
		return nil, fmt.Errorf("%s %s: the daemon answers %s", method, path, resp.Status)
	}
	return nil, &Error{Status: resp.StatusCode, Reasons: e.Errors}
}
