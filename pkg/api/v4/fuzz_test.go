package v4

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

// FuzzRequest sends any body anywhere: nothing breaks, no answer is a failure of ours, and what is refused changes
// nothing. What is taken is valid: the store would refuse it otherwise, which were such a failure.
func FuzzRequest(f *testing.F) {
	paths := []string{"/v4/nodebalancers", "/v4/nodebalancers/1", "/v4/nodebalancers/1/configs", "/v4/nodebalancers/1/configs/2",
		"/v4/nodebalancers/1/configs/2/rebuild", "/v4/nodebalancers/1/configs/2/nodes", "/v4/nodebalancers/1/configs/2/nodes/3"}
	for i, body := range []string{
		`{"region":"local","label":"web","configs":[{"port":80,"nodes":[{"label":"n-1","address":"192.0.2.1:80"}]}]}`,
		`{"label":"other","tags":["a"],"client_conn_throttle":5}`, `{"port":53,"protocol":"udp"}`,
		`{"check":"http","check_path":"/","check_interval_ms":250,"check_timeout_ms":125,"min_eligible":"50%"}`,
		goldenConfig, `{"label":"n-2","address":"[2001:db8::2]:80","mode":"backup"}`, `{"weight":1e2,"mode":null}`,
		`{"a":1,"a":2}`, `[`, `{"drain_deadline":"none"}`, `null`,
	} {
		f.Add(uint8(i), i%2 == 0, body)
	}
	f.Fuzz(func(t *testing.T, at uint8, put bool, body string) {
		b := stocked(t)
		before := b.Get()
		method := "POST"
		if put {
			method = "PUT"
		}
		path := paths[int(at)%len(paths)]
		status, answer, _ := b.call(method, path, body)
		if status >= 500 {
			t.Errorf("%s %s %s: %d %s", method, path, body, status, answer)
		}
		if diff := cmp.Diff(before, b.Get(), asStored); status != 200 && diff != "" {
			t.Errorf("%s %s %s is refused with %s and changed\n%s", method, path, body, answer, diff)
		}
	})
}
