package v4

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/http"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/headgate/headgate/pkg/store"
)

const (
	crashDir    = "HEADGATE_V4_CRASH_DIR"
	crashSocket = "api.sock"
)

// TestMain turns the test binary into the process that TestAKilledServerHasEveryAnsweredChange kills.
func TestMain(m *testing.M) {
	if dir := os.Getenv(crashDir); dir != "" {
		fmt.Println(serveForEver(dir))
		os.Exit(1)
	}
	os.Exit(m.Run())
}

// kept is a backend with a store on disk.
type kept struct {
	*store.Store
	*fake
}

func (k kept) Get() store.Desired { return k.Store.Get() }

func (k kept) Change(fn func(*store.Draft) error) (store.Desired, error) { return k.Store.Change(fn) }

func serveForEver(dir string) error {
	s, err := store.Open(dir)
	if err != nil {
		return err
	}
	socket := filepath.Join(dir, crashSocket)
	os.Remove(socket) // of the one that was killed
	l, err := net.Listen("unix", socket)
	if err != nil {
		return err
	}
	fmt.Println("ready")
	return http.Serve(l, New(kept{s, &fake{}}, testSite, slog.New(slog.NewTextHandler(io.Discard, nil))))
}

// victim is a server in a process of its own.
type victim struct {
	*testing.T
	dir    string
	cmd    *exec.Cmd
	client *http.Client
}

func (v *victim) start() {
	v.Helper()
	v.cmd = exec.Command(os.Args[0])
	v.cmd.Env = append(os.Environ(), crashDir+"="+v.dir)
	out, err := v.cmd.StdoutPipe()
	if err == nil {
		err = v.cmd.Start()
	}
	if err != nil {
		v.Fatal(err)
	}
	v.Cleanup(func() { v.cmd.Process.Kill() }) // if it still runs
	if line, _ := bufio.NewReader(out).ReadString('\n'); line != "ready\n" {
		v.Fatalf("the server said %q", line)
	}
	v.client = &http.Client{Transport: &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", filepath.Join(v.dir, crashSocket))
	}}}
}

// call gives the status and the body, without times; an error is a server that died before it answered.
func (v *victim) call(r request) (string, error) {
	req, err := http.NewRequest(r.method, "http://headgate"+r.path, strings.NewReader(r.body))
	if err != nil {
		v.Fatal(err)
	}
	res, err := v.client.Do(req)
	if err != nil {
		return "", err
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	return timeless(res.StatusCode, string(body)), err
}

// dead reads what is stored, once the process has ended.
func (v *victim) dead() store.Desired {
	v.Helper()
	v.cmd.Wait() // an error: it was killed
	v.client.CloseIdleConnections()
	s, err := store.Open(v.dir)
	if err != nil {
		v.Fatal(err)
	}
	defer s.Close()
	return s.Get()
}

var times = regexp.MustCompile(`"(created|updated)":"[^"]*"`)

func timeless(status int, body string) string {
	return fmt.Sprint(status, " ", times.ReplaceAllString(strings.TrimSpace(body), `"$1":""`))
}

var asStored = cmp.Options{
	cmpopts.EquateComparable(netip.Addr{}, netip.AddrPort{}), cmpopts.EquateEmpty(),
	cmpopts.IgnoreUnexported(store.Desired{}), cmpopts.IgnoreFields(store.Note{}, "Created", "Updated"),
}

// TestAKilledServerHasEveryAnsweredChange makes random changes and kills the server in the midst of some.
// A server in memory gets the same requests: it says what each is answered with, and what there is then.
func TestAKilledServerHasEveryAnsweredChange(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	b, v := newBed(t), &victim{T: t, dir: t.TempDir()}
	var answered, refused, kept, lost int
	for answered < 1000 {
		v.start()
		for fatal := random.IntN(50); ; fatal-- {
			before, r := b.Get(), b.anything(random)
			status, body, _ := b.call(r.method, r.path, r.body)
			if fatal == 0 { // the server is killed while it has this request, or one of the next few
				after := time.Duration(random.IntN(10000)) * time.Microsecond
				time.AfterFunc(after, func() { v.cmd.Process.Kill() })
			}
			got, err := v.call(r)
			if err == nil {
				answered++
				if status >= 400 {
					refused++
				}
				if got != timeless(status, body) {
					t.Fatalf("%v:\ngot  %s\nwant %s", r, got, timeless(status, body))
				}
				continue
			}
			if fatal > 0 {
				t.Fatalf("%v: %v", r, err)
			}
			found := v.dead()
			if b.Get().Revision != before.Revision {
				if found.Revision == before.Revision {
					lost++
					b.fake.desired = before
				} else {
					kept++
				}
			}
			if diff := cmp.Diff(b.Get(), found, asStored); diff != "" {
				t.Fatalf("after %v without an answer (-want +got):\n%s", r, diff)
			}
			break
		}
	}
	t.Logf("%d requests answered, %d of them refused; of the changes without an answer %d are kept and %d are not", answered, refused, kept, lost)
	if refused > answered/2 {
		t.Error("most requests were refused: that shows little")
	}
}

// request is one that changes something, or is refused.
type request struct{ method, path, body string }

// anything makes a request that fits what there is, most of the time.
func (b *bed) anything(random *rand.Rand) request {
	all := b.Get().Balancers
	number := random.IntN(1000)
	if len(all) == 0 || len(all) < 6 && number%4 == 0 {
		return request{"POST", "/v4/nodebalancers", fmt.Sprintf(
			`{"region":"local","label":"b%d","tags":["t%d"],"configs":[{"port":%d,"nodes":[%s]}]}`, number, number%3, 1+number, nodesBody(random))}
	}
	one := &all[random.IntN(len(all))]
	path := fmt.Sprintf("/v4/nodebalancers/%d", one.ID)
	switch {
	case number%20 == 1:
		return request{"DELETE", path, ""}
	case number%20 == 2:
		return request{"PUT", path, fmt.Sprintf(`{"label":"c%d","tags":["u%d"]}`, number, number)}
	case len(one.Configs) == 0 || number%20 < 6:
		return request{"POST", path + "/configs", fmt.Sprintf(`{"port":%d,"protocol":"tcp","nodes":[%s]}`, 1+number, nodesBody(random))}
	}
	c := &one.Configs[random.IntN(len(one.Configs))]
	path += fmt.Sprintf("/configs/%d", c.ID)
	switch {
	case number%20 == 6:
		return request{"DELETE", path, ""}
	case number%20 < 9:
		return request{"POST", path + "/rebuild", fmt.Sprintf(`{"port":%d,"protocol":"tcp","algorithm":"source","nodes":[%s]}`, c.Port, nodesBody(random))}
	case number%20 < 12:
		return request{"PUT", path, fmt.Sprintf(`{"stickiness":"table","check":"connection","check_interval":%d,"check_timeout":1,"cipher_suite":"legacy"}`, 2+number%50)}
	case len(c.Nodes) == 0 || number%20 < 15:
		return request{"POST", path + "/nodes", nodeBody(random)}
	}
	path += fmt.Sprintf("/nodes/%d", c.Nodes[random.IntN(len(c.Nodes))].ID)
	if number%20 < 17 {
		return request{"DELETE", path, ""}
	}
	return request{"PUT", path, fmt.Sprintf(`{"weight":%d,"mode":"drain"}`, 1+number%255)}
}

func nodeBody(random *rand.Rand) string {
	n := 1 + random.IntN(250)
	return fmt.Sprintf(`{"label":"node-%d","address":"192.0.2.%d:80","weight":%d}`, n, n, 1+n%255)
}

func nodesBody(random *rand.Rand) string {
	nodes := make([]string, random.IntN(4))
	for i := range nodes {
		nodes[i] = nodeBody(random)
	}
	return strings.Join(nodes, ",")
}

var _ Backend = kept{}
