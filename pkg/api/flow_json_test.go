package api

import (
	"net/netip"
	"strings"
	"testing"
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
