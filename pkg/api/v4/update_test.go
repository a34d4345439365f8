package v4

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/headgate/headgate/pkg/lb"
	"github.com/headgate/headgate/pkg/store"
)

func TestAChangeTouchesOnlyWhatItNames(t *testing.T) {
	b := stocked(t)
	b.want("PUT", "/v4/nodebalancers/1", `{"label":"web","tags":["b","a"]}`, 200,
		with(goldenBalancer, `"label":"balancer1"`, `"label":"web"`, `"tags":[]`, `"tags":["b","a"]`))
	b.want("PUT", "/v4/nodebalancers/1", `{"tags":null}`, 200, with(goldenBalancer, `"label":"balancer1"`, `"label":"web"`))
	b.want("PUT", "/v4/nodebalancers/1", `{}`, 200, with(goldenBalancer, `"label":"balancer1"`, `"label":"web"`))

	config := with(goldenConfig, `"down":0`, `"down":1`)
	b.want("PUT", "/v4/nodebalancers/1/configs/2", `{"port":8080,"protocol":"tcp","check":"connection","check_interval":10,"check_timeout":5,"check_attempts":2}`, 200,
		with(config, `"port":80`, `"port":8080`, `"protocol":"http"`, `"protocol":"tcp"`, `"check":"none"`, `"check":"connection"`,
			`"check_interval":31`, `"check_interval":10`, `"check_timeout":30`, `"check_timeout":5`, `"check_attempts":3`, `"check_attempts":2`))
	b.want("PUT", "/v4/nodebalancers/1/configs/2", `{"cipher_suite":"legacy","udp_check_port":53}`, 200, "")
	b.want("PUT", "/v4/nodebalancers/1/configs/2", `{"port":80,"protocol":"http","check":"none","check_interval":31,"check_timeout":30,"check_attempts":3}`, 200,
		with(config, `"recommended"`, `"legacy"`, `"udp_check_port":80`, `"udp_check_port":53`))
	b.want("PUT", "/v4/nodebalancers/1/configs/2", `{"cipher_suite":"recommended","udp_check_port":80}`, 200, config)

	b.want("PUT", "/v4/nodebalancers/1/configs/2/nodes/3", `{"weight":7,"mode":"drain"}`, 200,
		with(goldenNode, `"weight":50`, `"weight":7`, `"accept"`, `"drain"`))
	b.want("PUT", "/v4/nodebalancers/1/configs/2/nodes/3", `{"weight":50,"mode":"accept","address":"192.0.2.77:81","label":"n.1"}`, 200,
		with(goldenNode, "192.0.2.11:80", "192.0.2.77:81", "web-1", "n.1"))
	if got := b.Get().Balancers[0].Configs[0].Nodes[0]; got.ID != 3 || got.Address.String() != "192.0.2.77:81" {
		t.Errorf("%+v", got)
	}
}

// TestEveryAnswerMayBeSentBack is what clients do: read, change one thing, and send all of it.
func TestEveryAnswerMayBeSentBack(t *testing.T) {
	b := stocked(t)
	udp := b.want("POST", "/v4/nodebalancers/1/configs", `{"port":53,"protocol":"udp","check":"connection","udp_check_port":5353,"tcp_idle":7200}`, 200, "")
	b.want("POST", "/v4/nodebalancers/1/configs/4/nodes", `{"label":"dns","address":"192.0.2.53:53","mode":"none","override":"up"}`, 200, "")
	// What only a file can say comes back, too.
	if _, err := b.Change(func(d *store.Draft) error {
		x, _ := d.Edit(1)
		c := &x.Configs[1]
		c.Check.Interval, c.Check.Timeout = 250e6, 125e6
		c.TCPIdle = 61500e6
		x.Configs = append(x.Configs, lb.Config{Port: 5353, Protocol: lb.UDP, Check: lb.Check{Type: lb.CheckConnection}})
		x.SetDefaults()
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(udp, `"udp_check_port":5353`) {
		t.Error(udp)
	}
	for _, path := range []string{
		"/v4/nodebalancers/1", "/v4/nodebalancers/1/configs/2", "/v4/nodebalancers/1/configs/4", "/v4/nodebalancers/1/configs/6",
		"/v4/nodebalancers/1/configs/2/nodes/3", "/v4/nodebalancers/1/configs/4/nodes/5",
	} {
		before := b.Get()
		object := b.want("GET", path, "", 200, "")
		b.want("PUT", path, object, 200, object)
		if after := b.Get(); after.Revision != before.Revision {
			t.Errorf("%s: it became another: %s", path, object)
		}
		// And so may each of its members alone.
		var members map[string]json.RawMessage
		if err := json.Unmarshal([]byte(object), &members); err != nil {
			t.Fatal(err)
		}
		for key, v := range members {
			one, err := json.Marshal(map[string]json.RawMessage{key: v})
			if err != nil {
				t.Fatal(err)
			}
			b.want("PUT", path, string(one), 200, object)
		}
	}
}

func TestWhatIsReadOnlyIsIgnored(t *testing.T) {
	b := stocked(t)
	b.want("PUT", "/v4/nodebalancers/1", `{"id":9,"hostname":"x","transfer":null,"created":"2020-01-01T00:00:00","updated":7,"locks":["x"],"lke_cluster":{"id":1}}`, 200, goldenBalancer)
	b.want("PUT", "/v4/nodebalancers/1/configs/2", `{"id":9,"nodebalancer_id":9,"nodes_status":{"up":9},"ssl_commonname":"x","ssl_fingerprint":"x","udp_session_timeout":99,"ssl_cert":null,"ssl_key":""}`, 200,
		with(goldenConfig, `"down":0`, `"down":1`))
	b.want("PUT", "/v4/nodebalancers/1/configs/2/nodes/3", `{"id":9,"config_id":9,"nodebalancer_id":9,"status":"UP","vpc_config_id":7,"flows":7}`, 200, goldenNode)
	b.want("PUT", "/v4/nodebalancers/1", `{"region":"local","type":"common","ipv4":"203.0.113.1","ipv6":"2001:db8:1::1","firewall_id":0,"whatever":null}`, 200, goldenBalancer)
	for body, want := range map[string]string{
		`{"type":"premium"}`: "type", `{"region":"other"}`: "region", `{"ipv4":"203.0.113.3"}`: "ipv4", `{"ipv6":null}`: "ipv6",
	} {
		b.want("PUT", "/v4/nodebalancers/1", body, 400, `{"errors":[{"reason":"cannot be changed any more","field":"`+want+`"}]}`)
	}
}

func TestModeNoneOfUDPIsNoWish(t *testing.T) {
	b := stocked(t)
	b.want("POST", "/v4/nodebalancers/1/configs", `{"port":53,"protocol":"udp","nodes":[{"label":"dns","address":"192.0.2.53:53","mode":"none"}]}`, 200, "") // 4, 5
	b.want("PUT", "/v4/nodebalancers/1/configs/4/nodes/5", `{"mode":"drain"}`, 200, "")
	if got := b.want("PUT", "/v4/nodebalancers/1/configs/4/nodes/5", `{"mode":"none","weight":9}`, 200, ""); !strings.Contains(got, `"weight":9,"mode":"drain"`) {
		t.Error(got)
	}
}

func TestTheCheckedPortMayBeSaidInTwoWays(t *testing.T) {
	b := stocked(t)
	probed := func() uint16 { p := b.Get().Balancers[0].Configs[0].Probe(); return p.Port }
	for _, step := range []struct {
		body string
		want uint16
		says string
	}{
		{`{"udp_check_port":53}`, 0, `"udp_check_port":53`}, // waits until the protocol is udp
		{`{"protocol":"udp"}`, 53, `"udp_check_port":53`},
		{`{"check_port":55}`, 55, `"check_port":55`},
		{`{"check_port":null}`, 53, `"udp_check_port":53`},
		{`{"protocol":"tcp"}`, 0, `"udp_check_port":53`},
		{`{"check_port":8081}`, 8081, `"check_port":8081`},
	} {
		got := b.want("PUT", "/v4/nodebalancers/1/configs/2", step.body, 200, "")
		if probed() != step.want || !strings.Contains(got, step.says) {
			t.Errorf("%s: port %d, %s", step.body, probed(), got)
		}
	}
}

func TestChecksHaveAllTheirWords(t *testing.T) {
	b := stocked(t)
	got := b.want("PUT", "/v4/nodebalancers/1/configs/2", `{"check":"http_body","check_path":"/health?full=1","check_body":"ok$","check_host":"web.example.com",`+
		`"check_codes":"200","check_tls":true,"check_verify":false}`, 200, "")
	for _, want := range []string{`"check":"http_body"`, `"check_path":"/health?full=1","check_body":"ok$"`, `"check_host":"web.example.com"`, `"check_codes":"200"`,
		`"check_tls":true`, `"check_verify":false`} {
		if !strings.Contains(got, want) {
			t.Errorf("no %s in %s", want, got)
		}
	}
	b.want("PUT", "/v4/nodebalancers/1/configs/2", `{"check":"none","check_path":"","check_body":"","check_host":null,"check_codes":"200-399","check_tls":false,"check_verify":true}`, 200,
		with(goldenConfig, `"down":0`, `"down":1`))
}

func TestExtensionsAreShownWhenTheySaySomething(t *testing.T) {
	b := stocked(t)
	got := b.want("PUT", "/v4/nodebalancers/1/configs/2", `{"check_interval_ms":250,"check_timeout_ms":100,"tcp_idle":"2h","udp_idle":20,"on_down":"reset","on_no_backend":"drop","check_rise":4}`, 200, "")
	for _, want := range []string{`"check_interval":1,`, `"check_timeout":1,`, `"check_interval_ms":250`, `"check_timeout_ms":100`, `"tcp_idle":7200`,
		`"udp_idle":20`, `"udp_session_timeout":20`, `"on_down":"reset"`, `"on_no_backend":"drop"`, `"check_rise":4`} {
		if !strings.Contains(got, want) {
			t.Errorf("no %s in %s", want, got)
		}
	}
	got = b.want("PUT", "/v4/nodebalancers/1/configs/2", `{"check_interval":5,"check_interval_ms":250,"check_timeout":1,"check_timeout_ms":1000,"tcp_idle":3600,"udp_idle":16,"on_down":"keep","on_no_backend":"reset","check_rise":1}`, 200, "")
	if want := with(goldenConfig, `"down":0`, `"down":1`, `"check_interval":31`, `"check_interval":5`, `"check_timeout":30`, `"check_timeout":1`); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	b.flows["192.0.2.11:80"] = 17
	b.health["192.0.2.11:80"] = lb.Up
	b.want("PUT", "/v4/nodebalancers/1/configs/2/nodes/3", `{"override":"down"}`, 200,
		with(goldenNode, `"Unknown"`, `"UP"`, `null}`, `null,"flows":17,"override":"down"}`))
	if got := b.want("GET", "/v4/nodebalancers/1/configs/2", "", 200, ""); !strings.Contains(got, `"nodes_status":{"up":1,"down":0}`) {
		t.Error(got)
	}
}

func TestRebuildKeepsMakesAndRemovesNodes(t *testing.T) {
	b := stocked(t)
	b.want("POST", "/v4/nodebalancers/1/configs/2/nodes", `{"label":"web-2","address":"192.0.2.12:80"}`, 200, "") // 4
	got := b.want("POST", "/v4/nodebalancers/1/configs/2/rebuild",
		`{"port":81,"nodes":[{"label":"new","address":"192.0.2.13:80"},{"id":4,"weight":9,"address":"192.0.2.11:80"}]}`, 200, "")
	if !strings.Contains(got, `"port":81`) || !strings.Contains(got, `"down":2`) {
		t.Error(got)
	}
	b.want("GET", "/v4/nodebalancers/1/configs/2/nodes", "", 200, paged("2",
		with(goldenNode, `"id":3`, `"id":5`, "web-1", "new", "192.0.2.11", "192.0.2.13"),
		with(goldenNode, `"id":3`, `"id":4`, "web-1", "web-2", `"weight":50`, `"weight":9`)))
	// Without an id it is another one, wherever it is.
	b.want("POST", "/v4/nodebalancers/1/configs/2/rebuild", `{"nodes":[{"id":0,"label":"new","address":"192.0.2.13:80"}]}`, 200, "")
	b.want("GET", "/v4/nodebalancers/1/configs/2/nodes", "", 200, paged("1", with(goldenNode, `"id":3`, `"id":6`, "web-1", "new", "192.0.2.11", "192.0.2.13")))
	b.want("POST", "/v4/nodebalancers/1/configs/2/rebuild", `{"nodes":[]}`, 200, with(goldenConfig, `"port":80`, `"port":81`))
}

func TestARequestIsWholeOrNothing(t *testing.T) {
	b := stocked(t)
	before := b.Get()
	b.want("POST", "/v4/nodebalancers", `{"region":"local","label":"web","configs":[{"port":80},{"port":443,"nodes":[{"label":"abc","address":"192.0.2.1:80"},{"label":"x","address":"192.0.2.2:80"}]}]}`, 400, "")
	b.want("POST", "/v4/nodebalancers/1/configs/2/rebuild", `{"port":99,"nodes":[{"id":3,"weight":9},{"label":"abc","address":"nowhere"}]}`, 400, "")
	if after := b.Get(); after.Revision != before.Revision || !lb.Equal(before.Balancers, after.Balancers) {
		t.Errorf("%+v", after)
	}
	// Ids that were never answered may come again; those that were may not.
	if got := b.want("POST", "/v4/nodebalancers", `{"region":"local"}`, 200, ""); !strings.HasPrefix(got, `{"id":4,`) {
		t.Error(got)
	}
}

func TestTheVocabularysKeysAreExtensions(t *testing.T) {
	b := stocked(t)
	got := b.want("PUT", "/v4/nodebalancers/1/configs/2", `{"protocol":"tcp","stickiness":"table","algorithm":"leastconn","stick_ttl":60,"stick_refresh":true,`+
		`"min_eligible":2,"failback_delay":5,"slow_start":"10s","drain_deadline":60,"reject_deadline":"none","check_passive":false}`, 200, "")
	for _, want := range []string{`"stickiness":"table"`, `"algorithm":"leastconn"`, `"stick_ttl":60`, `"stick_refresh":true`, `"min_eligible":2`, `"failback_delay":5`,
		`"slow_start":10`, `"drain_deadline":60`, `"check_passive":false`} {
		if !strings.Contains(got, want) {
			t.Errorf("no %s in %s", want, got)
		}
	}
	b.want("PUT", "/v4/nodebalancers/1/configs/2", got, 200, got)
	if got := b.want("PUT", "/v4/nodebalancers/1/configs/2", `{"min_eligible":"50%"}`, 200, ""); !strings.Contains(got, `"min_eligible":"50%"`) {
		t.Error(got)
	}
	b.want("PUT", "/v4/nodebalancers/1/configs/2/nodes/3", `{"max_conns":100}`, 200, with(goldenNode, `null}`, `null,"max_conns":100}`))
	b.want("PUT", "/v4/nodebalancers/1", `{"client_conn_throttle":20,"client_udp_sess_throttle":1}`, 200,
		with(goldenBalancer, `"client_conn_throttle":0`, `"client_conn_throttle":20`, `"client_udp_sess_throttle":0`, `"client_udp_sess_throttle":1`))
}

// What was never set is as the protocol has it, also after a change of the protocol: sessions of UDP would never leave
// a node in drain with what TCP has.
func TestDefaultsFollowTheProtocol(t *testing.T) {
	b := stocked(t)
	c := func() *lb.Config { return &b.Get().Balancers[0].Configs[0] }
	b.want("PUT", "/v4/nodebalancers/1/configs/2", `{"protocol":"udp","check_passive":false}`, 200, "")
	if c().DrainDeadline != lb.DefaultDrainDeadline || c().RejectDeadline != lb.DefaultRejectDeadline {
		t.Errorf("for UDP: %v, %v", c().DrainDeadline, c().RejectDeadline)
	}
	b.want("PUT", "/v4/nodebalancers/1/configs/2", `{"drain_deadline":7}`, 200, "")
	b.want("PUT", "/v4/nodebalancers/1/configs/2", `{"protocol":"tcp"}`, 200, "")
	if c().DrainDeadline != 7*time.Second || c().RejectDeadline != lb.NoDeadline {
		t.Errorf("for TCP: %v, which was set, and %v", c().DrainDeadline, c().RejectDeadline)
	}
}

func TestALabelIsOneBalancersAlone(t *testing.T) {
	b := stocked(t)
	b.want("POST", "/v4/nodebalancers", `{"region":"local","label":"other"}`, 200, "")
	for _, path := range []string{"/v4/nodebalancers/1", "/v4/nodebalancers/4"} {
		label := map[string]string{"/v4/nodebalancers/1": "other", "/v4/nodebalancers/4": "balancer1"}[path]
		b.want("PUT", path, `{"label":"`+label+`"}`, 400, `{"errors":[{"reason":"\"`+label+`\" is the label of another balancer already","field":"label"}]}`)
	}
}

// What somebody wrote is not sent back by the megabyte.
func TestReasonsAreShort(t *testing.T) {
	b := stocked(t)
	long := strings.Repeat("é", 1<<20)
	for _, body := range []string{`{"` + long + `":1}`, `{"algorithm":"` + long + `"}`} {
		if got := b.want("PUT", "/v4/nodebalancers/1/configs/2", body, 400, ""); len(got) > 5000 || !strings.Contains(got, "…") {
			t.Errorf("%.60s… is answered with %d bytes", body, len(got))
		}
	}
}
