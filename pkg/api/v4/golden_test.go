package v4

import (
	"strings"
	"testing"
)

// What every object looks like, with every default.
const (
	goldenBalancer = `{"id":1,"label":"balancer1","region":"local","type":"common","hostname":"203-0-113-1.headgate.internal",` +
		`"ipv4":"203.0.113.1","ipv6":"2001:db8:1::1","client_conn_throttle":0,"client_udp_sess_throttle":0,"tags":[],` +
		`"transfer":{"in":0,"out":0,"total":0},"lke_cluster":null,"locks":[],"created":"2026-01-02T03:04:05","updated":"2026-01-02T03:04:05"}`
	goldenConfig = `{"id":2,"nodebalancer_id":1,"port":80,"protocol":"http","algorithm":"roundrobin","stickiness":"none",` +
		`"check":"none","check_interval":31,"check_timeout":30,"check_attempts":3,"check_passive":true,"check_path":"","check_body":"",` +
		`"udp_check_port":80,"proxy_protocol":"none","cipher_suite":"recommended","ssl_cert":null,"ssl_key":null,` +
		`"ssl_commonname":"","ssl_fingerprint":"","nodes_status":{"up":0,"down":0},"udp_session_timeout":16}`
	goldenNode = `{"id":3,"config_id":2,"nodebalancer_id":1,"address":"192.0.2.11:80","label":"web-1","weight":50,"mode":"accept",` +
		`"status":"Unknown","vpc_config_id":null}`
)

// with changes members of a golden object: pairs of the text there and the text instead.
func with(golden string, pairs ...string) string {
	return strings.NewReplacer(pairs...).Replace(golden)
}

func paged(results string, objects ...string) string {
	return `{"data":[` + strings.Join(objects, ",") + `],"page":1,"pages":1,"results":` + results + `}`
}

// stocked is a bed with a balancer 1, its config 2 and of that the node 3.
func stocked(t *testing.T) *bed {
	t.Helper()
	b := newBed(t)
	b.want("POST", "/v4/nodebalancers", `{"region":"local"}`, 200, goldenBalancer)
	b.want("POST", "/v4/nodebalancers/1/configs", `{}`, 200, goldenConfig)
	b.want("POST", "/v4/nodebalancers/1/configs/2/nodes", `{"label":"web-1","address":"192.0.2.11:80"}`, 200, goldenNode)
	return b
}

func TestEveryObjectHasEveryDefault(t *testing.T) {
	b := stocked(t)
	down := with(goldenConfig, `"down":0`, `"down":1`)
	for _, prefix := range Prefixes {
		b.want("GET", prefix+"/nodebalancers", "", 200, paged("1", goldenBalancer))
		b.want("GET", prefix+"/nodebalancers/1", "", 200, goldenBalancer)
		b.want("GET", prefix+"/nodebalancers/1/configs", "", 200, paged("1", down))
		b.want("GET", prefix+"/nodebalancers/1/configs/2", "", 200, down)
		b.want("GET", prefix+"/nodebalancers/1/configs/2/nodes", "", 200, paged("1", goldenNode))
		b.want("GET", prefix+"/nodebalancers/1/configs/2/nodes/3", "", 200, goldenNode)
		b.want("GET", prefix+"/nodebalancers/1/firewalls", "", 200, paged("0"))
		b.want("GET", prefix+"/nodebalancers/1/vpcs", "", 200, paged("0"))
	}
	b.want("POST", "/v4/nodebalancers/1/configs", `{"protocol":"udp","port":80}`, 200,
		with(goldenConfig, `"id":2`, `"id":4`, `"protocol":"http"`, `"protocol":"udp"`, `"check_passive":true`, `"check_passive":false`,
			`"recommended"`, `"none"`, `"stickiness":"none"`, `"stickiness":"session"`))
}

func TestRegionsTypesAndProfileAreThere(t *testing.T) {
	b := newBed(t)
	region := `{"id":"local","label":"local","country":"","capabilities":["NodeBalancers"],"status":"ok","site_type":"core",` +
		`"resolvers":{"ipv4":"","ipv6":""},"monitors":{"alerts":[],"metrics":[]},"placement_group_limits":null}`
	b.want("GET", "/v4/regions", "", 200, paged("1", region))
	b.want("GET", "/v4/regions/local", "", 200, region)
	b.want("GET", "/v4/regions/elsewhere", "", 404, notFoundAnswer)
	b.want("GET", "/v4/nodebalancers/types", "", 200, paged("1",
		`{"id":"common","label":"NodeBalancer","price":{"hourly":0.001,"monthly":0.01},"region_prices":[],"transfer":0}`))
	if got := b.want("GET", "/v4/profile", "", 200, ""); !strings.Contains(got, `"username":"headgate"`) {
		t.Error(got)
	}
}

const notFoundAnswer = `{"errors":[{"reason":"Not found"}]}`

func TestWhatIsNotThereIsNotFound(t *testing.T) {
	b := stocked(t)
	b.want("POST", "/v4/nodebalancers", `{"region":"local"}`, 200, "") // 4
	b.want("POST", "/v4/nodebalancers/4/configs", `{}`, 200, "")       // 5
	b.want("POST", "/v4/nodebalancers/4/configs/5/nodes", `{"label":"web-1","address":"192.0.2.11:80"}`, 200, "")
	for _, path := range []string{
		"/nodebalancers/2", "/nodebalancers/0", "/nodebalancers/-1", "/nodebalancers/01", "/nodebalancers/x", "/nodebalancers/99999999999999999999",
		"/nodebalancers/1/configs/5", "/nodebalancers/4/configs/2", "/nodebalancers/1/configs/3",
		"/nodebalancers/1/configs/2/nodes/6", "/nodebalancers/4/configs/5/nodes/3", "/nodebalancers/4/configs/2/nodes/3",
		"/nodebalancers/2/configs", "/nodebalancers/1/configs/9/nodes", "/nodebalancers/9/stats", "/nodebalancers/9/firewalls", "/nodebalancers/9/vpcs",
		"/nodebalancers/1/vpcs/7", "/linode/instances", "/", "/nodebalancers/1/configs/2/",
	} {
		b.want("GET", "/v4"+path, "", 404, notFoundAnswer)
	}
	for _, r := range [][2]string{
		{"PUT", "/nodebalancers/9"}, {"DELETE", "/nodebalancers/9"}, {"POST", "/nodebalancers/9/configs"},
		{"PUT", "/nodebalancers/1/configs/5"}, {"DELETE", "/nodebalancers/1/configs/5"}, {"POST", "/nodebalancers/1/configs/5/rebuild"},
		{"POST", "/nodebalancers/1/configs/5/nodes"}, {"PUT", "/nodebalancers/1/configs/2/nodes/6"}, {"DELETE", "/nodebalancers/1/configs/2/nodes/6"},
	} {
		b.want(r[0], "/v4"+r[1], "{}", 404, notFoundAnswer)
	}
	if got := b.Get().Revision; got != 6 {
		t.Errorf("revision %d: something was changed", got)
	}
}

func TestOtherMethodsAreNotAllowed(t *testing.T) {
	b := stocked(t)
	for _, r := range [][2]string{
		{"PUT", "/nodebalancers"}, {"DELETE", "/nodebalancers"}, {"POST", "/nodebalancers/1"}, {"PATCH", "/nodebalancers/1"},
		{"POST", "/nodebalancers/types"}, {"PUT", "/nodebalancers/1/stats"}, {"PUT", "/nodebalancers/1/configs"}, {"POST", "/nodebalancers/1/configs/2"},
		{"GET", "/nodebalancers/1/configs/2/rebuild"}, {"PUT", "/nodebalancers/1/configs/2/nodes"}, {"POST", "/nodebalancers/1/configs/2/nodes/3"},
		{"POST", "/regions"}, {"DELETE", "/regions/local"}, {"PUT", "/profile"},
	} {
		b.want(r[0], "/v4"+r[1], "{}", 405, `{"errors":[{"reason":"Method not allowed"}]}`)
	}
}

func TestARemovalAnswersAnEmptyObject(t *testing.T) {
	b := stocked(t)
	b.want("DELETE", "/v4/nodebalancers/1/configs/2/nodes/3", "", 200, `{}`)
	b.want("GET", "/v4/nodebalancers/1/configs/2/nodes", "", 200, paged("0"))
	b.want("DELETE", "/v4/nodebalancers/1/configs/2", "", 200, `{}`)
	b.want("GET", "/v4/nodebalancers/1/configs", "", 200, paged("0"))
	b.want("DELETE", "/v4/nodebalancers/1", "", 200, `{}`)
	b.want("GET", "/v4/nodebalancers", "", 200, paged("0"))
	b.want("DELETE", "/v4/nodebalancers/1", "", 404, notFoundAnswer)
}
