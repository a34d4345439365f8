package api

import (
	"encoding/json"
	"net/netip"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.yaml.in/yaml/v3"

	"github.com/headgate/headgate/pkg/config"
)

func TestAFlowIsWrittenAsTheLibraryWritesIt(t *testing.T) {
	plain, odd := someFlow(7), someFlow(0)
	odd.NodeName, odd.State = `we"b/80/\`+"\n\x00ü", ""
	odd.Client = netip.MustParseAddrPort("[2001:db8::7]:1")
	odd.VIP = netip.AddrPort{}
	for _, f := range []Flow{plain, odd, {}} {
		var want strings.Builder
		if err := encoder(&want).Encode(f); err != nil {
			t.Fatal(err)
		}
		if got := string(f.AppendJSON(nil)) + "\n"; got != want.String() {
			t.Errorf("%s want %s", got, want.String())
		}
	}
}

func TestAFlowIsTheSameInYAML(t *testing.T) {
	plain, six, odd := someFlow(7), someFlow(8), someFlow(9)
	six.Client, six.NodeName = netip.MustParseAddrPort("[2001:db8::7]:1"), "a-label_1/80/udp/12"
	odd.NodeName, odd.State, odd.VIP = "we: \"b\"/80/\\\n\x00ü", "yes", netip.AddrPort{}
	all := []Flow{plain, six, odd, {}, plain}
	var got []byte
	for i := range all {
		got = all[i].AppendYAML(got)
	}
	var read []map[string]any
	if err := yaml.Unmarshal(got, &read); err != nil {
		t.Fatalf("%v:\n%s", err, got)
	}
	for i := range all {
		data, err := json.Marshal(all[i])
		if err != nil {
			t.Fatal(err)
		}
		var want map[string]any
		if err := yaml.Unmarshal(data, &want); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, read[i]); diff != "" {
			t.Errorf("flow %d (-want +got)\n%s", i, diff)
		}
		if text, err := config.YAML([]byte("[" + string(data) + "]")); i < 2 && (err != nil || string(text) != string(all[i].AppendYAML(nil))) {
			t.Errorf("flow %d: %s want %s (%v)", i, all[i].AppendYAML(nil), text, err)
		}
	}
}
