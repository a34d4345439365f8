package config

import (
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/headgate/headgate/pkg/lb"
)

func TestExportReadsAsAPersonWouldWriteIt(t *testing.T) {
	const want = `balancers:
  - label: web
    ipv4: 203.0.113.10
    ipv6: 2001:db8::10
    configs:
      - port: 80
        check: connection
        check_interval: 2s
        nodes:
          - {label: web-1, address: "192.0.2.11:8080", weight: 100}
          - {label: web-6, address: "[2001:db8:1::1]:8080", mode: backup, override: down}
      - port: 53
        protocol: udp
        udp_idle: 1m
  - label: "100"
    ipv4: 203.0.113.11
`
	f, err := Parse("x", []byte(want))
	if err != nil {
		t.Fatal(err)
	}
	got, err := Export(f.Balancers)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, string(got)); diff != "" {
		t.Error(diff)
	}
}

func TestExportOfNothingIsAFile(t *testing.T) {
	out, err := Export(nil)
	if err != nil || string(out) != "balancers: []\n" {
		t.Fatalf("%q, %v", out, err)
	}
	if _, err := Parse("x", out); err != nil {
		t.Error(err)
	}
}

func TestExportRefusesWhatParseWouldRefuse(t *testing.T) {
	_, err := Export([]lb.Balancer{{Label: "web"}})
	var faults lb.Faults
	if !errors.As(err, &faults) || err.Error() != "export: balancers[0]: needs a virtual address: set ipv4, ipv6 or both" {
		t.Error(err)
	}
}

// It holds with every key there is: each must have been written in one story or another.
func TestWhatIsExportedIsReadBackTheSame(t *testing.T) {
	unseen := everyKey()
	rapid.Check(t, func(t *rapid.T) {
		balancers := drawBalancers(t)
		if faults := lb.Validate(balancers); len(faults) > 0 {
			t.Fatalf("the generator is wrong: %v", faults)
		}
		data, err := Export(balancers)
		if err != nil {
			t.Fatal(err)
		}
		f, err := Parse("export", data)
		if err != nil {
			t.Fatalf("%v in:\n%s", err, data)
		}
		if diff := cmp.Diff(balancers, f.Balancers, compareAddresses, equateEmpty); diff != "" {
			t.Fatalf("%s\nof:\n%s", diff, data)
		}
		again, err := Export(f.Balancers)
		if err != nil || string(again) != string(data) {
			t.Fatalf("%v: a second export differs:\n%s\n%s", err, data, again)
		}
		for key := range unseen {
			if strings.Contains(string(data), " "+key+":") || strings.Contains(string(data), "{"+key+":") {
				delete(unseen, key)
			}
		}
	})
	if len(unseen) > 0 {
		t.Errorf("never exported: %v", slices.Sorted(maps.Keys(unseen)))
	}
}

// everyKey are those of balancers, configs and nodes that can say something else than their default.
func everyKey() map[string]bool {
	keys := map[string]bool{"tags": true}
	add(keys, lb.BalancerFields)
	add(keys, lb.ConfigFields)
	add(keys, lb.NodeFields)
	delete(keys, "forwarding") // which has one value
	return keys
}

func add[T any](keys map[string]bool, fields []lb.Field[T]) {
	for _, f := range fields {
		keys[f.Key] = true
	}
}

// drawBalancers makes valid balancers; labels are often such that YAML would take them for something
// other than a text.
func drawBalancers(t *rapid.T) []lb.Balancer {
	tricky := rapid.SampledFrom([]string{"123", "1e3", "0x1f", "yes", "null", "true", "2001-01-01", "---", "-a-", "0o7", "off", "_1_", "1_0"})
	label := rapid.OneOf(rapid.StringMatching(`[a-zA-Z0-9_-]{3,32}`), tricky)
	labels := rapid.SliceOfNDistinct(label, 0, 4, rapid.ID).Draw(t, "labels")
	out := make([]lb.Balancer, len(labels))
	for i := range out {
		b := lb.Balancer{Label: labels[i], Tags: rapid.SliceOfN(rapid.StringOf(rapid.RuneFrom(nil, unicode.PrintRanges...)).Filter(isTag), 0, 3).Draw(t, "tags")}
		families := rapid.IntRange(1, 3).Draw(t, "families")
		if families&1 != 0 {
			b.IPv4 = ipv4(203, uint32(i))
		}
		if families&2 != 0 {
			b.IPv6 = ipv6(203, uint32(i))
		}
		b.Announce = rapid.Bool().Draw(t, "announce")
		b.ConnThrottle = int(rapid.Int64Range(lb.ThrottleLimit.Min, lb.ThrottleLimit.Max).Draw(t, "client_conn_throttle"))
		b.SessionThrottle = int(rapid.Int64Range(lb.ThrottleLimit.Min, lb.ThrottleLimit.Max).Draw(t, "client_udp_sess_throttle"))
		for port := range rapid.SampledFrom([]int{0, 1, 2, 5}).Draw(t, "configs") {
			b.Configs = append(b.Configs, drawConfig(t, &b, uint16(port+1)))
		}
		out[i] = b
	}
	return out
}

func isTag(s string) bool {
	n := utf8.RuneCountInString(s)
	return n > 0 && n <= lb.TagMost && strings.IndexFunc(s, func(r rune) bool { return !unicode.IsPrint(r) }) < 0
}

func drawConfig(t *rapid.T, b *lb.Balancer, port uint16) lb.Config {
	span := func(name string, s lb.Span) time.Duration {
		d := time.Duration(rapid.Int64Range(int64(s.Min), int64(s.Max)).Draw(t, name))
		if rapid.Bool().Draw(t, "round") {
			d = max(d.Truncate(time.Second), s.Min)
		}
		return d
	}
	number := func(name string, l lb.Limit) int { return int(rapid.Int64Range(l.Min, l.Max).Draw(t, name)) }
	c := lb.Config{
		Port:        port,
		Protocol:    rapid.SampledFrom(lb.Protocols).Draw(t, "protocol"),
		OnNoBackend: rapid.SampledFrom(lb.OnNoBackends).Draw(t, "on_no_backend"),
		OnDown:      rapid.SampledFrom(lb.OnDowns).Draw(t, "on_down"),
	}
	if rapid.Bool().Draw(t, "tuned") {
		deadline := func(name string) time.Duration {
			if rapid.Bool().Draw(t, "no "+name) {
				return lb.NoDeadline
			}
			return span(name, lb.DeadlineSpan)
		}
		c.DrainDeadline, c.RejectDeadline = deadline("drain_deadline"), deadline("reject_deadline")
		c.RemoveDeadline = span("remove_deadline", lb.DeadlineSpan)
		c.MinEligible = lb.MinEligible{N: number("min_eligible", lb.MinEligiblePercent), Percent: rapid.Bool().Draw(t, "percent")}
		c.FailbackDelay, c.SlowStart = span("failback_delay", lb.FailbackDelaySpan), span("slow_start", lb.SlowStartSpan)
		c.StickTTL, c.StickRefresh = span("stick_ttl", lb.StickTTLSpan), rapid.Bool().Draw(t, "stick_refresh")
		c.TCPIdle, c.UDPIdle = span("tcp_idle", lb.TCPIdleSpan), span("udp_idle", lb.UDPIdleSpan)
		c.Check = lb.Check{
			Type:     rapid.SampledFrom(lb.CheckTypes).Draw(t, "check"),
			Port:     rapid.Uint16().Draw(t, "check_port"),
			UDPPort:  uint16(number("udp_check_port", lb.PortLimit)),
			Interval: span("check_interval", lb.CheckIntervalSpan),
			Attempts: number("check_attempts", lb.AttemptsLimit),
			Rise:     number("check_rise", lb.RiseLimit),
		}
		if c.Check.Type == lb.CheckUDP {
			c.Protocol = lb.UDP
		}
		drawCheckWords(t, &c.Check, c.Protocol)
		if rapid.Bool().Draw(t, "timeout") {
			c.Check.Timeout = span("check_timeout", lb.Span{Min: lb.CheckTimeoutSpan.Min, Max: min(lb.CheckTimeoutSpan.Max, c.Check.Interval-1)})
		}
	}
	c.Algorithm = rapid.SampledFrom(lb.AlgorithmsOf(c.Protocol)).Draw(t, "algorithm")
	c.Stickiness = rapid.SampledFrom(lb.StickinessesOf(c.Protocol)).Draw(t, "stickiness")
	for k := range rapid.IntRange(0, 4).Draw(t, "nodes") {
		a := ipv4(10, uint32(k))
		if !b.IPv4.IsValid() || b.IPv6.IsValid() && rapid.Bool().Draw(t, "six") {
			a = ipv6(10, uint32(k))
		}
		c.Nodes = append(c.Nodes, lb.Node{
			Label:    rapid.StringMatching(`[a-zA-Z0-9._-]{3,32}`).Draw(t, "label"),
			Address:  netip.AddrPortFrom(a, uint16(number("port", lb.PortLimit))),
			Weight:   number("weight", lb.WeightLimit),
			Mode:     rapid.SampledFrom(lb.Modes).Draw(t, "mode"),
			Override: rapid.SampledFrom(lb.Overrides).Draw(t, "override"),
			MaxConns: number("max_conns", lb.MaxConnsLimit),
		})
	}
	c.SetDefaults()
	return c
}

// drawCheckWords fills what is text in a check, often with what has a meaning in YAML.
func drawCheckWords(t *rapid.T, c *lb.Check, protocol lb.Protocol) {
	text := func(name, pattern string, tricky ...string) string {
		return rapid.OneOf(rapid.StringMatching(pattern), rapid.SampledFrom(tricky)).Draw(t, name)
	}
	toggle := func(name string) lb.Switch { return rapid.SampledFrom([]lb.Switch{"", lb.On, lb.Off}).Draw(t, name) }
	c.Path = text("check_path", `/[a-z0-9/._~-]{0,20}(\?[a-z]=[a-z0-9&]{1,9})?`, "/", "/a:b", "/%7E")
	c.Host = text("check_host", `[a-z0-9.-]{1,30}(:[0-9]{1,4})?`, "[2001:db8::1]", "1.5", "")
	c.Codes = text("check_codes", `[1-5][0-9]{2}(,[1-5]xx){0,3}`, "200", "200-399", "")
	c.Body = text("check_body", `[a-z #:'"{}.]{1,20}`, "true", "^\\s+[^\"]$", "a\nb", "- x", "\ttab", "@", "a*", "~")
	if protocol == lb.TCP {
		c.Passive = toggle("check_passive")
	}
	c.TLS, c.Verify = toggle("check_tls"), toggle("check_verify")
	c.CAFile = text("check_ca_file", `/[a-zA-Z0-9 /._-]{0,30}`, "/a: b #c", "")
	c.Send = text("check_send", `[ -\[\]-~]{1,20}`, `\x00\xff`, "1e3", "null", " ", "\n")
	c.Expect = text("check_expect", `[ -\[\]-~]{0,20}`, `\\`, "0x1f", "off")
	c.Service = text("check_service", `[a-zA-Z0-9.]{0,30}`, "é: ", "[")
}

func ipv4(first byte, n uint32) netip.Addr {
	var a [4]byte
	binary.BigEndian.PutUint32(a[:], n+1)
	a[0] = first
	return netip.AddrFrom4(a)
}

func ipv6(first byte, n uint32) netip.Addr {
	a := [16]byte{0x20, 0x01, 0x0d, 0xb8, first}
	binary.BigEndian.PutUint32(a[12:], n)
	return netip.AddrFrom16(a)
}

func BenchmarkParseTenThousandNodes(b *testing.B) {
	c := lb.Config{Port: 80}
	for i := range 10_000 {
		c.Nodes = append(c.Nodes, lb.Node{Label: fmt.Sprintf("node-%d", i), Address: netip.AddrPortFrom(ipv4(10, uint32(i)), 80), Weight: 1 + i%255})
	}
	balancers := []lb.Balancer{{Label: "big", IPv4: ipv4(203, 1), Configs: []lb.Config{c}}}
	balancers[0].SetDefaults()
	data, err := Export(balancers)
	if err != nil {
		b.Fatal(err)
	}
	b.SetBytes(int64(len(data)))
	for b.Loop() {
		if _, err := Parse("x", data); err != nil {
			b.Fatal(err)
		}
	}
}
