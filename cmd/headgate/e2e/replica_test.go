package e2e

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/headgate/headgate/pkg/api"
	"github.com/headgate/headgate/pkg/api/v4"
	"github.com/headgate/headgate/pkg/config"
	"github.com/headgate/headgate/pkg/lb"
	"github.com/headgate/headgate/pkg/store"
)

// replica is what a daemon must have made of the requests that it was sent: the same API over memory.
type replica struct {
	t       *testing.T
	desired store.Desired
	server  http.Handler
}

// newReplica begins with the balancers of a daemon's file.
func newReplica(t *testing.T, file string) *replica {
	t.Helper()
	read, err := config.Load(file)
	if err != nil {
		t.Fatal(err)
	}
	r := &replica{t: t}
	if _, err := r.Change(func(d *store.Draft) error { d.Replace(read.Balancers); return nil }); err != nil {
		t.Fatal(err)
	}
	r.server = v4.New(r, v4.Site{Region: read.Region, Domain: read.Domain, Pool: lb.Pool{Prefixes: read.VIPPool}}, slog.New(slog.DiscardHandler))
	return r
}

// do gives the status that a request is answered with.
func (r *replica) do(q change) int {
	answer := httptest.NewRecorder()
	r.server.ServeHTTP(answer, httptest.NewRequest(q.method, "/v4/nodebalancers"+q.path, strings.NewReader(q.body)))
	return answer.Code
}

// export is what is desired, as a file.
func (r *replica) export() string {
	r.t.Helper()
	data, err := config.Export(r.desired.Balancers)
	if err != nil {
		r.t.Fatal(err)
	}
	return string(bytes.TrimSpace(data))
}

// What a v4.Backend needs, but for what only a data path knows.

func (r *replica) Get() store.Desired { return r.desired }

func (r *replica) Change(fn func(*store.Draft) error) (store.Desired, error) {
	d := store.NewDraft(r.desired, time.Now())
	if err := fn(d); err != nil {
		return store.Desired{}, err
	}
	next, err := d.Finish()
	if err == nil {
		r.desired = next
	}
	return next, err
}

func (r *replica) Generations() api.Generations                            { return api.Generations{} }
func (r *replica) WaitApplied(context.Context, uint64) error               { return nil }
func (r *replica) Health(string, *lb.Config, *lb.Node) lb.Health           { return lb.Unknown }
func (r *replica) Counts(*lb.Balancer, *lb.Config, *lb.Node) (a, b uint64) { return 0, 0 }
func (r *replica) Transfer(int) (in, out uint64)                           { return 0, 0 }
func (r *replica) Stats(int) []v4.Sample                                   { return nil }

// change is a request below /v4/nodebalancers.
type change struct{ method, path, body string }

// next draws a request that changes something of what there is, but not of the first balancer. Some are refused.
func (r *replica) next(rnd *rand.Rand) (q change) {
	defer func() {
		if rnd.IntN(2) == 0 {
			q.path += "?wait=applied"
		}
	}()
	others := r.desired.Balancers[1:]
	node := func() string {
		return fmt.Sprintf(`{"label":"n-%d","address":"10.200.%d.%d:80","weight":%d,"mode":"%s"}`,
			rnd.IntN(9), rnd.IntN(3), 1+rnd.IntN(20), 1+rnd.IntN(255), lb.Modes[rnd.IntN(len(lb.Modes))])
	}
	nodes := func() string {
		list := make([]string, rnd.IntN(5))
		for i := range list {
			list[i] = node()
		}
		return strings.Join(list, ",")
	}
	newConfig := func() string {
		return fmt.Sprintf(`{"port":%d,"protocol":"%s","nodes":[%s]}`, 1000+rnd.IntN(6), lb.Protocols[rnd.IntN(2)], nodes())
	}
	if len(others) == 0 || len(others) < 6 && rnd.IntN(8) == 0 {
		return change{"POST", "", fmt.Sprintf(`{"region":"local","label":"lb-%d","configs":[%s]}`, rnd.IntN(20), newConfig())}
	}
	b := &others[rnd.IntN(len(others))]
	at := fmt.Sprintf("/%d", b.ID)
	if rnd.IntN(20) == 0 {
		return change{"DELETE", at, ""}
	}
	if len(b.Configs) == 0 || rnd.IntN(6) == 0 {
		return change{"POST", at + "/configs", newConfig()}
	}
	c := &b.Configs[rnd.IntN(len(b.Configs))]
	at += fmt.Sprintf("/configs/%d", c.ID)
	switch rnd.IntN(10) {
	case 0:
		return change{"DELETE", at, ""}
	case 1:
		return change{"PUT", at, fmt.Sprintf(`{"algorithm":"%s","port":%d}`, lb.AlgorithmsOf(c.Protocol)[rnd.IntN(3)], 1000+rnd.IntN(6))}
	case 2:
		return change{"POST", at + "/rebuild", fmt.Sprintf(`{"nodes":[%s]}`, nodes())}
	}
	if len(c.Nodes) == 0 || rnd.IntN(3) == 0 {
		return change{"POST", at + "/nodes", node()}
	}
	at += fmt.Sprintf("/nodes/%d", c.Nodes[rnd.IntN(len(c.Nodes))].ID)
	if rnd.IntN(4) == 0 {
		return change{"DELETE", at, ""}
	}
	return change{"PUT", at, node()}
}

// seat is where a node serves, and how.
type seat struct {
	vip      netip.AddrPort
	protocol lb.Protocol
	address  netip.AddrPort
}

// serving says of each node how the maps must have it. None is checked, and all are routed.
func (r *replica) serving() map[seat]string {
	out := map[seat]string{}
	for _, b := range r.desired.Balancers {
		for _, c := range b.Configs {
			for _, vip := range b.VIPs() {
				tier := lb.Backup
				for _, n := range c.Nodes {
					if n.Mode == lb.Accept && n.Address.Addr().Is4() == vip.Is4() {
						tier = lb.Accept
					}
				}
				for _, n := range c.Nodes {
					if n.Address.Addr().Is4() == vip.Is4() {
						out[seat{netip.AddrPortFrom(vip, c.Port), c.Protocol, n.Address}] =
							fmt.Sprintf("%s, weight %d, mode %s, takes new flows: %v", n.Label, n.Weight, n.Mode, n.Mode == tier)
					}
				}
			}
		}
	}
	return out
}

// services are the VIPs with their ports that packets must find.
func (r *replica) services() map[string]bool {
	out := map[string]bool{}
	for _, b := range r.desired.Balancers {
		for _, c := range b.Configs {
			for _, vip := range b.VIPs() {
				out[fmt.Sprint(netip.AddrPortFrom(vip, c.Port), c.Protocol)] = true
			}
		}
	}
	return out
}
