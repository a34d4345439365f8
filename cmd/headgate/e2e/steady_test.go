package e2e

import (
	"testing"
	"time"

	"github.com/headgate/headgate/scripts/lab/peer"
)

// A thousand connections at a time, half of them kept open and half made anew for every request, go on
// while everything that an operator may do, and an accident, happens to headgate. Not one request fails.
func TestThousandConnectionsThroughEveryChange(t *testing.T) {
	s := newSite(t, 3, "")
	s.nginx()
	yaml := func(weights ...int) string {
		return s.yaml(conf{port: 80, extra: quickCheck, nodes: members(3, 8080, both, weights...)})
	}
	s.run(yaml(5, 3, 2))
	specs := map[string]peer.Load{
		"kept open":           {Address: s.vip(4, 80), Workers: 400, KeepOpen: true},
		"kept open over IPv6": {Address: s.vip(6, 80), Workers: 100, KeepOpen: true},
		"made anew":           {Address: s.vip(4, 80), Workers: 400},
		"made anew over IPv6": {Address: s.vip(6, 80), Workers: 100},
	}
	loads := map[string]*peer.Client{}
	for name, spec := range specs {
		spec.Network, spec.Interval = "tcp", 400*time.Millisecond
		loads[name] = s.startLoad(spec)
	}
	report := func(name string) peer.Report {
		r, err := loads[name].Report()
		s.must(err)
		return r
	}
	// Every step is followed by enough exchanges of every worker to see what it broke.
	step := func(what string, do func()) {
		t.Helper()
		do()
		done := map[string]int{}
		for name := range loads {
			done[name] = report(name).Done
		}
		for name := range loads {
			poll(t, soon, "the load goes on after "+what, func() bool {
				now := report(name)
				if now.Failed > 0 {
					t.Fatalf("%s: %s: %d failed: %v", what, name, now.Failed, now.Failures)
				}
				return now.Done-done[name] >= 2*specs[name].Workers
			})
		}
	}
	step("the start", func() {})
	step("drain of one node", func() { s.set("web/80/node-a", "--mode", "drain"); s.set("web/80/node6-a", "--mode", "drain") })
	step("reject of another", func() { s.set("web/80/node-b", "--mode", "reject"); s.set("web/80/node6-b", "--mode", "reject") })
	step("accept again", func() { s.set("web/80/node-a", "--mode", "accept"); s.set("web/80/node6-a", "--mode", "accept") })
	step("a reload with other weights", func() {
		generation := s.status().Desired
		s.configure(yaml(1, 2, 3))
		s.must(s.gate.Reload())
		poll(t, soon, "the reload is applied", func() bool {
			st := s.status()
			return st.Desired > generation && st.Applied == st.Desired
		})
	})
	step("SIGTERM", func() { s.must(s.gate.Stop()) })
	step("the start after it", s.start)
	step("kill -9", func() { s.must(s.gate.Kill()) })
	step("the start after that", s.start)
	for name, c := range loads {
		r := s.finish(c)
		t.Logf("%s: %d requests, the slowest took %v", name, r.Done, r.Slowest.Round(time.Millisecond))
		if r.Failed != 0 || len(r.Nodes) != 3 {
			t.Errorf("%s: %+v", name, r)
		}
	}
	s.checkCounts()
}
