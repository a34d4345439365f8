package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/netip"
	"os"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/headgate/headgate/scripts/lab/peer"
)

// manyFor says how long TestManyChangesAmongMany goes on, as in 1m; `make bench-api` sets it.
const manyFor = "HEADGATE_BENCH_API"

const changesPerSecond = 200

// many are balancers with ten configs of ten nodes each, none of which is there.
func many(balancers int) string {
	var b strings.Builder
	for i := range balancers {
		fmt.Fprintf(&b, "  - label: lb-%d\n    ipv4: 198.18.%d.1\n    configs:\n", i, i)
		for p := range 10 {
			fmt.Fprintf(&b, "      - port: %d\n        nodes:\n", 1000+p)
			for n := range 10 {
				fmt.Fprintf(&b, "          - {label: n-%d, address: \"10.128.%d.%d:80\"}\n", n, i, 10*p+n)
			}
		}
	}
	return b.String()
}

// plain is a client of the NodeBalancer API without any library.
type plain struct {
	s    *site
	http http.Client
}

func newPlain(s *site) *plain {
	return &plain{s, http.Client{Timeout: soon, Transport: &http.Transport{
		MaxIdleConnsPerHost: 64,
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, "unix", s.gate.Socket)
		},
	}}}
}

// call makes a request below /v4/nodebalancers. Whatever is no 200 is an error.
func (p *plain) call(method, path, body string, v any) error {
	r, err := http.NewRequest(method, "http://headgate/v4/nodebalancers"+path, strings.NewReader(body))
	if err != nil {
		return err
	}
	res, err := p.http.Do(r)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	data, err := io.ReadAll(res.Body)
	if err == nil && res.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s %s %s: %d %s", method, path, body, res.StatusCode, data)
	}
	if err != nil || v == nil {
		return err
	}
	return json.Unmarshal(data, v)
}

// ids of what is in a list, by label; configs have none.
func (p *plain) ids(path string) (ids []int, labels []string) {
	p.s.t.Helper()
	var list struct {
		Data []struct {
			ID    int
			Label string
		}
	}
	p.s.must(p.call("GET", path+"?page_size=500", "", &list))
	for _, o := range list.Data {
		ids, labels = append(ids, o.ID), append(labels, o.Label)
	}
	return ids, labels
}

// cpu is the time that the daemon has had on CPUs since it began.
func (s *site) cpu() time.Duration {
	s.t.Helper()
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%s/stat", s.pid()))
	s.must(err)
	var user, system int64 // in hundredths of a second
	fields := strings.Fields(string(stat[bytes.LastIndexByte(stat, ')'):]))
	_, err = fmt.Sscan(fields[12]+" "+fields[13], &user, &system)
	s.must(err)
	return time.Duration(user+system) * 10 * time.Millisecond
}

// TestManyChangesAmongMany makes 200 changes a second among 1,000 configs and 10,000 nodes while clients are
// served, some of the changes to the nodes that serve them. No request fails on either side.
func TestManyChangesAmongMany(t *testing.T) {
	length := 3 * time.Second
	if text := os.Getenv(manyFor); text != "" {
		var err error
		if length, err = time.ParseDuration(text); err != nil {
			t.Fatal(err)
		}
	}
	s := newSite(t, 3, smallTable)
	s.servers()
	s.must(s.star.Balancer.AddRoute(netip.MustParsePrefix("10.128.0.0/9"), s.star.NodeAddr(1, 4), s.star.Interfaces()[1]))
	s.configure(s.yaml(conf{port: 80, nodes: members(3, 8080, both)}) + many(100))
	s.start()
	p := newPlain(s)
	var configs, served []string // paths
	var nodes []string
	balancers, labels := p.ids("")
	for i, b := range balancers {
		own, _ := p.ids(fmt.Sprintf("/%d/configs", b))
		for _, c := range own {
			path := fmt.Sprintf("/%d/configs/%d", b, c)
			ids, _ := p.ids(path + "/nodes")
			for _, n := range ids {
				at := fmt.Sprintf("%s/nodes/%d", path, n)
				if labels[i] == "web" {
					served = append(served, at)
				} else {
					nodes = append(nodes, at)
				}
			}
			if labels[i] != "web" {
				configs = append(configs, path)
			}
		}
	}
	if len(configs) != 1000 || len(nodes) != 10000 || len(served) != 6 {
		t.Fatalf("%d configs, %d nodes, %d of them serve", len(configs), len(nodes), len(served))
	}

	loads := []*peer.Client{
		s.startLoad(peer.Load{Network: "tcp", Address: s.vip(4, 80), Workers: 20, Interval: 50 * time.Millisecond}),
		s.startLoad(peer.Load{Network: "tcp", Address: s.vip(6, 80), Workers: 20, Interval: 50 * time.Millisecond, KeepOpen: true}),
	}
	var (
		mu     sync.Mutex
		took   []time.Duration
		faults []error
		added  = make(chan string, 1000)
		all    sync.WaitGroup
	)
	change := func(i int) error {
		config := configs[rand.IntN(len(configs))]
		weight := fmt.Sprintf(`{"weight":%d}`, 1+rand.IntN(255))
		const wait = "?wait=applied"
		switch i % 10 {
		case 0:
			return p.call("PUT", served[rand.IntN(len(served))]+wait, weight, nil)
		case 1:
			return p.call("PUT", config+wait, fmt.Sprintf(`{"algorithm":"%s"}`, []string{"roundrobin", "leastconn", "source"}[rand.IntN(3)]), nil)
		case 2, 3:
			var made struct{ ID int }
			err := p.call("POST", config+"/nodes"+wait, fmt.Sprintf(`{"label":"more","address":"10.200.%d.%d:80"}`, i/250%250, i%250), &made)
			if err == nil {
				added <- fmt.Sprintf("%s/nodes/%d", config, made.ID)
			}
			return err
		case 4, 5:
			select {
			case node := <-added:
				return p.call("DELETE", node+wait, "", nil)
			default:
			}
		}
		return p.call("PUT", nodes[rand.IntN(len(nodes))]+wait, weight, nil)
	}
	ticks := time.NewTicker(time.Second / changesPerSecond)
	defer ticks.Stop()
	used := s.cpu()
	begin := time.Now()
	made := 0
	for ; time.Since(begin) < length; made++ {
		<-ticks.C
		number := made
		all.Go(func() {
			begin := time.Now()
			err := change(number)
			mu.Lock()
			defer mu.Unlock()
			if took = append(took, time.Since(begin)); err != nil {
				faults = append(faults, err)
			}
		})
	}
	elapsed := time.Since(begin)
	all.Wait()
	used = s.cpu() - used
	for _, c := range loads {
		if r := s.finish(c); r.Failed != 0 || r.Done < 100 {
			t.Errorf("clients: %+v", r)
		} else {
			t.Logf("%d requests of clients, the slowest took %v", r.Done, r.Slowest)
		}
	}
	slices.Sort(took)
	p99 := took[len(took)*99/100]
	status, err := os.ReadFile(fmt.Sprintf("/proc/%s/status", s.pid()))
	s.must(err)
	t.Logf("%.0f changes a second for %v; from request to applied: half %v, 99%% %v, all %v; the daemon took %.0f%% of a CPU; memory: %s",
		float64(made)/elapsed.Seconds(), elapsed.Round(time.Second), took[len(took)/2], p99, took[len(took)-1],
		100*used.Seconds()/elapsed.Seconds(), regexp.MustCompile(`(VmHWM|VmRSS):\s+\d+ kB`).FindAll(status, -1))
	if len(faults) > 0 {
		t.Errorf("%d changes failed, one with %v", len(faults), faults[0])
	}
	if os.Getenv(manyFor) != "" && p99 > 100*time.Millisecond {
		t.Errorf("99%% of the changes were applied within %v, not 100 ms", p99)
	}
}
