package daemon

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/headgate/headgate/pkg/api"
	"github.com/headgate/headgate/pkg/config"
	"github.com/headgate/headgate/pkg/health"
	"github.com/headgate/headgate/pkg/lb"
	"github.com/headgate/headgate/pkg/store"
)

// values makes them of keys and texts; the text default stands for the default.
func values(pairs ...string) api.Values {
	v := api.Values{}
	for i := 0; i < len(pairs); i += 2 {
		v[pairs[i]] = &pairs[i+1]
		if pairs[i+1] == "default" {
			v[pairs[i]] = nil
		}
	}
	return v
}

func setNode(name string, pairs ...string) api.Edit {
	return api.Edit{Action: api.Change, Kind: api.KindNode, Name: name, Values: values(pairs...)}
}

func TestAnEditIsAppliedAndNamesItsGeneration(t *testing.T) {
	running(t, twoNodes, func(t *testing.T, r *rig) {
		b := backendOf(r)
		res, err := b.Edit(t.Context(), setNode("web/80/web-1", "mode", "drain", "weight", "7"))
		if err != nil || res.Desired != 2 || len(res.Plan.Steps) != 1 {
			t.Fatalf("%+v, %v", res, err)
		}
		if err := b.WaitApplied(t.Context(), res.Desired); err != nil {
			t.Fatal(err)
		}
		if n := r.inMaps(t, "192.0.2.11:8080"); n.Status.Mode != lb.Drain || n.Weight != 7 {
			t.Errorf("the maps say %s, %d", n.Status.Mode, n.Weight)
		}
		if _, err := b.Edit(t.Context(), setNode("web/80/192.0.2.12:8080", "mode", "backup")); err != nil {
			t.Errorf("by address: %v", err)
		}
		dry := setNode("web/80/web-1", "weight", "9")
		dry.DryRun = true
		if res, err := b.Edit(t.Context(), dry); err != nil || !res.DryRun || len(res.Plan.Steps) != 1 || r.store.Get().Revision != 3 {
			t.Errorf("a dry run: %+v, %v, revision %d", res, err, r.store.Get().Revision)
		}
	})
}

const sixThings = `balancers:
  - label: web
    ipv4: 203.0.113.10
    configs:
      - port: 80
        check: connection
        nodes:
          - {label: web-1, address: "192.0.2.11:8080"}
          - {label: twin, address: "192.0.2.12:8080"}
          - {label: twin, address: "192.0.2.13:8080"}
  - label: dns
    ipv4: 203.0.113.53
`

func parsed(t *testing.T, file string) []lb.Balancer {
	t.Helper()
	f, err := config.Parse("x", []byte(file))
	if err != nil {
		t.Fatal(err)
	}
	return f.Balancers
}

// TestEditsSayWhatTheFileWouldSay makes each change, and exports what comes of it.
func TestEditsSayWhatTheFileWouldSay(t *testing.T) {
	const web1 = `          - {label: web-1, address: "192.0.2.11:8080"}` + "\n"
	const twin1 = `          - {label: twin, address: "192.0.2.12:8080"}` + "\n"
	const dns = "  - label: dns\n    ipv4: 203.0.113.53\n"
	for _, tt := range []struct {
		name      string
		edit      api.Edit
		old, with string // in the file
	}{
		{"balancer added", api.Edit{Action: api.Add, Kind: api.KindBalancer, Name: "new", Values: values("ipv6", "2001:db8::1")}, dns, dns + "  - label: new\n    ipv6: 2001:db8::1\n"},
		{"balancer changed", api.Edit{Action: api.Change, Kind: api.KindBalancer, Name: "dns", Values: values("label", "names", "ipv4", "203.0.113.54")}, dns, "  - label: names\n    ipv4: 203.0.113.54\n"},
		{"balancer removed", api.Edit{Action: api.Remove, Kind: api.KindBalancer, Name: "dns"}, dns, ""},
		{"config added", api.Edit{Action: api.Add, Kind: api.KindConfig, Name: "dns/53/udp", Values: values("udp_idle", "30")}, dns, dns + "    configs:\n      - port: 53\n        protocol: udp\n        udp_idle: 30s\n"},
		{"config changed", api.Edit{Action: api.Change, Kind: api.KindConfig, Name: "web/80", Values: values("check", "default", "on_down", "reset")}, "        check: connection\n", "        on_down: reset\n"},
		{"config removed", api.Edit{Action: api.Remove, Kind: api.KindConfig, Name: "web/80"}, sixThings[strings.Index(sixThings, "    configs"):strings.Index(sixThings, dns)], ""},
		{"node added", api.Edit{Action: api.Add, Kind: api.KindNode, Name: "web/80/web-4", Values: values("address", "192.0.2.14:80", "mode", "backup")},
			`13:8080"}` + "\n", `13:8080"}` + "\n" + `          - {label: web-4, address: "192.0.2.14:80", mode: backup}` + "\n"},
		{"node changed", setNode("web/80/web-1", "label", "web-one", "address", "192.0.2.19:1", "weight", "9", "override", "up"), web1, `          - {label: web-one, address: "192.0.2.19:1", weight: 9, override: up}` + "\n"},
		{"node changed back", setNode("web/80/web-1", "weight", "default", "mode", "default", "override", "default"), "", ""},
		{"node removed", api.Edit{Action: api.Remove, Kind: api.KindNode, Name: "web/80/192.0.2.12:8080"}, twin1, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			disk := newMemoryStore()
			_, err := disk.Update(func([]lb.Balancer) ([]lb.Balancer, error) { return parsed(t, sixThings), nil })
			if err != nil {
				t.Fatal(err)
			}
			next, err := disk.Change(func(d *store.Draft) error { return edit(d, tt.edit, lb.Pool{}) })
			if err != nil {
				t.Fatal(err)
			}
			got, err := config.Export(next.Balancers)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(strings.Replace(sixThings, tt.old, tt.with, 1), string(got)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// TestEditsTakeIds: the store gives them to balancers, configs and nodes in their order.
func TestEditsTakeIds(t *testing.T) {
	running(t, sixThings+"interfaces: [eth0]\n", func(t *testing.T, r *rig) {
		b := backendOf(r)
		ids := r.store.Get().Balancers
		web, dns := ids[0].ID, ids[1].ID
		config, node := ids[0].Configs[0].ID, ids[0].Configs[0].Nodes[1].ID
		for _, tt := range []struct {
			kind       api.Kind
			action     string
			name, step string
			values     api.Values
		}{
			{api.KindBalancer, api.Change, fmt.Sprint(dns), "change balancer dns [announce: false → true]", values("announce", "true")},
			{api.KindConfig, api.Change, fmt.Sprint(config), "change config web/80 [on_down: keep → reset]", values("on_down", "reset")},
			{api.KindConfig, api.Add, fmt.Sprintf("%d/81", web), "add config web/81 []", nil},
			{api.KindNode, api.Change, fmt.Sprint(node), "change node web/80/192.0.2.12:8080 [weight: 50 → 9]", values("weight", "9")},
			{api.KindNode, api.Change, fmt.Sprintf("%d/80/web-1", web), "change node web/80/web-1 [weight: 50 → 9]", values("weight", "9")},
			{api.KindNode, api.Remove, fmt.Sprint(node), "remove node web/80/twin [192.0.2.12:8080]", nil},
			{api.KindBalancer, api.Remove, fmt.Sprint(dns), "remove balancer dns []", nil},
		} {
			res, err := b.Edit(t.Context(), api.Edit{Action: tt.action, Kind: tt.kind, Name: tt.name, Values: tt.values})
			if err != nil || len(res.Plan.Steps) != 1 {
				t.Errorf("%s %s %s: %+v, %v", tt.action, tt.kind, tt.name, res.Plan, err)
				continue
			}
			if s := res.Plan.Steps[0]; fmt.Sprintf("%s %s %s %v", s.Action, s.Kind, s.Name, s.Changes) != tt.step {
				t.Errorf("%s: %+v, want %s", tt.name, s, tt.step)
			}
		}
		for kind, name := range map[api.Kind]string{api.KindNode: "4711", api.KindConfig: "4711", api.KindBalancer: "4711"} {
			if _, err := b.Edit(t.Context(), api.Edit{Action: api.Remove, Kind: kind, Name: name}); err == nil || !strings.Contains(err.Error(), "4711") {
				t.Errorf("%s: %v", kind, err)
			}
		}
	})
}

// TestABalancerWithoutAnAddressGetsOneOfThePool as it does by the API.
func TestABalancerWithoutAnAddressGetsOneOfThePool(t *testing.T) {
	const pool = "interfaces: [eth0]\nvip_pool: [203.0.113.8/29, \"2001:db8::/64\"]\n"
	running(t, sixThings+pool, func(t *testing.T, r *rig) {
		b := backendOf(r)
		add := func(name string, pairs ...string) api.Plan {
			t.Helper()
			res, err := b.Edit(t.Context(), api.Edit{Action: api.Add, Kind: api.KindBalancer, Name: name, Values: values(pairs...)})
			if err != nil {
				t.Fatal(err)
			}
			return res.Plan
		}
		for _, tt := range []struct{ name, key, value, want string }{
			{"first", "announce", "false", "VIPs 203.0.113.9 2001:db8::1"},
			{"given", "ipv4", "203.0.113.200", "VIPs 203.0.113.200"}, // as a file says it: that, and no other
			{"second", "announce", "false", "VIPs 203.0.113.11 2001:db8::2"},
		} {
			if p := add(tt.name, tt.key, tt.value); len(p.Steps) != 1 || p.Steps[0].Changes[0] != tt.want {
				t.Errorf("%s: %+v, want %s", tt.name, p.Steps, tt.want)
			}
		}
	})
}

// TestWrongEditsAreRefusedInWords tries each verb on each noun with what cannot be; nothing is changed then.
func TestWrongEditsAreRefusedInWords(t *testing.T) {
	add := func(kind api.Kind, name string, pairs ...string) api.Edit {
		return api.Edit{Action: api.Add, Kind: kind, Name: name, Values: values(pairs...)}
	}
	change := func(kind api.Kind, name string, pairs ...string) api.Edit {
		return api.Edit{Action: api.Change, Kind: kind, Name: name, Values: values(pairs...)}
	}
	remove := func(kind api.Kind, name string) api.Edit { return api.Edit{Action: api.Remove, Kind: kind, Name: name} }
	const b, c, n = api.KindBalancer, api.KindConfig, api.KindNode
	running(t, sixThings+"interfaces: [eth0]\n", func(t *testing.T, r *rig) {
		for _, tt := range []struct {
			edit   api.Edit
			status int
			want   []string // each reason
		}{
			{add(b, "web"), 409, []string{"web: there is a balancer of this name already: `headgate balancer set` changes it"}},
			{add(b, "ab", "ipv4", "203.0.113.1"), 400, []string{"ab: label must have from 3 to 32 characters, not 2"}},
			{add(b, "new"), 400, []string{"new: no VIP is left to give: vip_pool is empty in the configuration of this host; or name one with ipv4 or ipv6"}},
			{add(b, "new", "ipv4", "203.0.113.10"), 400, []string{"new: ipv4 203.0.113.10 is already the VIP of web: each needs its own"}},
			{add(b, "new", "ipv4", "example.com", "ipv6", "203.0.113.1"), 400, []string{`new: ipv4 "example.com" is not an IP address`, "new: ipv6 203.0.113.1 is not an IPv6 address"}},
			{add(b, "new", "ipv4", "203.0.113.1", "label", "other"), 400, []string{"new: label is part of its name"}},
			{change(b, "nose", "ipv4", "203.0.113.1"), 404, []string{"nose: no such balancer (have: web, dns)"}},
			{change(b, "dns", "label", "web"), 400, []string{`dns: label "web" is another balancer's`}},
			{change(b, "dns", "ipv4", "default"), 400, []string{"dns: needs a virtual address: set ipv4, ipv6 or both"}},
			{change(b, "web", "ipv4", "203.0.113.53"), 400, []string{"web: ipv4 203.0.113.53 is already the VIP of dns: each needs its own"}},
			{change(b, "dns", "ipv4", "192.0.2.11"), 400, []string{`web/80/web-1: address 192.0.2.11 is the VIP of balancer "dns": its packets would come back here for ever`}},
			{change(b, "dns", "weight", "3"), 400, []string{`dns: "weight" is nothing that can be set (there are: label, ipv4, ipv6, client_conn_throttle, client_udp_sess_throttle, announce, tags)`}},
			{remove(b, "nose"), 404, []string{"nose: no such balancer (have: web, dns)"}},
			{remove(b, "web/80"), 404, []string{"web/80: no such balancer (have: web, dns)"}},

			{add(c, "web/80"), 409, []string{"web/80: there is a config of this name already: `headgate config set` changes it"}},
			{add(c, "web"), 400, []string{`"web" is not the name of a config: write BALANCER/PORT or BALANCER/PORT/udp`}},
			{add(c, "nose/80"), 404, []string{"nose: no such balancer (have: web, dns)"}},
			{add(c, "web/0"), 400, []string{`"web/0": the port must be a number from 1 to 65535, not "0"`}},
			{add(c, "web/81/sctp"), 400, []string{`"web/81/sctp": the protocol must be one of tcp, udp, not "sctp"`}},
			{add(c, "web/81", "port", "82"), 400, []string{"web/81: port is part of its name"}},
			{add(c, "web/81", "check_interval", "2s", "check_timeout", "2s"), 400, []string{"web/81: check_timeout must be less than check_interval (2s), not 2s"}},
			{change(c, "web/81", "on_down", "keep"), 404, []string{"web/81: no such config (have: web/80)"}},
			{change(c, "dns/53", "on_down", "keep"), 404, []string{"dns/53: no such config (have: none)"}},
			{change(c, "web/80", "on_down", "die", "check_rise", "0", "tcp_idle", "1s"), 400, []string{
				`web/80: on_down must be one of keep, reset, not "die"`, "web/80: tcp_idle must be from 1m to 168h, not 1s", "web/80: check_rise must be from 1 to 30, not 0"}},
			{change(c, "web/80", "protocol", "udp"), 400, []string{"web/80: protocol is part of its name"}},
			{change(c, "web/80", "nodes", "x"), 400, []string{`web/80: "nodes" is nothing that can be set (there are: algorithm, `}},
			{remove(c, "web/80/udp"), 404, []string{"web/80/udp: no such config (have: web/80)"}},
			{remove(c, "web/80/web-1"), 400, []string{`"web/80/web-1": the protocol must be one of tcp, udp, not "web-1"`}},

			{add(n, "web/80/web-1", "address", "192.0.2.99:80"), 409, []string{"web/80/web-1: there is a node of this name already: `headgate node set` changes it"}},
			{add(n, "web/80/web-9", "address", "192.0.2.11:8080"), 400, []string{"web/80/web-9: address 192.0.2.11:8080 is already the address of web/80/web-1: each needs its own"}},
			{add(n, "web/80/web-9"), 400, []string{"web/80/web-9: address is required"}},
			{add(n, "web/80/web-9", "address", "192.0.2.11"), 400, []string{`web/80/web-9: address "192.0.2.11" has no port: write 192.0.2.11:PORT`}},
			{add(n, "web/80/web-9", "address", "[2001:db8::1]:80"), 400, []string{"web/80/web-9: address 2001:db8::1 is IPv6, but the balancer has no ipv6 VIP: set one, or write an IPv4 address"}},
			{add(n, "web/80/w", "address", "192.0.2.99:80"), 400, []string{"web/80/w: label must have from 3 to 32 characters, not 1"}},
			{add(n, "dns/53/web-9", "address", "192.0.2.99:80"), 404, []string{"dns/53: no such config (have: none)"}},
			{setNode("web/80/web-9", "weight", "1"), 404, []string{"web/80/web-9: no such node (have: web-1, twin (192.0.2.12:8080), twin (192.0.2.13:8080))"}},
			{setNode("web/80/twin", "weight", "1"), 404, []string{"web/80/twin: 2 nodes have this label: name one by its address"}},
			{setNode("web/80/web-1", "address", "192.0.2.12:8080"), 400, []string{"web/80/web-1: address 192.0.2.12:8080 is already the address of web/80/twin: each needs its own"}},
			{setNode("web/80/192.0.2.13:8080", "address", "192.0.2.11:8080"), 400, []string{"web/80/twin: address 192.0.2.11:8080 is already the address of web/80/web-1: each needs its own"}},
			{setNode("web", "weight", "1"), 400, []string{`"web" is not the name of a node`}},
			{setNode("web/80/web-1", "mode", "up", "weight", "256"), 400, []string{"web/80/web-1: weight must be from 1 to 255, not 256", `web/80/web-1: mode must be one of accept, reject, drain, backup, not "up"`}},
			{setNode("web/80/web-1", "weight", "0", "override", "on"), 400, []string{"web/80/web-1: weight must be from 1 to 255, not 0", `web/80/web-1: override must be one of none, up, down, not "on"`}},
			{setNode("web/80/web-1", "label", "default"), 400, []string{"web/80/web-1: label has no default: give a value"}},
			{remove(n, "web/80"), 400, []string{`"web/80" is not the name of a node`}},
			{remove(n, "web/80/twin"), 404, []string{"web/80/twin: 2 nodes have this label: name one by its address"}},
		} {
			_, err := backendOf(r).Edit(t.Context(), tt.edit)
			var refused *api.Error
			if !errors.As(err, &refused) || refused.Status != tt.status || len(refused.Reasons) != len(tt.want) {
				t.Errorf("%+v: %#v", tt.edit, err)
				continue
			}
			for i, want := range tt.want {
				if got := refused.Reasons[i].Reason; !strings.HasPrefix(got, want) || strings.Contains(got, "\n") {
					t.Errorf("%+v:\n%q, want\n%q", tt.edit, got, want)
				}
			}
		}
		if r.store.Get().Revision != 1 {
			t.Error("something was changed")
		}
	})
}

// A plan knows which nodes the checks have found DOWN: to take out the last that is UP refuses everybody.
func TestAPlanDoesNotCountOnNodesThatAreDown(t *testing.T) {
	r := newRig(t, twoNodes)
	b := backendOf(r)
	plan := func() []api.ConfigMove {
		t.Helper()
		e := setNode("web/80/web-2", "mode", "drain")
		e.DryRun = true
		res, err := b.Edit(t.Context(), e)
		if err != nil {
			t.Fatal(err)
		}
		return res.Plan.Moves
	}
	if m := plan(); len(m) != 1 || m[0].Refused || m[0].Down != 0 {
		t.Errorf("all are well: %+v", m)
	}
	r.state.SetHealth(health.ResultsOf(map[lb.NodeKey]health.Result{web1: {Key: web1, Health: lb.Down, Reason: "connection refused", At: time.Now()}}))
	r.settle(false)
	if m := plan(); len(m) != 1 || !m[0].Refused || m[0].Down != 1 || m[0].Share != 1 {
		t.Errorf("web-1 is DOWN: %+v", m)
	}
}

// A plan that takes a config away says who loses service, as the last node's going is said.
func TestAPlanSaysWhoLosesService(t *testing.T) {
	r := newRig(t, twoNodes)
	want := []api.ConfigMove{{Config: "web/80", Share: 1, Unserved: []string{"203.0.113.10"}}}
	for _, e := range []api.Edit{{Kind: api.KindConfig, Name: "web/80"}, {Kind: api.KindBalancer, Name: "web"}} {
		e.Action, e.DryRun = api.Remove, true
		res, err := backendOf(r).Edit(t.Context(), e)
		if diff := cmp.Diff(want, res.Plan.Moves); err != nil || diff != "" {
			t.Errorf("%s: %v (-want +got)\n%s", e.Name, err, diff)
		}
	}
}
