package e2e

import (
	"encoding/json"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/headgate/headgate/scripts/lab"
	"github.com/headgate/headgate/scripts/lab/peer"
)

// observability is where the rules and the dashboard are.
const observability = "../../../scripts/observability"

// dashboardQueries are the queries of every panel, with all that can be chosen chosen.
func dashboardQueries(t *testing.T) (queries []string) {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(observability, "dashboard.json"))
	if err != nil {
		t.Fatal(err)
	}
	var dashboard struct {
		Panels []struct{ Targets []struct{ Expr string } }
	}
	if err := json.Unmarshal(data, &dashboard); err != nil {
		t.Fatal(err)
	}
	for _, p := range dashboard.Panels {
		for _, target := range p.Targets {
			queries = append(queries, strings.NewReplacer("$instance", ".*", "$config", ".*").Replace(target.Expr))
		}
	}
	if len(queries) < 20 {
		t.Fatalf("only %d queries", len(queries))
	}
	return queries
}

// drained puts nodes in drain: they take no new flows.
func drained(nodes []member) []member {
	for i := range nodes {
		nodes[i].mode = "drain"
	}
	return nodes
}

// A real Prometheus scrapes the daemon, takes the rules, and has an answer to every query of the dashboard.
func TestPrometheusHasAnAnswerToEveryQueryOfTheDashboard(t *testing.T) {
	t.Parallel()
	s := newSite(t, 2, "flow_table: {v4: 65536, v6: 1024}\n") // a new one of 513 UDP sessions over IPv6 has an old one's place
	s.servers()
	s.run(s.yaml(
		conf{port: 80, extra: quickCheck, nodes: members(2, 8080, both)},
		conf{port: 81, extra: quickCheck + "on_no_backend: reset\n", nodes: drained(members(2, 8080, both))},
		conf{port: 53, proto: "udp", extra: quickCheck + "check_port: 8080\n", nodes: members(2, 5353, both)},
	))
	dir := s.star.Lab.Dir()
	for _, name := range []string{"prometheus.yaml", "headgate.rules.yaml"} {
		data, err := os.ReadFile(filepath.Join(observability, name))
		s.must(err)
		s.writeFile(name, strings.Replace(string(data), "scrape_interval: 5s, evaluation_interval: 5s", "scrape_interval: 250ms, evaluation_interval: 250ms", 1))
	}
	p, err := s.star.Balancer.Start(lab.Command{Path: "prometheus", Args: []string{
		"--config.file=" + dir + "/prometheus.yaml", "--storage.tsdb.path=" + dir + "/tsdb", "--web.listen-address=127.0.0.1:9090",
	}})
	s.must(err)
	ask := func(path string) string {
		answer, err := s.star.Balancer.Run(t.Context(), "curl", "-s", "http://127.0.0.1:9090/api/v1/"+path)
		if err != nil {
			return err.Error()
		}
		return answer
	}
	query := func(q string) string { return ask("query?query=" + url.QueryEscape(q)) }
	poll(t, 2*soon, "Prometheus has scraped: "+p.Stderr(), func() bool { return strings.Contains(query(`up{job="headgate"} == 1`), `"value"`) })
	s.load(peer.Load{Network: "tcp", Address: s.vip(4, 80), Workers: 2, Count: 20})
	if r := s.load(peer.Load{Network: "tcp", Address: s.vip(4, 81), Workers: 1, Count: 3}); r.Failures["refused"] != 3 {
		t.Fatalf("connections to nobody: %+v", r)
	}
	s.load(peer.Load{Network: "udp", Address: s.vip(6, 53), Workers: 30, Count: 20})
	for _, q := range dashboardQueries(t) {
		var answer string
		poll(t, soon, "an answer to "+q, func() bool {
			answer = query(q)
			return strings.Contains(answer, `"status":"success"`) && strings.Contains(answer, `"value":[`)
		})
	}
	for _, q := range []string{
		`headgate_config_refused_packets_total{config="web/81",fate="refused",reason="no_backend"} == 3`,
		`headgate_flows_removed_total{class="udp",family="ipv6",reason="room"} > 0`,
		`headgate_flows_closed_total{family="ipv4",reason="fin"} >= 40`,
	} {
		poll(t, soon, q, func() bool { return strings.Contains(query(q), `"value":[`) })
	}
	if rules := ask("rules"); strings.Count(rules, `"health":"ok"`) < 14 || strings.Contains(rules, `"health":"err"`) {
		t.Errorf("rules: %s", rules)
	}
	text, err := s.star.Balancer.Run(t.Context(), "curl", "-sf", "http://127.0.0.1:9464/metrics")
	s.must(err)
	out, err := s.star.Balancer.RunCommand(t.Context(), lab.Command{Path: "promtool", Args: []string{"check", "metrics"}, Stdin: strings.NewReader(text)})
	if err != nil || strings.TrimSpace(out) != "" {
		t.Errorf("promtool check metrics: %v %s", err, out)
	}
	_, err = s.star.Balancer.RunCommand(t.Context(), lab.Command{Path: "promtool", Args: []string{"test", "rules", "headgate.rules.test.yaml"}, Dir: observability})
	s.must(err)
}
