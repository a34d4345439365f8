package v4

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"slices"
	"strings"

	"github.com/headgate/headgate/pkg/api"
	"github.com/headgate/headgate/pkg/lb"
)

// faults is all that is wrong with a request.
type faults struct {
	list []api.Refusal
	// shifted says that a thing of the request has another place, or none, in the draft, so that what is found
	// wrong there cannot be told of the request.
	shifted bool
}

func (f *faults) add(field, format string, args ...any) {
	f.list = append(f.list, api.Refusal{Field: lb.Shorten(field), Reason: lb.Shorten(fmt.Sprintf(format, args...))})
}

// has says whether a field, or what it is part of, is at fault already.
func (f *faults) has(field string) bool {
	return slices.ContainsFunc(f.list, func(r api.Refusal) bool {
		inner, within := strings.CutPrefix(field, r.Field)
		return within && r.Field != "" && (inner == "" || inner[0] == '.' || inner[0] == '[')
	})
}

// err is the refusal, or nil when nothing is wrong.
func (f *faults) err() error {
	if len(f.list) == 0 {
		return nil
	}
	return &api.Error{Status: http.StatusBadRequest, Reasons: f.list}
}

// object is a JSON object of a request. Each key is taken once; what is left at the end nobody knows.
type object struct {
	path   string // of the object in the request; empty: the request itself
	values map[string]json.RawMessage
	faults *faults
}

// readObject reads the body of a request, which is one JSON object.
func readObject(r *http.Request) (*object, error) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		var large *http.MaxBytesError
		if errors.As(err, &large) {
			return nil, &api.Error{Status: http.StatusRequestEntityTooLarge,
				Reasons: []api.Refusal{{Reason: fmt.Sprintf("the request is larger than %d bytes", large.Limit)}}}
		}
		if errors.Is(err, os.ErrDeadlineExceeded) {
			return nil, api.BadRequest("", "the request did not arrive in time")
		}
		return nil, api.BadRequest("", "the request could not be read: %v", err)
	}
	return parseObject(body)
}

func parseObject(body []byte) (*object, error) {
	o := &object{faults: &faults{}}
	if !json.Valid(body) {
		return nil, api.BadRequest("", "the request is not JSON")
	}
	if err := json.Unmarshal(body, &o.values); err != nil || o.values == nil {
		return nil, api.BadRequest("", "the request must be a JSON object, not %s", value(trim(body)).kind())
	}
	return o, nil
}

// trim cuts white space off JSON.
func trim(b []byte) []byte {
	var raw json.RawMessage
	if json.Unmarshal(b, &raw) != nil {
		return nil
	}
	return raw
}

// take hands out the value of a key, once.
func (o *object) take(key string) (v value, given bool) {
	raw, given := o.values[key]
	delete(o.values, key)
	return value(raw), given
}

// field is the name of a key in the request.
func (o *object) field(key string) string {
	switch {
	case key == "":
		return o.path
	case o.path == "":
		return key
	}
	return o.path + "." + key
}

func (o *object) fault(key, format string, args ...any) { o.faults.add(o.field(key), format, args...) }

// list hands out the objects of a list. given is false where the key is missing or null.
func (o *object) list(key string) (list []*object, given bool) {
	v, given := o.take(key)
	if !given || v.isNull() {
		return nil, false
	}
	var raw []json.RawMessage
	if err := json.Unmarshal(v, &raw); err != nil {
		o.fault(key, "must be a list, not %s", v.kind())
		return nil, true
	}
	for i, r := range raw {
		inner := &object{path: fmt.Sprintf("%s[%d]", o.field(key), i), faults: o.faults}
		if err := json.Unmarshal(r, &inner.values); err != nil || inner.values == nil {
			o.faults.add(inner.path, "must be an object, not %s", value(r).kind())
			inner.values, inner.faults = map[string]json.RawMessage{}, &faults{} // what follows from that is no news
		}
		list = append(list, inner)
	}
	return list, true
}

// end refuses the keys that nobody took. Those that say nothing are forgiven: clients send empty what they know
// of and we do not.
func (o *object) end() {
	for _, key := range slices.Sorted(keysOf(o.values)) {
		switch why, known := absent[key]; {
		case value(o.values[key]).isNothing():
		case known:
			o.fault(key, "%s", why)
		default:
			o.fault(key, "is not known here")
		}
	}
	o.values = nil
}

// absent are keys of version 4 for what is not there, and why.
var absent = map[string]string{
	"firewall_id":           "there are no firewalls here: filter before the balancer, or on the nodes",
	"vpcs":                  "there are no VPCs here: nodes are reached by the routes of the host",
	"backend_vpcs":          "there are no VPCs here: nodes are reached by the routes of the host",
	"frontend_vpcs":         "there are no VPCs here: the addresses of a balancer are its VIPs",
	"subnet_id":             "there are no VPCs here: nodes are reached by the routes of the host",
	"frontend_address_type": "there are no VPCs here: the addresses of a balancer are its VIPs",
}
