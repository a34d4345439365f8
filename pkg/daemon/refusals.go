package daemon

import (
	"net/http"
	"regexp"
	"strconv"

	"github.com/headgate/headgate/pkg/api"
	"github.com/headgate/headgate/pkg/lb"
)

// refusals are faults as a refusal, nil when there is none. Where a thing stands in the list of all is nothing
// that people see: each goes by its name. hint ends each reason.
func refusals(all []lb.Balancer, faults []lb.Fault, hint string) error {
	if len(faults) == 0 {
		return nil
	}
	refusal := &api.Error{Status: http.StatusBadRequest}
	for _, f := range faults {
		at, key := placed(all, f.Path)
		reason := at.inWords(f.Reason) + hint
		if key != "" {
			reason = key + " " + reason
		}
		refusal.Reasons = append(refusal.Reasons, api.Refusal{Field: key, Reason: at.name() + ": " + reason})
	}
	return refusal
}

// thing is a balancer, a config or a node of a list of balancers.
type thing struct {
	all      []lb.Balancer
	balancer *lb.Balancer
	config   *lb.Config
	node     *lb.Node
}

var pathOf = regexp.MustCompile(`^balancers\[(\d+)\](?:\.configs\[(\d+)\](?:\.nodes\[(\d+)\])?)?(?:\.(.*))?$`)

// placed finds the thing that a fault is about, and the key of its field.
func placed(all []lb.Balancer, path string) (at thing, key string) {
	m := pathOf.FindStringSubmatch(path)
	if m == nil {
		return thing{all: all}, path
	}
	at = thing{all: all, balancer: nth(all, m[1])}
	if m[2] != "" {
		at.config = nth(at.balancer.Configs, m[2])
	}
	if m[3] != "" {
		at.node = nth(at.config.Nodes, m[3])
	}
	return at, m[4]
}

func nth[T any](list []T, i string) *T {
	n, _ := strconv.Atoi(i) // digits, by the pattern
	return &list[n]
}

// name is what people call it.
func (p thing) name() string {
	switch {
	case p.node != nil:
		return lb.NodeName(p.config.Key(p.balancer.Label), p.node.Label)
	case p.config != nil:
		return p.config.Key(p.balancer.Label).String()
	case p.balancer != nil:
		return p.balancer.Label
	}
	return "balancers"
}

var otherPlace = regexp.MustCompile(`(balancers|configs|nodes)\[(\d+)\](?: \([^)]*\))?`)

// inWords gives a reason in which others go by their names, too.
func (p thing) inWords(reason string) string {
	return otherPlace.ReplaceAllStringFunc(reason, func(s string) string {
		m := otherPlace.FindStringSubmatch(s)
		other := p
		switch {
		case m[1] == "balancers":
			other = thing{balancer: nth(p.all, m[2])}
		case m[1] == "configs" && p.balancer != nil:
			other.config, other.node = nth(p.balancer.Configs, m[2]), nil
		case m[1] == "nodes" && p.config != nil:
			other.node = nth(p.config.Nodes, m[2])
		}
		return other.name()
	})
}
