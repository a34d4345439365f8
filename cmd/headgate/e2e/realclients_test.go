package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/headgate/headgate/scripts/lab"
	"github.com/headgate/headgate/scripts/lab/peer"
)

// fileBytes is the size of the file that nginx serves.
const fileBytes = 8 << 20

const nginxConf = `
daemon off;
user root;
worker_processes 1;
error_log stderr warn;
pid %[1]s/nginx.pid;
events { worker_connections 8192; }
http {
	access_log off;
	client_body_temp_path %[1]s/body;
	proxy_temp_path %[1]s/proxy;
	fastcgi_temp_path %[1]s/fastcgi;
	uwsgi_temp_path %[1]s/uwsgi;
	scgi_temp_path %[1]s/scgi;
	keepalive_requests 10000000;
	keepalive_timeout 10m;
	server {
		listen 8080 backlog=4096;
		listen [::]:8080 backlog=4096;
		location = / { return 200 "%[2]s\n"; }
		location /files/ { root %[3]s; }
	}
}
`

// nginx starts nginx on every node; it answers / with the node's name and serves /files/large.
func (s *site) nginx() {
	s.t.Helper()
	dir := s.star.Lab.Dir()
	s.must(os.Mkdir(filepath.Join(dir, "files"), 0o755))
	large, err := os.Create(filepath.Join(dir, "files", "large"))
	s.must(err)
	defer large.Close()
	_, err = large.ReadFrom(peer.Pattern(fileBytes))
	s.must(err)
	for i, ns := range s.star.Nodes {
		prefix := filepath.Join(dir, "nginx-"+nodeName(i))
		s.must(os.Mkdir(prefix, 0o755))
		conf := s.writeFile("nginx-"+nodeName(i)+".conf", fmt.Sprintf(nginxConf, prefix, nodeName(i), dir))
		p, err := ns.Start(lab.Command{Path: "nginx", Args: []string{"-p", prefix, "-e", "stderr", "-c", conf}})
		s.must(err)
		poll(s.t, soon, "nginx on "+ns.Name()+" answers: "+p.Stderr(), func() bool {
			_, err := ns.Run(s.t.Context(), "curl", "-sf", "-o", "/dev/null", "http://127.0.0.1:8080/")
			return err == nil
		})
	}
}

func TestCurlAndNginx(t *testing.T) {
	s := newSite(t, 3, smallTable)
	s.nginx()
	s.run(s.yaml(conf{port: 80, extra: quickCheck, nodes: members(3, 8080, both)}))
	for _, family := range both {
		url := "http://" + s.vip(family, 80)
		t.Run(fmt.Sprintf("IPv%d pages", family), func(t *testing.T) {
			seen := map[string]int{}
			for range 30 {
				seen[strings.TrimSpace(s.curl(url+"/"))]++
			}
			if seen["a"] != 10 || seen["b"] != 10 || seen["c"] != 10 {
				t.Errorf("30 pages: %v", seen)
			}
		})
		t.Run(fmt.Sprintf("IPv%d large file", family), func(t *testing.T) {
			path := filepath.Join(s.star.Lab.Dir(), fmt.Sprintf("got%d", family))
			s.curl("-o", path, url+"/files/large")
			out, err := s.star.Client.Run(t.Context(), "cmp", path, filepath.Join(s.star.Lab.Dir(), "files", "large"))
			if err != nil {
				t.Error(out, err)
			}
		})
		t.Run(fmt.Sprintf("IPv%d wrk", family), func(t *testing.T) { s.wrk(url) })
	}
	for _, ns := range append(s.star.Nodes, s.star.Client) {
		if bad, err := ns.Counter("Tcp", "InCsumErrors"); err != nil || bad != 0 {
			t.Errorf("%s got %d segments with a wrong checksum (%v)", ns.Name(), bad, err)
		}
	}
}

func (s *site) curl(args ...string) string {
	s.t.Helper()
	out, err := s.star.Client.Run(s.t.Context(), "curl", append([]string{"-sS", "--fail", "--max-time", "20"}, args...)...)
	s.must(err)
	return out
}

// wrk makes load with and without keep-alive; every answer must be a good one.
func (s *site) wrk(url string) {
	s.t.Helper()
	for _, header := range []string{"Connection: keep-alive", "Connection: close"} {
		out, err := s.star.Client.Run(s.t.Context(), "wrk", "-t1", "-c50", "-d1s", "--timeout", "5s", "-H", header, url+"/")
		s.must(err)
		if strings.Contains(out, "Socket errors") || strings.Contains(out, "Non-2xx") || !strings.Contains(out, "requests in") {
			s.t.Errorf("wrk with %s:\n%s", header, out)
		}
	}
}

func TestUploadArrivesWhole(t *testing.T) {
	t.Parallel()
	s := newSite(t, 2, smallTable)
	s.servers()
	s.run(s.yaml(conf{port: 8000, nodes: members(2, 8080, both)}))
	path := filepath.Join(s.star.Lab.Dir(), "upload")
	f, err := os.Create(path)
	s.must(err)
	_, err = f.ReadFrom(peer.Pattern(fileBytes))
	s.must(err)
	s.must(f.Close())
	for _, family := range both {
		got := s.curl("--data-binary", "@"+path, "-H", "Expect:", "http://"+s.vip(family, 8000)+"/upload")
		if strings.TrimSpace(got) != peer.PatternSum(fileBytes) {
			t.Errorf("IPv%d: the node got other bytes: %s", family, got)
		}
	}
}

// iperfResult is what we read of iperf3's report.
type iperfResult struct {
	Error string
	End   struct {
		SumReceived struct {
			Bytes float64
		} `json:"sum_received"`
		Sum struct {
			Packets     int
			LostPackets int `json:"lost_packets"`
			Bytes       float64
		}
	}
}

func TestIperf3(t *testing.T) {
	s := newSite(t, 1, smallTable)
	server, err := s.star.Nodes[0].Start(lab.Command{Path: "iperf3", Args: []string{"-s", "-p", "5201"}})
	s.must(err)
	poll(t, soon, "iperf3 listens", func() bool {
		out, err := s.star.Nodes[0].Run(t.Context(), "cat", "/proc/net/tcp6")
		return err == nil && strings.Contains(out, ":1451 ")
	})
	// iperf3 talks over a TCP connection also when it measures UDP: one node, the same port for both.
	s.run(s.yaml(
		conf{port: 5201, nodes: members(1, 5201, both)},
		conf{port: 5201, proto: "udp", nodes: members(1, 5201, both)},
	))
	for _, family := range both {
		for name, args := range map[string][]string{
			"TCP":          nil,
			"TCP reverse":  {"-R"},
			"TCP parallel": {"-P", "4"},
			"UDP":          {"-u", "-b", "20M"},
			"UDP reverse":  {"-u", "-b", "20M", "-R"},
		} {
			t.Run(fmt.Sprintf("IPv%d %s", family, name), func(t *testing.T) {
				r := s.iperf(t, append([]string{"-c", s.star.VIP(family).String(), "-p", "5201", "-t", "1", "-J"}, args...))
				if strings.HasPrefix(name, "TCP") && r.End.SumReceived.Bytes < 10<<20 {
					t.Errorf("only %.0f bytes in a second", r.End.SumReceived.Bytes)
				}
				// A few are lost on the way when both ends share the cores with everything else.
				if strings.HasPrefix(name, "UDP") && (r.End.Sum.Packets < 1000 || r.End.Sum.LostPackets*20 > r.End.Sum.Packets) {
					t.Errorf("%d of %d datagrams lost", r.End.Sum.LostPackets, r.End.Sum.Packets)
				}
			})
		}
	}
	if t.Failed() {
		t.Log(server.Stdout(), server.Stderr())
	}
}

func (s *site) iperf(t *testing.T, args []string) iperfResult {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	out, err := s.star.Client.Run(ctx, "iperf3", args...)
	var r iperfResult
	if jerr := json.Unmarshal([]byte(out), &r); err != nil || jerr != nil || r.Error != "" {
		t.Fatalf("iperf3 %v: %v %v %s", args, err, jerr, r.Error)
	}
	return r
}
