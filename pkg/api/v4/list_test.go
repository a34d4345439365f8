package v4

import (
	"encoding/json"
	"fmt"
	"math"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/headgate/headgate/pkg/lb"
	"github.com/headgate/headgate/pkg/store"
)

// declare puts balancers there that no request has made.
func (b *bed) declare(balancers ...lb.Balancer) {
	b.Helper()
	for i := range balancers {
		balancers[i].SetDefaults()
	}
	if _, err := b.Change(func(d *store.Draft) error { d.Replace(balancers); return nil }); err != nil {
		b.Fatal(err)
	}
}

func numbered(n int) (out []lb.Balancer) {
	for i := range n {
		out = append(out, lb.Balancer{Label: fmt.Sprintf("nb-%04d", i), IPv4: netip.AddrFrom4([4]byte{198, 51, byte(i >> 8), byte(i)})})
	}
	return out
}

// list is a page as clients read it.
type list struct {
	Data                 []struct{ Label string }
	Page, Pages, Results int
}

func (b *bed) list(query string, headers ...string) (labels []string, l list) {
	b.Helper()
	body := b.want("GET", "/v4/nodebalancers"+query, "", 200, "", headers...)
	if err := json.Unmarshal([]byte(body), &l); err != nil {
		b.Fatal(err)
	}
	for _, o := range l.Data {
		labels = append(labels, o.Label)
	}
	return labels, l
}

func TestListsComeInPages(t *testing.T) {
	b := newBed(t)
	b.declare(numbered(201)...)
	for _, tt := range []struct {
		query             string
		first             string
		entries, page, of int
	}{
		{"", "nb-0000", 100, 1, 3},
		{"?page=3", "nb-0200", 1, 3, 3},
		{"?page=2&page_size=25", "nb-0025", 25, 2, 9},
		{"?page_size=500", "nb-0000", 201, 1, 1},
		{"?page_size=201&page=1", "nb-0000", 201, 1, 1},
	} {
		labels, l := b.list(tt.query)
		if len(labels) != tt.entries || labels[0] != tt.first || l.Page != tt.page || l.Pages != tt.of || l.Results != 201 {
			t.Errorf("%s: %d from %s, page %d of %d", tt.query, len(labels), labels[0], l.Page, l.Pages)
		}
	}
	b.want("GET", "/v4/nodebalancers?page=4", "", 404, notFoundAnswer)
	for query, want := range map[string]string{
		"page=0": "page: page must be from 1 to 2147483648, not 0", "page=-1": "page: page must be from 1 to 2147483648, not -1",
		"page=x": "page: page must be a number from 1 to 2147483648", "page=": "page: page must be a number from 1 to 2147483648",
		"page_size=24": "page_size: page_size must be from 25 to 500, not 24", "page_size=501": "page_size: page_size must be from 25 to 500, not 501",
	} {
		code, body, _ := b.call("GET", "/v4/nodebalancers?"+query, "")
		if got := faultsOf(t, body); code != 400 || !cmp.Equal(got, []string{want}) {
			t.Errorf("%s: %d %v", query, code, got)
		}
	}
	b.declare()
	b.want("GET", "/v4/nodebalancers", "", 200, `{"data":[],"page":1,"pages":1,"results":0}`)
	b.want("GET", "/v4/nodebalancers?page=2", "", 404, notFoundAnswer)
}

func TestFiltersFindBalancers(t *testing.T) {
	b := newBed(t)
	addr := netip.MustParseAddr
	b.declare(
		lb.Balancer{Label: "web", IPv4: addr("203.0.113.1"), IPv6: addr("2001:db8::1"), Tags: []string{"prod", "eu"}},
		lb.Balancer{Label: "dns", IPv4: addr("203.0.113.2"), Tags: []string{"prod"}},
		lb.Balancer{Label: "api", IPv6: addr("2001:db8::3"), Tags: []string{"staging"}},
	)
	for filter, want := range map[string]string{
		``:                                     "web dns api",
		`{}`:                                   "web dns api",
		`{"label":"web"}`:                      "web",
		`{"label":"we"}`:                       "",
		`{"label":{"+contains":"e"}}`:          "web",
		`{"label":{"+eq":"dns"}}`:              "dns",
		`{"label":{"+neq":"web"}}`:             "dns api",
		`{"label":{"+gt":"api"}}`:              "web dns",
		`{"label":{"+gte":"dns","+lt":"web"}}`: "dns",
		`{"label":{"+lte":"dns"}}`:             "dns api",
		`{"ipv4":"203.0.113.2"}`:               "dns",
		`{"ipv6":"2001:db8::3"}`:               "api",
		`{"ipv4":null}`:                        "api",
		`{"hostname":"203-0-113-1.headgate.internal"}`:                         "web",
		`{"region":"local"}`:                                                   "web dns api",
		`{"region":"elsewhere"}`:                                               "",
		`{"tags":"prod"}`:                                                      "web dns",
		`{"tags":{"+contains":"sta"}}`:                                         "api",
		`{"tags":{"+neq":"prod"}}`:                                             "api",
		`{"tags":"prod","label":"dns"}`:                                        "dns",
		`{"+and":[{"tags":"prod"},{"tags":"eu"}]}`:                             "web",
		`{"+or":[{"label":"web"},{"label":"api"}]}`:                            "web api",
		`{"+or":[{"+and":[{"tags":"prod"},{"label":"dns"}]},{"label":"api"}]}`: "dns api",
		`{"+and":[]}`:                                                          "web dns api", `{"+or":[]}`: "web dns api",
		`{"+order_by":"label"}`: "api dns web", `{"+order_by":"label","+order":"desc"}`: "web dns api",
		`{"+order_by":"ipv4","+order":"asc"}`: "api web dns", `{"tags":"prod","+order_by":"label"}`: "dns web",
	} {
		labels, l := b.list("", "X-Filter", filter)
		if got := strings.Join(labels, " "); got != want || l.Results != len(labels) {
			t.Errorf("%s: got %q, want %q", filter, got, want)
		}
	}
}

func TestWrongFiltersAreRefused(t *testing.T) {
	b := stocked(t)
	for filter, want := range map[string]string{
		`x`: "must be a JSON object", `[]`: "must be a JSON object", `null`: "must be a JSON object",
		`{"id":7}`:                   `cannot filter by "id": only by label, ipv4, ipv6, hostname, region, tags`,
		`{"client_conn_throttle":7}`: `cannot filter by "client_conn_throttle": only by label, ipv4, ipv6, hostname, region, tags`,
		`{"label":["web"]}`:          `label must be a text, or an object such as {"+contains": "web"}`,
		`{"label":{"+like":"web"}}`:  `label: there is no comparison "+like": use +eq, +neq, +gt, +gte, +lt, +lte or +contains`,
		`{"label":{"+gt":{}}}`:       "label: +gt must be followed by a text",
		`{"+or":{}}`:                 "+or must be a list of objects", `{"+and":["web"]}`: "must be a JSON object",
		`{"+order_by":"id"}`: `cannot filter by "id": only by label, ipv4, ipv6, hostname, region, tags`,
		`{"+order":"up"}`:    `+order must be asc or desc, not "up"`, `{"+order_by":7}`: "+order_by must be a text, not the number 7",
		`{"+or":[{"+order":"asc"}]}`:                                     "+order belongs to the outermost object",
		strings.Repeat(`{"+or":[`, 40) + `{}` + strings.Repeat(`]}`, 40): "is nested too deep",
		`{"label":"` + strings.Repeat("x", filterSize) + `"}`:            "is larger than 16384 bytes",
	} {
		code, body, _ := b.call("GET", "/v4/nodebalancers", "", "X-Filter", filter)
		if got := faultsOf(t, body); code != 400 || !cmp.Equal(got, []string{"X-Filter: X-Filter " + want}) {
			t.Errorf("%.80s: %d %v", filter, code, got)
		}
	}
	for _, path := range []string{"/v4/nodebalancers/1/configs", "/v4/nodebalancers/1/configs/2/nodes", "/v4/regions", "/v4/nodebalancers/types"} {
		b.want("GET", path, "", 200, "", "X-Filter", "{}")
		b.want("GET", path, "", 400, `{"errors":[{"reason":"X-Filter cannot filter this list by \"label\", nor by anything else","field":"X-Filter"}]}`,
			"X-Filter", `{"label":"web"}`)
	}
}

func FuzzFilter(f *testing.F) {
	for _, s := range []string{`{"label":"web"}`, `{"+or":[{"tags":{"+neq":null}}],"+order_by":"ipv6","+order":"desc"}`, `{"label":{"+gt":"\u0000"}}`, `{"+and":[{}]}`} {
		f.Add(s)
	}
	balancers := numbered(3)
	all := make([]balancer, len(balancers))
	for i := range all {
		all[i] = balancer{Balancer: &balancers[i], note: &store.Note{}, site: &testSite}
	}
	f.Fuzz(func(t *testing.T, s string) {
		filter := &filter[balancer]{}
		p := parser[balancer]{columns: balancerColumns, filter: filter}
		keep, err := p.object([]byte(s), 0)
		if (keep == nil) == (err == nil) {
			t.Fatalf("%q: neither filter nor error: %v", s, err)
		}
		if err == nil {
			filter.keep = keep
			if out := filter.apply(all); len(out) > len(all) {
				t.Fatal("more than there are")
			}
		}
	})
}

func TestStats(t *testing.T) {
	b := stocked(t)
	b.want("GET", "/v4/nodebalancers/1/stats", "", 400, `{"errors":[{"reason":"Stats are unavailable at this time."}]}`)
	at := time.Date(2026, 1, 2, 3, 5, 0, 0, time.UTC)
	b.samples = []Sample{{at, 1.5, 800, 1600}, {at.Add(5 * time.Minute), 0, 0, math.Pi}}
	b.want("GET", "/v4/nodebalancers/1/stats", "", 200, `{"title":"balancer balancer1 (5 min average)","data":{`+
		`"connections":[[1767323100000,1.5],[1767323400000,0]],`+
		`"traffic":{"in":[[1767323100000,800],[1767323400000,0]],"out":[[1767323100000,1600],[1767323400000,3.141592653589793]]}}}`)
	b.in, b.out = 1500000, 500000
	b.want("GET", "/v4/nodebalancers/1", "", 200, with(goldenBalancer, `{"in":0,"out":0,"total":0}`, `{"in":1.5,"out":0.5,"total":2}`))
}
