package e2e

import (
	"encoding/hex"
	"fmt"
	"net/netip"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/cilium/ebpf"

	"github.com/headgate/headgate/loader"
	bpfmaps "github.com/headgate/headgate/pkg/maps"
	"github.com/headgate/headgate/pkg/packet"
	"github.com/headgate/headgate/scripts/lab/peer"
)

// Real clients and servers behind tags: what they send and get passes switches that let nothing through with
// other tags.
func TestTaggedLinksAreBalancedLikeOthers(t *testing.T) {
	t.Parallel()
	k := newTrunk(t)
	_, err := peer.StartNode(k.server, peer.NodeOptions{Name: "a", HTTP: "[::]:8080", UDP: "[::]:5353"})
	k.must(err)
	var nodes string
	for family, addr := range serverAddr {
		nodes += fmt.Sprintf("          - {label: node-%d, address: \"%s\"}\n", family, netip.AddrPortFrom(addr.Addr(), 8080))
	}
	config := func(port int, proto, nodes string) string {
		return fmt.Sprintf("      - port: %d\n        protocol: %s\n        nodes:\n%s", port, proto, nodes)
	}
	k.run("balancers:\n  - label: web\n    ipv4: 203.0.113.10\n    ipv6: 2001:db8::10\n    configs:\n" +
		config(80, "tcp", nodes) + config(53, "udp", strings.ReplaceAll(nodes, "8080", "5353")) +
		"      - {port: 81, protocol: tcp, nodes: []}\n")
	for _, c := range []struct {
		what         string
		user, server []uint32
	}{
		{"one tag at the client's", []uint32{0x81000007}, nil},
		{"one tag with a priority", []uint32{0x8100a007}, nil},
		{"only a priority", []uint32{0x81006000}, nil},
		{"two tags, and a node on a VLAN interface", []uint32{0x88a80064, 0x810000c8}, []uint32{0x81000009}},
		{"no tags again", nil, nil},
	} {
		undoUser, undoServer := k.tag(k.star.Client, c.user), k.tag(k.star.Nodes[0], c.server)
		k.tagLink("node1", c.server)
		k.narrowUser(len(c.user) == 2)
		for _, family := range both {
			if out := k.exchange(family); out != "" {
				t.Errorf("%s, IPv%d: %s", c.what, family, out)
			}
		}
		undoUser()
		undoServer()
	}
	const eth = "eth 02:00:00:00:00:01 > 02:00:00:00:00:02"
	for tags, says := range map[string]string{"\nvlan 7": "VLAN 7", " type 0x88a8\nvlan 100\nvlan 200": "VLAN 100"} {
		frame := packet.MustEncode(eth + tags + "\nipv4 10.77.0.50 > 203.0.113.10\ntcp 1 > 80 S")
		story, text := k.explain("--hex", hex.EncodeToString(frame))
		wantStory(t, tags, story, text, "forwarded", "new_flow", says, "a new one is made", "verdict: forwarded")
	}
	if out := k.cli("maps", "dump", "tags"); !strings.Contains(out, "VLAN 7 priority 5") || !strings.Contains(out, "VLAN 100.200") {
		t.Errorf("the tags that were seen:\n%s", out)
	}
	k.checkCounts()
}

// exchange does what clients do, over one family, and returns what went wrong.
func (k *trunk) exchange(family int) string {
	k.t.Helper()
	curl := func(args ...string) error {
		_, err := k.user.Run(k.t.Context(), "curl", append([]string{"-sS", "--max-time", "5", "-o", "/dev/null"}, args...)...)
		return err
	}
	url := "http://" + k.vip(family, 80)
	upload := filepath.Join(k.star.Lab.Dir(), "upload")
	if err := exec.Command("truncate", "-s", "500000", upload).Run(); err != nil {
		return err.Error()
	}
	if err := curl(url + fmt.Sprintf("/download?bytes=%d&seconds=0", 1<<20)); err != nil {
		return fmt.Sprintf("download: %v", err)
	}
	if err := curl("--data-binary", "@"+upload, url+"/upload"); err != nil {
		return fmt.Sprintf("upload: %v", err)
	}
	if r, err := peer.RunLoad(k.t.Context(), k.user, peer.Load{Network: "udp", Address: k.vip(family, 53), Workers: 1, Count: 5}); err != nil || r.Done != 5 {
		return fmt.Sprintf("datagrams: %+v, %v", r, err)
	}
	if err := curl("http://" + k.vip(family, 81)); err == nil || !strings.Contains(err.Error(), "refused") && !strings.Contains(err.Error(), "connect to") {
		return fmt.Sprintf("a port without nodes: %v, want it refused", err)
	}
	said, _ := k.user.Run(k.t.Context(), "ping", "-n", "-c", "2", "-i", "0.02", "-W", "1", k.star.VIP(family).String())
	if strings.Count(said, " bytes from ") != 2 {
		return "ping: " + said
	}
	return ""
}

// narrowUser has the user send no packets that do not fit a link with two tags; it still takes larger ones, so that
// the balancer has to tell the server of it.
func (k *trunk) narrowUser(narrow bool) {
	k.t.Helper()
	for _, family := range both {
		route := []string{"ip", fmt.Sprintf("-%d", family), "route", "replace", "default", "via", k.star.BalancerAddr(0, family).String(), "dev", "eth0"}
		if narrow {
			route = append(route, "mtu", "1496", "advmss", map[int]string{4: "1460", 6: "1440"}[family])
		}
		k.userRuns(route...)
	}
}

// tagLink makes one of the balancer's links, and the hops of the nodes that are reached by it, what the daemon makes
// those of a VLAN interface.
func (k *trunk) tagLink(ifname string, tags []uint32) {
	k.t.Helper()
	ifindex, err := k.star.Balancer.Index(ifname)
	k.must(err)
	links, nodes := k.pinned("links"), k.pinned("nodes")
	at := uint32(0)
	var link loader.LinkEntry
	for ; link.Ifindex != uint32(ifindex); at++ {
		k.must(links.Lookup(at, &link))
	}
	at--
	link.Flags, link.Tags, link.Parent = link.Flags&^loader.LinkTagged, 0, 0
	var hop uint64 // its highest byte
	for i, tag := range tags {
		link.Flags, hop = link.Flags|loader.LinkTagged, bpfmaps.TagsOfLink<<56
		link.Parent = uint32(ifindex) // an entry that does not name it is mended by the daemon
		link.Tags |= uint64(uint32(wire32(tag))) << (32 * i)
	}
	k.must(links.Put(at, link))
	for id := uint32(1); id < 16; id++ {
		var node loader.Node
		k.must(nodes.Lookup(id, &node))
		if node.Hop>>48&0xff == uint64(at) && node.Hop != 0 {
			node.Hop = node.Hop&(1<<56-1) | hop
			k.must(nodes.Put(id, node))
		}
	}
}

func (k *trunk) pinned(name string) *ebpf.Map {
	k.t.Helper()
	m, err := ebpf.LoadPinnedMap(filepath.Join(k.gate.BPFFS, "maps", name), nil)
	k.must(err)
	k.t.Cleanup(func() { m.Close() })
	return m
}
