package e2e

import (
	"bytes"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/netip"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/headgate/headgate/loader"
	"github.com/headgate/headgate/pkg/api"
	"github.com/headgate/headgate/pkg/config"
	bpfmaps "github.com/headgate/headgate/pkg/maps"
	"github.com/headgate/headgate/pkg/store"
	"github.com/headgate/headgate/scripts/lab/peer"
)

// killedChanges says how many changes TestAKilledDaemonHasEveryAnsweredChange makes; `make killed` sets it.
const killedChanges = "HEADGATE_KILLED_CHANGES"

// numberOf reads a number from the environment.
func numberOf(t *testing.T, name string, def uint64) uint64 {
	t.Helper()
	text := os.Getenv(name)
	if text == "" {
		return def
	}
	n, err := strconv.ParseUint(text, 10, 64)
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return n
}

// TestAKilledDaemonHasEveryAnsweredChange makes random changes by the API and kills the daemon at random moments
// of them. The next one has what the last answered change made, or one more that was not answered, and the data
// path is what the store says. Clients of a balancer that nobody changes notice nothing.
func TestAKilledDaemonHasEveryAnsweredChange(t *testing.T) {
	t.Parallel()
	seed := numberOf(t, "HEADGATE_SEED", rand.Uint64())
	t.Logf("HEADGATE_SEED=%d", seed)
	rnd := rand.New(rand.NewPCG(seed, 0))
	s := newSite(t, 2, smallTable+"vip_pool: [198.18.0.0/24]\n")
	s.servers()
	s.must(s.star.Balancer.AddRoute(netip.MustParsePrefix("10.200.0.0/16"), s.star.NodeAddr(1, 4), s.star.Interfaces()[1]))
	s.configure(s.yaml(conf{port: 80, nodes: members(2, 8080, both)}))
	s.start()
	want, p := newReplica(t, s.gate.File), newPlain(s)
	clients := s.startLoad(peer.Load{Network: "tcp", Address: s.vip(4, 80), Workers: 4, Interval: 20 * time.Millisecond})

	made, kills, more := 0, 0, 0
	for all := int(numberOf(t, killedChanges, 40)); made < all; kills++ {
		made += s.changeUntilKilled(rnd, p, want, &more)
		s.start()
		s.eventually("all is applied", func(st api.Status) bool { return st.Applied == st.Desired })
		s.samePath(want)
		if t.Failed() {
			return
		}
	}
	t.Logf("%d changes, %d kills; %d times the last change was kept though it was not answered", made, kills, more)
	if r := s.finish(clients); r.Failed != 0 || r.Done < 50 {
		t.Errorf("clients: %+v", r)
	}
}

// changeUntilKilled makes changes until the daemon dies of a kill, starts nothing, and leaves want as the store
// has to be. It returns how many were answered.
func (s *site) changeUntilKilled(rnd *rand.Rand, p *plain, want *replica, more *int) (answered int) {
	s.t.Helper()
	quiet := rnd.IntN(12)
	killed := make(chan error, 1)
	for i := 0; ; i++ {
		if i == quiet {
			after := time.Duration(rnd.IntN(15_000)) * time.Microsecond
			go func() {
				time.Sleep(after)
				killed <- s.gate.Kill()
			}()
		}
		q := want.next(rnd)
		code, err := p.status(q)
		if err != nil {
			if i < quiet {
				s.t.Fatalf("%+v before any kill: %v", q, err)
			}
			s.must(<-killed)
			s.settle(want, q, more)
			return answered
		}
		answered++
		if is := want.do(q); is != code && code != 504 { // which is kept, and not applied in time
			s.t.Fatalf("%+v was answered with %d, not %d", q, code, is)
		}
	}
}

// settle finds out whether the change that was not answered was kept; nothing else may be in the store.
func (s *site) settle(want *replica, last change, more *int) {
	s.t.Helper()
	disk, err := store.Open(s.gate.StateDir)
	s.must(err)
	defer disk.Close()
	data, err := config.Export(disk.Get().Balancers)
	s.must(err)
	kept, without := string(bytes.TrimSpace(data)), want.export()
	if kept == without {
		return
	}
	want.do(last)
	if kept != want.export() {
		s.t.Fatalf("the store is neither as it was answered (-)\n%s\nnor with %+v (-)\n%s", cmp.Diff(without, kept), last, cmp.Diff(want.export(), kept))
	}
	*more++
}

// status is what a request is answered with.
func (p *plain) status(q change) (int, error) {
	r, err := http.NewRequest(q.method, "http://headgate/v4/nodebalancers"+q.path, strings.NewReader(q.body))
	if err != nil {
		return 0, err
	}
	res, err := p.http.Do(r)
	if err != nil {
		return 0, err
	}
	defer res.Body.Close()
	_, err = io.Copy(io.Discard, res.Body)
	return res.StatusCode, err
}

// samePath compares the maps with what is desired.
func (s *site) samePath(want *replica) {
	s.t.Helper()
	pinned, err := loader.OpenMaps(s.gate.BPFFS)
	s.must(err)
	defer pinned.Close()
	tables, err := bpfmaps.NewKernel(pinned)
	s.must(err)
	defer func() { s.must(tables.Close()) }()
	nodes, err := tables.Reader().Nodes()
	s.must(err)
	got := map[seat]string{}
	for _, n := range nodes {
		if n.Status.Lifecycle != bpfmaps.Present {
			continue
		}
		got[seat{netip.AddrPortFrom(n.VIP.Addr, n.VIP.Port), n.VIP.Protocol, n.Address}] =
			fmt.Sprintf("%s, weight %d, mode %s, takes new flows: %v", n.Label, n.Weight, n.Status.Mode, n.Status.Actions&bpfmaps.TakesNew != 0)
	}
	if diff := cmp.Diff(want.serving(), got); diff != "" {
		s.t.Errorf("nodes in the maps (+) are not those of the store (-)\n%s", diff)
	}
	services, err := tables.Reader().Services()
	s.must(err)
	found := map[string]bool{}
	for _, v := range services {
		if v.Published {
			found[fmt.Sprint(netip.AddrPortFrom(v.VIP.Addr, v.VIP.Port), v.VIP.Protocol)] = true
		}
	}
	if diff := cmp.Diff(want.services(), found); diff != "" {
		s.t.Errorf("VIPs in the maps (+) are not those of the store (-)\n%s", diff)
	}
}
