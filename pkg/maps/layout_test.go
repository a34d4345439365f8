package maps

import (
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"unsafe"

	"github.com/cilium/ebpf/btf"

	"github.com/headgate/headgate/loader"
)

// abi reads bpf/abi.h and its parts: their enums and the numbers that they define.
func abi(t *testing.T) (enums map[string][]string, defines map[string]uint64) {
	var source []byte
	for _, part := range []string{"abi.h", "abi_flows.h", "abi_services.h"} {
		content, err := os.ReadFile("../../bpf/" + part)
		if err != nil {
			t.Fatal(err)
		}
		source = append(source, content...)
	}
	enums, defines = map[string][]string{}, map[string]uint64{}
	comments := regexp.MustCompile(`(?s)/\*.*?\*/`)
	text := comments.ReplaceAllString(string(source), "")
	for _, m := range regexp.MustCompile(`(?s)enum (\w+) \{(.*?)\}`).FindAllStringSubmatch(text, -1) {
		for _, v := range strings.Split(m[2], ",") {
			if v = strings.Join(strings.Fields(v), " "); v != "" {
				enums[m[1]] = append(enums[m[1]], v)
			}
		}
	}
	for _, m := range regexp.MustCompile(`(?m)^#define (\w+) (\d+)\s*$`).FindAllStringSubmatch(text, -1) {
		defines[m[1]], _ = strconv.ParseUint(m[2], 10, 64)
	}
	return enums, defines
}

func TestEnumsAreThoseOfTheProgram(t *testing.T) {
	enums, _ := abi(t)
	number := func(i uint8) string { return strconv.Itoa(int(i)) }
	for name, want := range map[string][]string{
		"node_mode":      numbered("MODE_", modes),
		"node_health":    numbered("HEALTH_", healths),
		"node_override":  numbered("OVERRIDE_", overrides),
		"node_lifecycle": numbered("LIFECYCLE_", []string{Free.String(), Present.String(), Removed.String()}),
		"node_action": {"ACTION_NEW = " + number(uint8(TakesNew)), "ACTION_DEAD = " + number(uint8(Dead)),
			"ACTION_RESET_TCP = " + number(uint8(ResetTCP)), "ACTION_STICK = " + number(uint8(Sticks)),
			"ACTION_DEADLINE = " + number(uint8(HasDeadline)), "ACTION_REPORT = " + number(uint8(Reports))},
		"signal_kind": append(numbered("SIGNAL_", []string{Refused.String(), Unanswered.String(), Unreachable.String()}),
			"SIGNAL_KINDS = "+number(uint8(len(SignalKinds)))),
		"algorithm": numbered("ALGORITHM_", []string{Sequence.String(), LeastConn.String(), Hash.String(), Tickets.String()}),
		"flow_class": {"FLOW_FREE = 0", "FLOW_HALF_OPEN = " + number(uint8(HalfOpen)),
			"FLOW_ESTABLISHED = " + number(uint8(Established)), "FLOW_CLOSING = " + number(uint8(Closing)),
			"FLOW_UDP = " + number(uint8(UDPSession)), "FLOW_RESERVED = " + number(uint8(UDPSession)+1)},
	} {
		if got := enums[name]; strings.Join(got, ", ") != strings.Join(want, ", ") {
			t.Errorf("enum %s is %q, here %q", name, got, want)
		}
	}
	for i, want := range []string{"HALF_FORWARD = " + number(halfForward), "HALF_REPLY = " + number(halfReply)} {
		if got := enums["half_flag"]; len(got) <= i || got[i] != want {
			t.Errorf("enum half_flag is %q, here %q at %d", got, want, i)
		}
	}
}

// numbered writes a list of words as a C enum has them.
func numbered[T ~string](prefix string, words []T) []string {
	var out []string
	for i, w := range words {
		out = append(out, prefix+strings.ToUpper(string(w))+" = "+strconv.Itoa(i))
	}
	return out
}

func TestSizesAreThoseOfTheProgram(t *testing.T) {
	_, defines := abi(t)
	for name, want := range map[string]uint64{
		"BUCKET_SLOTS": bucketSlots, "LINKS_MAX": linksMax, "LINK_PROBES": LinkProbes, "SNATS_MAX": snatsMax,
		"OURS_WORDS": OursWords, "FLOW_CLASS_MASK": classMask, "HOP_LINK_SHIFT": 48,
		"SERVICE_LENGTH_SHIFT": serviceLengthShift, "SERVICE_FLAGS_SHIFT": serviceFlagsShift,
		"SERVICE_FLAG_DROP": serviceFlagDrop, "SERVICE_FLAG_LIMITED": serviceFlagLimited,
		"SERVICE_ALGORITHM_SHIFT": serviceAlgorithmShift, "SERVICE_ALGORITHM_MASK": serviceAlgorithmMask, "SLOT_NODES": slotNodes, "ABI_SCHEMA": loader.Schema,
		"SERVICE_FLAG_STICK": serviceFlagStick, "SERVICE_FLAG_THROTTLE": serviceFlagThrottle, "THROTTLE_TIME_SHIFT": throttleTimeShift,
	} {
		if got, ok := defines[name]; !ok || got != want {
			t.Errorf("%s is %d, here %d", name, got, want)
		}
	}
	if bits := defines["SERVICE_LENGTH_BITS"]; 1<<bits-1 != serviceLengthMask {
		t.Errorf("SERVICE_LENGTH_BITS is %d, here the mask is %#x", bits, serviceLengthMask)
	}
}

func TestWordsAreWhereTheProgramHasThem(t *testing.T) {
	var n loader.Node
	var h loader.BucketHead
	var f4 loader.Flow4
	var f6 loader.Flow6
	var l loader.LinkEntry
	var s loader.Service
	for name, at := range map[string]uintptr{
		"node.hop": unsafe.Offsetof(n.Hop), "node.status": unsafe.Offsetof(n.Status), "node.tcp_idle": unsafe.Offsetof(n.TcpIdle),
		"service.stick": unsafe.Offsetof(s.Stick), "service.throttle": unsafe.Offsetof(s.Throttle),
		"bucket_head.tags": unsafe.Offsetof(h.Tags), "flow4.word": unsafe.Offsetof(f4.Word), "flow6.word": unsafe.Offsetof(f6.Word), "link.ifindex": unsafe.Offsetof(l.Ifindex),
	} {
		if at%8 != 0 {
			t.Errorf("%s is at %d, not at a 64-bit word", name, at)
		}
	}
	if unsafe.Offsetof(n.UdpIdle) != unsafe.Offsetof(n.TcpIdle)+4 || unsafe.Offsetof(n.SnatCount) != unsafe.Offsetof(n.SnatFirst)+2 ||
		unsafe.Offsetof(n.SnatFirst)%4 != 0 || unsafe.Offsetof(n.Weight)%4 != 0 || unsafe.Offsetof(l.Mac)%4 != 0 {
		t.Error("fields that one store replaces are not neighbours in one word")
	}
}

// TestEveryMapIsListed keeps the list for people in step with the program.
func TestEveryMapIsListed(t *testing.T) {
	spec, err := loader.Spec()
	if err != nil {
		t.Fatal(err)
	}
	listed := map[string]table{}
	for _, table := range NewFake(FakeSizes{}).Reader().tables() {
		listed[table.name] = table
	}
	for name, m := range spec.Maps {
		if _, ok := m.Value.(*btf.Datasec); ok {
			continue // constants
		}
		if listed[name].what == "" {
			t.Errorf("map %s is not described", name)
		}
		delete(listed, name)
	}
	for name := range listed {
		t.Errorf("map %s is described, but the program has none", name)
	}
}
