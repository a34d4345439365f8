package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/headgate/headgate/pkg/api"
	"github.com/headgate/headgate/scripts/lab"
	"github.com/headgate/headgate/scripts/lab/gate"
)

// crowd are the addresses of all nodes. None is there; a router is.
var crowd = netip.MustParsePrefix("10.128.0.0/9")

const configsOfBalancer = 10

// bed is a daemon with a file of a shape.
type bed struct {
	shape
	lab    *lab.Lab
	gate   *gate.Gate
	client *api.Client
}

func open(s shape) (b *bed, err error) {
	l, err := lab.New()
	if err != nil {
		return nil, err
	}
	b = &bed{shape: s, lab: l}
	defer func() {
		if err != nil {
			err = errors.Join(err, l.Close())
		}
	}()
	star, err := lab.NewStar(l, 1)
	if err != nil {
		return nil, err
	}
	if err := star.Balancer.AddRoute(crowd, star.NodeAddr(1, 4), star.Interfaces()[1]); err != nil {
		return nil, err
	}
	binary, err := gate.Build(context.Background(), l.Dir())
	if err != nil {
		return nil, err
	}
	if b.gate, err = gate.New(l, star.Balancer, binary, star.Interfaces(), ""); err != nil {
		return nil, err
	}
	b.client = api.NewClient(b.gate.Socket)
	return b, b.gate.Configure(b.file())
}

// file declares all balancers, each with some of the configs.
func (b *bed) file() string {
	var s strings.Builder
	s.WriteString("balancers:\n")
	for c := range b.configs {
		if c%configsOfBalancer == 0 {
			fmt.Fprintf(&s, "  - label: lb-%d\n    ipv4: 198.18.%d.1\n    configs:\n", c/configsOfBalancer, c/configsOfBalancer)
		}
		fmt.Fprintf(&s, "      - port: %d\n        algorithm: %s\n        nodes:\n", port(c), b.algorithm)
		for n := range b.nodes {
			i, mode := c*b.nodes+n, "accept"
			if n >= b.nodes-b.drained {
				mode = "drain"
			}
			fmt.Fprintf(&s, "          - {label: n-%d, address: \"10.%d.%d.%d:80\", mode: %s}\n", n, 128+i>>16, i>>8&255, i&255, mode)
		}
	}
	return s.String()
}

func port(config int) int { return 1 + config%configsOfBalancer }

// config is the name of the i-th.
func (b *bed) config(i int) string {
	i %= b.configs
	return fmt.Sprintf("lb-%d/%d", i/configsOfBalancer, port(i))
}

func (b *bed) node(i int) string { return fmt.Sprintf("%s/n-%d", b.config(i), i%b.nodes) }

// start starts the daemon and says how long it took until it was ready.
func (b *bed) start(ctx context.Context) (time.Duration, error) {
	begin := time.Now()
	err := b.gate.Start(ctx)
	return time.Since(begin), err
}

// kind is a kind of change; change gives the i-th of it.
type kind struct {
	what   string
	change func(i int) api.Edit
}

func (b *bed) kinds() []kind {
	edit := func(action string, k api.Kind, name, key, value string) api.Edit {
		e := api.Edit{Action: action, Kind: k, Name: name}
		if key != "" {
			e.Values = api.Values{key: &value}
		}
		return e
	}
	either := func(i int, a, b string) string {
		if i%2 == 0 {
			return a
		}
		return b
	}
	return []kind{
		{"another weight of a node", func(i int) api.Edit {
			return edit(api.Change, api.KindNode, b.node(7*i), "weight", fmt.Sprint(51+i%100))
		}},
		{"another mode of a node", func(i int) api.Edit {
			return edit(api.Change, api.KindNode, b.node(0), "mode", either(i, "drain", "accept"))
		}},
		{"a node's health set", func(i int) api.Edit {
			return edit(api.Change, api.KindNode, b.node(0), "override", either(i, "down", "none"))
		}},
		{"a node added, or removed", func(i int) api.Edit {
			action := either(i, api.Add, api.Remove)
			key := either(i, "address", "")
			return edit(action, api.KindNode, b.config(0)+"/another", key, "10.200.0.1:80")
		}},
		{"another algorithm of a config", func(i int) api.Edit {
			return edit(api.Change, api.KindConfig, b.config(0), "algorithm", either(i, b.other, b.algorithm))
		}},
	}
}

// measure makes changes one after the other, and says how long each took until the data path ran it, in order.
func (b *bed) measure(ctx context.Context, k kind, changes int) ([]time.Duration, error) {
	var took []time.Duration
	for i := range changes {
		begin := time.Now()
		res, err := b.client.Edit(ctx, k.change(i))
		if err == nil {
			err = b.client.WaitApplied(ctx, res.Desired)
		}
		if err != nil {
			return nil, err
		}
		took = append(took, time.Since(begin))
	}
	slices.Sort(took)
	return took, nil
}

// memory is what the daemon has for itself, in bytes: the maps are the kernel's, though it looks into them.
func (b *bed) memory() (float64, error) {
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", b.gate.Daemon().PID()))
	if err != nil {
		return 0, err
	}
	_, rest, _ := bytes.Cut(data, []byte("RssAnon:"))
	var kilobytes float64
	_, err = fmt.Sscan(string(rest), &kilobytes)
	return 1024 * kilobytes, err
}
