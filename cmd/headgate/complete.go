package main

import (
	"context"
	"net"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/headgate/headgate/pkg/api"
	"github.com/headgate/headgate/pkg/events"
)

// candidate is what may stand somewhere on a command line, and what it is.
type candidate struct{ text, what string }

// source says what may stand somewhere.
type source func(t *typed) []candidate

// valueSources are for the values of flags; those of settings follow from the vocabulary. A flag that means something
// else under one command stands there with its command.
var valueSources = map[string]source{
	"balancer":       balancerNames,
	"bpffs":          files,
	"client":         anything,
	"count":          anything,
	"duration":       anything,
	"config":         configNames,
	"dst":            anything,
	"file":           files,
	"flags":          words(flagWords...),
	"fragment":       words("first", "later"),
	"hex":            anything,
	"interface":      interfaceNames,
	"interval":       anything,
	"kind":           words(events.Kinds...),
	"limit":          anything,
	"node":           nodeNames,
	"number":         anything,
	"output":         words(asTable, asJSON, asYAML),
	"payload":        anything,
	"pcap":           files,
	"proto":          words("tcp", "udp", "icmp"),
	"rate":           anything,
	"reason":         func(t *typed) []candidate { return words(reasonWords()...)(t) },
	"run config":     files,
	"run log-format": words("text", "json"),
	"run log-level":  words("debug", "info", "warn", "error"),
	"sample":         anything,
	"snap":           anything,
	"socket":         files,
	"sort":           words(api.FlowSorts...),
	"src":            anything,
	"state":          words(api.FlowStates...),
	"state-dir":      files,
	"timeout":        anything,
	"ttl":            anything,
	"write":          files,
}

// argumentSources are for the argument of a command.
var argumentSources = map[string]source{
	"balancer add":    anything,
	"balancer remove": balancerNames,
	"balancer set":    balancerNames,
	"balancer show":   balancerNames,
	"completion":      words(shells...),
	"config add":      below(balancerNames),
	"config remove":   configNames,
	"config set":      configNames,
	"config show":     configNames,
	"health":          both(configNames, nodeNames),
	"maps dump":       mapNames,
	"node add":        below(configNames),
	"node remove":     nodeNames,
	"node set":        nodeNames,
	"node show":       nodeNames,
	"validate":        files,
}

// valuesOf is the source of a flag's values.
func (t *typed) valuesOf(flag cli.Flag) func() []candidate {
	name, command := flag.Names()[0], strings.Join(t.path, " ")
	from := valueSources[command+" "+name]
	if from == nil {
		from = settingSource(t.path, name)
	}
	if from == nil {
		from = valueSources[name]
	}
	return func() []candidate { return from(t) }
}

// argument is what the command's argument may be.
func (t *typed) argument() []candidate {
	if from := argumentSources[strings.Join(t.path, " ")]; from != nil {
		return from(t)
	}
	return nil
}

// settingSource is for the value of a setting of a noun: its words, or anything, and the default.
func settingSource(path []string, flag string) source {
	for _, n := range []noun{balancers, configs, nodes} {
		if len(path) == 0 || path[0] != string(n.kind) {
			continue
		}
		for _, s := range n.settings {
			if s.flag == flag && s.named {
				return anything
			}
			if s.flag == flag {
				return words(append(s.words[:len(s.words):len(s.words)], byDefault)...)
			}
		}
	}
	return nil
}

// interfaceNames are those of this host.
func interfaceNames(*typed) (names []candidate) {
	links, err := net.Interfaces()
	if err != nil {
		return nil // nobody to tell
	}
	for _, l := range links {
		names = append(names, candidate{text: l.Name})
	}
	return names
}

// anything is where nobody can know.
func anything(*typed) []candidate { return nil }

// fileNames is what a shell knows best.
const fileNames = ":files"

func files(*typed) []candidate { return []candidate{{text: fileNames}} }

func words[T ~string](all ...T) source {
	out := make([]candidate, len(all))
	for i, w := range all {
		out[i].text = string(w)
	}
	return func(*typed) []candidate { return out }
}

// below is for a name that begins with one of those, and goes on.
func below(from source) source {
	return func(t *typed) []candidate {
		out := from(t)
		for i := range out {
			out[i].text += "/"
		}
		return out
	}
}

// both is for names of two kinds.
func both(one, other source) source {
	return func(t *typed) []candidate { return append(one(t), other(t)...) }
}

func balancerNames(t *typed) (out []candidate) {
	for _, b := range t.status().Balancers {
		out = append(out, candidate{b.Name, strings.Join(b.Addresses, " ")})
	}
	return out
}

func configNames(t *typed) (out []candidate) {
	for _, c := range t.status().Configs {
		out = append(out, candidate{c.Name, c.Status})
	}
	return out
}

// nodeNames are the names of nodes, with addresses where several have the same label.
func nodeNames(t *typed) (out []candidate) {
	st := t.status()
	all := st.Nodes()
	ambiguous := api.Ambiguous(all)
	for _, n := range all {
		name := n.Name
		if ambiguous[name] {
			name = n.Config + "/" + n.Address
		}
		out = append(out, candidate{name, n.Mode + ", " + n.Health})
	}
	return out
}

func mapNames(t *typed) (out []candidate) {
	ctx, cancel := context.WithTimeout(context.Background(), completionPatience)
	defer cancel()
	list, err := t.client().Maps(ctx)
	if err != nil {
		return nil
	}
	for _, m := range list {
		out = append(out, candidate{m.Name, m.What})
	}
	return out
}

// completionPatience is how long a shell waits for names: a person sits before it.
const completionPatience = time.Second

// status is what the daemon knows, or nothing.
func (t *typed) status() api.Status {
	ctx, cancel := context.WithTimeout(context.Background(), completionPatience)
	defer cancel()
	st, err := t.client().Status(ctx)
	if err != nil {
		return api.Status{}
	}
	return st
}

func (t *typed) client() *api.Client { return api.NewClient(t.socket) }

// mostNames is how many names are offered at once; of more only what they begin with is.
const mostNames = 100

// matching are those that begin with word.
func matching(from func() []candidate, word string) []candidate {
	all := from()
	if len(all) == 1 && all[0].text == fileNames {
		return all
	}
	var out []candidate
	for _, c := range all {
		if strings.HasPrefix(c.text, word) {
			out = append(out, c)
		}
	}
	if len(out) <= mostNames {
		return out
	}
	var parts []candidate
	seen := map[string]bool{}
	for _, c := range out {
		next := c.text
		if i := strings.IndexByte(next[len(word):], '/'); i >= 0 {
			next = next[:len(word)+i+1]
		}
		if !seen[next] {
			seen[next] = true
			parts = append(parts, candidate{text: next})
		}
	}
	return parts
}

func prefixed(prefix string, all []candidate) []candidate {
	out := make([]candidate, len(all))
	for i, c := range all {
		out[i] = candidate{prefix + c.text, c.what}
	}
	return out
}
