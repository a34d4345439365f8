package lb

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestDefaultsAreTheDocumentedOnes(t *testing.T) {
	b := Balancer{Configs: []Config{{Nodes: []Node{{}}}}}
	b.SetDefaults()
	want := Config{
		Protocol: TCP, Algorithm: RoundRobin, Stickiness: StickNone, StickTTL: 30 * time.Minute, OnNoBackend: NoBackendReset, OnDown: DownKeep, MinEligible: MinEligible{N: 1},
		TCPIdle: time.Hour, UDPIdle: 16 * time.Second,
		DrainDeadline: NoDeadline, RejectDeadline: NoDeadline, RemoveDeadline: 300 * time.Second,
		Check: Check{
			Type: CheckNone, UDPPort: 80, Interval: 31 * time.Second, Timeout: 30 * time.Second, Attempts: 3, Rise: 1,
			Passive: On, Codes: "200-399", TLS: Off, Verify: On,
		},
		Nodes: []Node{{Mode: Accept, Override: OverrideNone}},
	}
	if diff := cmp.Diff(want, b.Configs[0]); diff != "" {
		t.Error(diff)
	}
	udp := Config{Protocol: UDP}
	udp.SetDefaults()
	if udp.DrainDeadline != 300*time.Second || udp.RejectDeadline != 60*time.Second || udp.RemoveDeadline != 300*time.Second {
		t.Errorf("deadlines of UDP: drain %s, reject %s, remove %s", udp.DrainDeadline, udp.RejectDeadline, udp.RemoveDeadline)
	}
	if udp.Stickiness != StickSession {
		t.Errorf("stickiness of UDP: %s", udp.Stickiness)
	}
	if DefaultWeight != 50 {
		t.Errorf("weight: %d", DefaultWeight)
	}
}

func TestDefaultsLeaveWhatIsSet(t *testing.T) {
	set := Config{
		Port: 1, Protocol: UDP, Algorithm: "other", Stickiness: StickSourceIP, StickTTL: 3, StickRefresh: true, OnNoBackend: NoBackendOpen, OnDown: DownReset, TCPIdle: 1, UDPIdle: 2,
		DrainDeadline: 3, RejectDeadline: 4, RemoveDeadline: 10,
		MinEligible: MinEligible{20, true}, FailbackDelay: 11, SlowStart: 12,
		Check: Check{
			Type: CheckConnection, Port: 5, UDPPort: 10, Interval: 6, Timeout: 7, Attempts: 8, Rise: 9,
			Passive: Off, Path: "/a", Host: "b", Codes: "200", Body: "c", TLS: On, Verify: Off, CAFile: "/d", Send: "e", Expect: "f", Service: "g",
		},
		Nodes: []Node{{Label: "abc", Weight: 10, Mode: Drain, Override: OverrideUp}},
	}
	got := set
	got.SetDefaults()
	if diff := cmp.Diff(set, got); diff != "" {
		t.Error(diff)
	}
}

func TestAnIntervalAloneAlwaysWorks(t *testing.T) {
	for _, interval := range []time.Duration{100 * time.Millisecond, time.Second, 30 * time.Second, 31 * time.Second, time.Hour} {
		bs := sample()
		bs[0].Configs[0].Check = Check{Type: CheckConnection, Interval: interval}
		bs[0].SetDefaults()
		if faults := Validate(bs); len(faults) != 0 {
			t.Errorf("interval %s: %v", interval, faults)
		}
	}
}
