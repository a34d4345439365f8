package v4

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/headgate/headgate/pkg/api"
	"github.com/headgate/headgate/pkg/lb"
)

// faultsOf are the errors of an answer as field: reason.
func faultsOf(t *testing.T, body string) (out []string) {
	t.Helper()
	var answer struct{ Errors []api.Refusal }
	if err := json.Unmarshal([]byte(body), &answer); err != nil {
		t.Fatalf("%v in %s", err, body)
	}
	for _, e := range answer.Errors {
		out = append(out, e.Field+": "+e.Reason)
	}
	return out
}

// refusedWith makes requests to the stocked bed that must all be refused, and change nothing.
func refusedWith(t *testing.T, method, path string, bodies map[string][]string) {
	t.Helper()
	b := stocked(t)
	before := b.Get()
	for body, want := range bodies {
		code, got, _ := b.call(method, path, body)
		faults := faultsOf(t, got)
		slices.Sort(faults)
		slices.Sort(want)
		if diff := cmp.Diff(want, faults); code != 400 || diff != "" {
			t.Errorf("%s %s %s: %d\n%s", method, path, body, code, diff)
		}
	}
	if after := b.Get(); after.Revision != before.Revision {
		t.Errorf("revision %d became %d", before.Revision, after.Revision)
	}
}

const noFirewall = "there are no firewalls here: filter before the balancer, or on the nodes"

func TestABalancerIsRefusedWithEveryReason(t *testing.T) {
	refusedWith(t, "POST", "/v4/nodebalancers", map[string][]string{
		``:                                       {": the request is not JSON"},
		`{`:                                      {": the request is not JSON"},
		`{"region":"local"`:                      {": the request is not JSON"},
		`[]`:                                     {": the request must be a JSON object, not a list"},
		` null`:                                  {": the request must be a JSON object, not null"},
		`7`:                                      {": the request must be a JSON object, not the number 7"},
		`{}`:                                     {"region: region is required"},
		`{"region":""}`:                          {"region: region is required"},
		`{"region":null}`:                        {"region: region is required"},
		`{"region":"us-east"}`:                   {"region: region is not valid"},
		`{"region":7}`:                           {"region: must be a text, not the number 7"},
		`{"region":"local","label":"w"}`:         {"label: must have from 3 to 32 characters, not 1"},
		`{"region":"local","label":"a.b"}`:       {`label: "a.b" has '.': only letters, digits and any of -_ are allowed`},
		`{"region":"local","label":"balancer1"}`: {`label: "balancer1" is the label of another balancer already`},
		`{"region":"local","label":null,"type":"nanode","tags":"a","firewall_id":3,"vpcs":[{}],"nonsense":1}`: {
			"label: must be a text, not null", `type: must be one of common, premium, premium_40gb, not "nanode"`,
			"tags: must be a list of texts, not a text", "firewall_id: " + noFirewall,
			"vpcs: there are no VPCs here: nodes are reached by the routes of the host", "nonsense: is not known here",
		},
		`{"region":"local","tags":["a",7]}`:            {"tags: must be a list of texts"},
		`{"region":"local","tags":["a\n"]}`:            {`tags[0]: "a\n" has characters that cannot be printed`},
		`{"region":"local","client_conn_throttle":21}`: {"client_conn_throttle: must be from 0 to 20, not 21"},
		`{"region":"local","ipv4":"192.0.2.1"}`:        {"ipv4: 192.0.2.1 is not in vip_pool of the configuration of this host"},
		`{"region":"local","ipv4":"203.0.113.1"}`:      {"ipv4: 203.0.113.1 is the VIP of balancer balancer1 already"},
		`{"region":"local","ipv4":"203.0.113.2"}`:      {"ipv4: 203.0.113.2 is an address that this host sends from"},
		`{"region":"local","ipv4":"web","ipv6":"203.0.113.5"}`: {
			`ipv4: must be an address as IPv4 has it, not "web"`, `ipv6: must be an address as IPv6 has it, not "203.0.113.5"`},
		`{"region":"local","configs":{}}`:   {"configs: must be a list, not an object"},
		`{"region":"local","configs":[[]]}`: {"configs[0]: must be an object, not a list"},
		`{"region":"local","configs":[{"port":70000,"nodes":[{"address":"192.0.2.1:80"},{"label":"abc","address":"192.0.2.1:80","weight":256}]}]}`: {
			"configs[0].port: must be from 1 to 65535, not 70000", "configs[0].nodes[0].label: label is required",
			"configs[0].nodes[1].address: 192.0.2.1:80 is the address of another node of this config already",
			"configs[0].nodes[1].weight: must be from 1 to 255, not 256",
		},
		`{"region":"local","configs":[{"nodes":[{"label":"abc","address":"203.0.113.1:80"}]},{"port":80}]}`: {
			`configs[0].nodes[0].address: 203.0.113.1 is the VIP of balancer "balancer1": its packets would come back here for ever`,
			"configs[1].port: 80 is the port of another tcp config of this balancer already",
		},
		`{"region":"local","ipv6":null,"configs":[{"nodes":[{"label":"abc","address":"[2001:db8::1]:80"}]}]}`: {
			"configs[0].nodes[0].address: 2001:db8::1 is IPv6, but the balancer has no ipv6 VIP: set one, or write an IPv4 address",
		},
	})
}

func TestAConfigIsRefusedWithEveryReason(t *testing.T) {
	bodies := map[string][]string{
		`{"port":0}`:                      {"port: must be from 1 to 65535, not 0"},
		`{"port":"443"}`:                  {"port: must be a number from 1 to 65535, not a text"},
		`{"port":443.5}`:                  {"port: must be a number from 1 to 65535, not the number 443.5"},
		`{"port":443,"protocol":"https"}`: {"protocol: " + noTLS},
		`{"port":443,"protocol":"sctp"}`:  {`protocol: must be one of tcp, udp, http, not "sctp"`},
		`{"port":443,"protocol":"tcp","stickiness":"http_cookie"}`: {"stickiness: Stickiness http_cookie requires protocol 'http' or 'https'"},
		`{"port":443,"protocol":"http","stickiness":"http_cookie"}`: {
			"stickiness: http_cookie takes a look into HTTP, which is forwarded as TCP here: table keeps a client at its node"},
		`{"port":443,"protocol":"tcp","algorithm":"ring_hash"}`: {
			`algorithm: ring_hash does not go with protocol tcp: must be one of roundrobin, leastconn, source, not "ring_hash"`},
		`{"port":443,"protocol":"udp","algorithm":"source","stickiness":"table"}`: {
			`algorithm: source does not go with protocol udp: must be one of roundrobin, leastconn, ring_hash, not "source"`,
			`stickiness: table does not go with protocol udp: must be one of session, none, source_ip, not "table"`},
		`{"port":443,"check_interval":1,"check_timeout":31,"check_attempts":0}`: {
			"check_interval: must be from 2 to 3600, not 1", "check_timeout: must be from 1 to 30, not 31", "check_attempts: must be from 1 to 30, not 0"},
		`{"port":443,"check_interval":30}`:    {"check_interval: must be more than check_timeout (30 s), not 30"},
		`{"port":443,"check_interval":"5"}`:   {"check_interval: must be a number from 2 to 3600, not a text"},
		`{"port":443,"check_interval_ms":99}`: {"check_interval_ms: must be from 100 to 3600000, not 99"},
		`{"port":443,"check_passive":"no"}`:   {"check_passive: must be true or false, not a text"},
		`{"port":443,"protocol":"udp","check_passive":true}`: {
			"check_passive: must be false with protocol udp: nothing in UDP tells a refusal from a reply"},
		`{"port":443,"check":"http"}`: {"check_path: is required for check http: what to ask for, as in /healthz"},
		`{"port":443,"check":"http_body","check_path":"no"}`: {`check_path: must be a path with a query if need be, as in /healthz?full=1, not "no"`,
			"check_body: is required for check http_body: a regular expression that the body matches"},
		`{"port":443,"check_tls":"yes"}`:       {"check_tls: must be true or false, not a text"},
		`{"port":443,"check":"ping"}`:          {`check: must be one of none, connection, http, http_body, https, udp, grpc, not "ping"`},
		`{"port":443,"proxy_protocol":"v2"}`:   {"proxy_protocol: nodes see the address of the balancer: only none"},
		`{"port":443,"cipher_suite":"strong"}`: {`cipher_suite: must be one of recommended, legacy, none, not "strong"`},
		`{"port":443,"ssl_cert":"-----BEGIN"}`: {"ssl_cert: " + noTLS},
		`{"port":443,"ssl_key":"secret"}`:      {"ssl_key: " + noTLS},
		`{"port":443,"udp_check_port":0}`:      {"udp_check_port: must be from 1 to 65535, not 0"},
		`{"port":443,"tcp_idle":5}`:            {"tcp_idle: must be from 1m to 168h, not 5s"},
		`{"port":443,"tcp_idle":"soon"}`:       {`tcp_idle: must be a duration such as 250ms, 2s or 1h, or whole seconds, not "soon"`},
		`{"port":443,"on_down":"panic"}`:       {`on_down: must be one of keep, reset, not "panic"`},
		`{"port":443,"nodes":[7]}`:             {"nodes[0]: must be an object, not the number 7"},
		`{"port":443,"nodes":[{"label":"abc","address":"[2001:db8::1]:80","mode":"none"}]}`: {
			`nodes[0].mode: must be one of accept, reject, drain, backup, not "none"`},
	}
	// The words for checks are the vocabulary's.
	bodies[`{"port":443,"check":"ping"}`] = []string{"check: " + fieldOfCheck("ping")}
	refusedWith(t, "POST", "/v4/nodebalancers/1/configs", bodies)
	refusedWith(t, "PUT", "/v4/nodebalancers/1/configs/2", bodies2(bodies))
	refusedWith(t, "POST", "/v4/nodebalancers/1/configs/2/rebuild", map[string][]string{
		`{}`:           {"nodes: nodes is required: a rebuild names all nodes, or [] for none"},
		`{"nodes":{}}`: {"nodes: must be a list, not an object"},
		`{"port":0,"nodes":[{"id":3,"weight":0},{"id":4,"weight":0},{"id":3},{"id":"x"},{"label":"abc"}]}`: {
			"port: must be from 1 to 65535, not 0", "nodes[0].weight: must be from 1 to 255, not 0",
			"nodes[1].id: 4 is no node of this config: leave it out to make a new one", "nodes[2].id: 3 is named twice",
			"nodes[3].id: must be the id of a node, not a text", "nodes[4].address: address is required",
		},
	})
	refusedWith(t, "PUT", "/v4/nodebalancers/1/configs/2", map[string][]string{
		`{"nodes":[{"label":"abc","address":"192.0.2.1:80"}]}`: {"nodes: cannot be changed with the config: use rebuild, or the path of a node"},
	})
}

// bodies2 are those that a change refuses as a creation does: what has nodes has a reason of its own.
func bodies2(bodies map[string][]string) map[string][]string {
	out := map[string][]string{}
	for body, want := range bodies {
		if !strings.Contains(body, "nodes") && !strings.Contains(body, `"protocol":"udp","check_passive"`) {
			out[body] = want
		}
	}
	return out
}

func fieldOfCheck(word string) string {
	p := checkProperties[0]
	return p.take(&config{Config: standardConfig(&lb.Config{})}, value(fmt.Sprintf("%q", word)))
}

func TestANodeIsRefusedWithEveryReason(t *testing.T) {
	const format = "address: Must be in address:port format"
	bodies := map[string][]string{}
	for address, want := range map[string]string{
		"192.0.2.1": format, "192.0.2.1:": format, "192.0.2.1:http": format, "web.example.com:80": format, "2001:db8::1": format, "": format,
		"192.0.2.1:0": "address: the port must be from 1 to 65535, not 0", "127.0.0.1:80": "address: 127.0.0.1 is a loopback address: packets to it never leave a host",
		"0.0.0.0:80":        "address: 0.0.0.0 is the unspecified address: write one that can be reached",
		"224.0.0.1:80":      "address: 224.0.0.1 is a multicast address: write a unicast one",
		"[fe80::1%eth0]:80": "address: fe80::1%eth0 names an interface: write an address without %eth0",
		"192.0.2.11:80":     "address: 192.0.2.11:80 is the address of another node of this config already",
		"203.0.113.1:80":    `address: 203.0.113.1 is the VIP of balancer "balancer1": its packets would come back here for ever`,
		"192.0.2.1:80 ":     format,
	} {
		bodies[fmt.Sprintf(`{"label":"abc","address":%q}`, address)] = []string{want}
	}
	for body, want := range map[string][]string{
		`{}`:                                    {"address: address is required", "label: label is required"},
		`{"label":"","address":"192.0.2.1:80"}`: {"label: is required"},
		`{"label":"ab","address":"192.0.2.1:80"}`:                  {"label: must have from 3 to 32 characters, not 2"},
		`{"label":"abc","address":"192.0.2.1:80","weight":-1}`:     {"weight: must be from 1 to 255, not -1"},
		`{"label":"abc","address":"192.0.2.1:80","weight":1e2}`:    {"weight: must be a number from 1 to 255, not the number 1e2"},
		`{"label":"abc","address":"192.0.2.1:80","mode":"ACCEPT"}`: {`mode: must be one of accept, reject, drain, backup, not "ACCEPT"`},
		`{"label":"abc","address":"192.0.2.1:80","subnet_id":7}`:   {"subnet_id: there are no VPCs here: nodes are reached by the routes of the host"},
		`{"label":"abc","address":"192.0.2.1:80","override":"?"}`:  {`override: must be one of none, up, down, not "?"`},
		`{"label":"abc","address":80}`:                             {"address: must be a text, not the number 80"},
	} {
		bodies[body] = want
	}
	refusedWith(t, "POST", "/v4/nodebalancers/1/configs/2/nodes", bodies)
	delete(bodies, `{}`)
	delete(bodies, `{"label":"abc","address":"192.0.2.11:80"}`) // its own
	refusedWith(t, "PUT", "/v4/nodebalancers/1/configs/2/nodes/3", bodies)
}

func TestAStoreThatFailsIsSaidToHaveFailed(t *testing.T) {
	b := stocked(t)
	b.full = errors.New("no space left on device; nothing was changed")
	b.want("DELETE", "/v4/nodebalancers/1", "", 500, `{"errors":[{"reason":"no space left on device; nothing was changed"}]}`)
}
