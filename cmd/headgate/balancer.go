package main

import (
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/headgate/headgate/pkg/api"
	"github.com/headgate/headgate/pkg/lb"
)

var balancers = noun{
	kind: api.KindBalancer, form: "LABEL", named: []string{"label"},
	settings: settingsOf(lb.BalancerSettings, func() *lb.Balancer { return &lb.Balancer{} }),
	set:      "change addresses, tags or label of a balancer",
	examples: map[string][]string{
		"add":    {"headgate balancer add web --ipv4 203.0.113.10 --ipv6 2001:db8::10", "headgate balancer add shop --tags eu,shop   # with addresses of vip_pool"},
		"set":    {"headgate balancer set web --ipv6 2001:db8::10 --wait", "headgate balancer set web --ipv6 default   # none"},
		"remove": {"headgate balancer remove web --dry-run", "headgate balancer remove web --yes"},
	},
}

func balancerCommand(e env) *cli.Command {
	return balancers.command(e, looks{
		usage:  "balancers",
		listed: "all balancers with their addresses and how their configs are",
		shown:  "all there is about one balancer, and its configs",
		examples: map[string][]string{
			"all": {"headgate balancer show web"}, "list": {"headgate balancer list"}, "show": {"headgate balancer show web"},
		},
		list: func(st *api.Status, _ string) (picture, error) {
			return picture{st.Balancers, func(w io.Writer) error { return writeTable(w, "", balancerColumns, balancerRows(st.Balancers)) }}, nil
		},
		show: func(st *api.Status, name string) (picture, error) {
			b, err := st.Balancer(name)
			return picture{b, func(w io.Writer) error { return printBalancer(w, b, configsNamed(st, b.Name)) }}, err
		},
	})
}

var balancerColumns = columns("BALANCER", "STATUS", ">CONFIGS", ">FLOWS", "IPV4", "IPV6")

func balancerRows(balancers []api.Balancer) [][]string {
	rows := make([][]string, len(balancers))
	for i, b := range balancers {
		v4, v6 := families(b.Addresses)
		rows[i] = []string{b.Name, b.Status, number(uint64(len(b.Configs))), number(b.ActiveFlows), v4, v6}
	}
	return rows
}

// families tells the addresses of a balancer apart; it has one of each family at most.
func families(addresses []string) (v4, v6 string) {
	v4, v6 = "-", "-"
	for _, a := range addresses {
		if strings.Contains(a, ":") {
			v6 = a
		} else {
			v4 = a
		}
	}
	return v4, v6
}

// printBalancer writes all there is about one balancer.
func printBalancer(w io.Writer, b api.Balancer, configs []api.Config) error {
	settings := settingLines(b.Settings, balancers)
	if b.Settings == nil { // the maps know the addresses alone
		settings = [][2]string{{"addresses", strings.Join(b.Addresses, " ")}}
	}
	if len(b.Tags) > 0 {
		settings = append(settings, [2]string{"tags", strings.Join(b.Tags, ", ")})
	}
	lines := slices.Concat([][2]string{{"balancer", b.Name}, {"status", b.Status}}, settings, [][2]string{{"active flows", number(b.ActiveFlows)}})
	if err := writeLines(w, lines); err != nil {
		return err
	}
	if len(configs) == 0 {
		_, err := fmt.Fprintf(w, "\nno configs: headgate config add %s/PORT\n", b.Name)
		return err
	}
	fmt.Fprintln(w)
	return writeTable(w, "", configColumns, configRows(configs))
}
