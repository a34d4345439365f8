package peer_test

import (
	"net"
	"os"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/headgate/headgate/scripts/lab"
	"github.com/headgate/headgate/scripts/lab/peer"
)

func TestMain(m *testing.M) {
	lab.Main()
	os.Exit(m.Run())
}

// routed makes a star whose balancer is a plain router, with a server on its only node.
func routed(t *testing.T) (*lab.Star, *lab.Process) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("network namespaces need root")
	}
	l, err := lab.New()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := l.Close(); err != nil {
			t.Error(err)
		}
	})
	s, err := lab.NewStar(l, 1)
	if err != nil {
		t.Fatal(err)
	}
	for _, key := range []string{"net/ipv4/ip_forward", "net/ipv6/conf/all/forwarding"} {
		if err := s.Balancer.Sysctl(key, "1"); err != nil {
			t.Fatal(err)
		}
	}
	server, err := peer.StartNode(s.Nodes[0], peer.NodeOptions{Name: "one", HTTP: "[::]:8080", UDP: "[::]:5353"})
	if err != nil {
		t.Fatal(err)
	}
	return s, server
}

func at(s *lab.Star, family, port int) string {
	return net.JoinHostPort(s.NodeAddr(1, family).String(), strconv.Itoa(port))
}

func TestLoadCountsEveryExchange(t *testing.T) {
	s, _ := routed(t)
	for _, c := range []struct {
		network      string
		family, port int
		keepOpen     bool
	}{
		{"tcp", 4, 8080, false}, {"tcp", 6, 8080, true}, {"udp", 4, 5353, true}, {"udp", 6, 5353, false},
	} {
		load := peer.Load{Network: c.network, Address: at(s, c.family, c.port), Workers: 10, Count: 20, KeepOpen: c.keepOpen}
		got, err := peer.RunLoad(t.Context(), s.Client, load)
		if err != nil {
			t.Fatal(err)
		}
		if got.Done != 200 || got.Failed != 0 || got.Nodes["one"] != 200 || got.Open != 0 {
			t.Errorf("%s over IPv%d: %+v", c.network, c.family, got)
		}
	}
}

func TestHeldConnectionsAnswerEachPulse(t *testing.T) {
	s, server := routed(t)
	c, err := peer.StartLoad(s.Client, peer.Load{Network: "tcp", Address: at(s, 4, 8080), Workers: 50, KeepOpen: true})
	if err != nil {
		t.Fatal(err)
	}
	for want := 50; want <= 150; want += 50 {
		got, err := c.Pulse()
		if err != nil {
			t.Fatal(err)
		}
		if got.Done != want || got.Failed != 0 || got.Open != 50 {
			t.Fatalf("want %d done: %+v", want, got)
		}
	}
	// A broken connection is a failure, never quietly dialled again.
	if err := server.Kill(); err != nil {
		t.Fatal(err)
	}
	got, err := c.Pulse()
	if err != nil {
		t.Fatal(err)
	}
	if got.Failed != 50 || got.Open != 0 {
		t.Errorf("after the server died: %+v", got)
	}
	if got, err = c.Finish(); err != nil || got.Failed != 50 {
		t.Errorf("finish: %+v, %v", got, err)
	}
}

func TestLoadNamesTheKindOfFailure(t *testing.T) {
	s, _ := routed(t)
	for _, network := range []string{"tcp", "udp"} {
		got, err := peer.RunLoad(t.Context(), s.Client, peer.Load{Network: network, Address: at(s, 4, 9), Workers: 1, Count: 3})
		if err != nil {
			t.Fatal(err)
		}
		if got.Failures["refused"] != 3 {
			t.Errorf("%s to a closed port: %+v", network, got)
		}
	}
	// Nobody has this address, and nobody says so before the time is up.
	silent := peer.Load{Network: "tcp", Address: "10.77.1.99:80", Workers: 1, Count: 1, Timeout: 50 * time.Millisecond}
	if got, err := peer.RunLoad(t.Context(), s.Client, silent); err != nil || got.Failures["timeout"] != 1 {
		t.Errorf("to nobody: %+v, %v", got, err)
	}
}

func TestDownloadIsCheckedWhole(t *testing.T) {
	s, server := routed(t)
	const size = 4 << 20
	d, err := peer.StartDownload(t.Context(), s.Client, at(s, 6, 8080), size, 300*time.Millisecond)
	if err != nil {
		t.Fatal(err)
	}
	if d.Node() != "one" || !d.Running() {
		t.Errorf("node %q, running %v", d.Node(), d.Running())
	}
	if err := d.Wait(t.Context()); err != nil {
		t.Error(err)
	}
	d, err = peer.StartDownload(t.Context(), s.Client, at(s, 4, 8080), size, time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	if err := server.Kill(); err != nil {
		t.Fatal(err)
	}
	if err := d.Wait(t.Context()); err == nil {
		t.Error("a download cut short counts as whole")
	}
}

// A test that means new flows gets them: no UDP socket has the port of an earlier one, not even of another load's.
func TestUDPSocketsNeverHaveAPortTwice(t *testing.T) {
	s, _ := routed(t)
	var server net.PacketConn
	err := s.Nodes[0].Do(func() (err error) {
		server, err = net.ListenPacket("udp", "[::]:53")
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	seen := make(chan map[string]int)
	go func() {
		from := map[string]int{}
		buf := make([]byte, 100)
		for {
			n, addr, err := server.ReadFrom(buf)
			if err != nil {
				seen <- from
				return
			}
			from[addr.String()]++
			if _, err := server.WriteTo(append([]byte("one "), buf[:n]...), addr); err != nil {
				t.Error(err)
			}
		}
	}()
	// Somebody else has one of the first ports: it is passed over.
	if err := s.Client.Do(func() error {
		c, err := net.ListenPacket("udp", ":1030")
		if err == nil {
			t.Cleanup(func() { c.Close() })
		}
		return err
	}); err != nil {
		t.Fatal(err)
	}
	const loads, sockets = 4, 1000
	var all sync.WaitGroup
	for i := range loads {
		load := peer.Load{Network: "udp", Address: at(s, 4, 53), Workers: 5, Count: sockets / 5}
		if i%2 == 1 {
			load.Source = s.ClientAddr(4)
		}
		all.Go(func() {
			if got, err := peer.RunLoad(t.Context(), s.Client, load); err != nil || got.Done != sockets {
				t.Errorf("%+v, %v", got, err)
			}
		})
	}
	all.Wait()
	server.Close()
	if from := <-seen; len(from) != loads*sockets {
		t.Errorf("%d sockets came from %d ports", loads*sockets, len(from))
	}
}
