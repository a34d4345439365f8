package e2e

import (
	"bytes"
	"errors"
	"net"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/headgate/headgate/scripts/lab"
)

// ask sends a datagram from a namespace, without DF, and returns the answer.
func ask(ns *lab.Namespace, address string, question []byte) (answer []byte, err error) {
	dialer := net.Dialer{Control: func(network, _ string, raw syscall.RawConn) (err error) {
		level, option := unix.IPPROTO_IP, unix.IP_MTU_DISCOVER
		if network == "udp6" {
			level, option = unix.IPPROTO_IPV6, unix.IPV6_MTU_DISCOVER
		}
		failed := raw.Control(func(fd uintptr) { err = unix.SetsockoptInt(int(fd), level, option, unix.IP_PMTUDISC_DONT) })
		return errors.Join(failed, err)
	}}
	err = ns.Do(func() error {
		c, err := dialer.Dial("udp", address)
		if err != nil {
			return err
		}
		defer c.Close()
		if _, err := c.Write(question); err != nil {
			return err
		}
		if err := c.SetReadDeadline(time.Now().Add(2 * time.Second)); err != nil {
			return err
		}
		buf := make([]byte, 1<<16)
		n, err := c.Read(buf)
		answer = buf[:n]
		return err
	})
	return answer, err
}

// A datagram that is larger than the MTU goes to its node in fragments, and so does the answer come back.
func TestDatagramsLargerThanTheMTU(t *testing.T) {
	t.Parallel()
	s := newSite(t, 2, smallTable)
	s.servers()
	s.run(s.yaml(conf{port: 53, proto: "udp", nodes: members(2, 5353, both)}))
	for _, family := range both {
		for _, size := range []int{1472, 1473, 1480, 4000, 20000, 65000} {
			question := bytes.Repeat([]byte("0123456789"), size/10+1)[:size]
			for range 4 { // both nodes, and each more than once
				answer, err := ask(s.star.Client, s.vip(family, 53), question)
				if name, echo, _ := bytes.Cut(answer, []byte(" ")); err != nil || len(name) != 1 || !bytes.Equal(echo, question) {
					t.Errorf("%d bytes over IPv%d: %d bytes came back, %v", size, family, len(answer), err)
				}
			}
		}
	}
	if out := s.cli("maps", "dump", "reasons"); !strings.Contains(out, "fragment_followed") {
		t.Errorf("no fragment was counted:\n%s", out)
	}
	s.checkCounts()
}

// What its sender lets be fragmented is left to the kernel where it does not fit the way on, and comes back in
// fragments that fit.
func TestDatagramsThatMayBeFragmentedPassANarrowLink(t *testing.T) {
	t.Parallel()
	s := newSite(t, 1, smallTable)
	s.must(s.star.Balancer.SetMTU("node1", 1300))
	s.must(s.star.Nodes[0].SetMTU("eth0", 1300))
	for key, value := range map[string]string{"ip_forward": "1", "conf/client/accept_local": "1", "conf/client/rp_filter": "0", "conf/all/rp_filter": "0"} {
		s.must(s.star.Balancer.Sysctl("net/ipv4/"+key, value))
	}
	s.servers()
	s.run(s.yaml(conf{port: 53, proto: "udp", nodes: members(1, 5353, []int{4})}))
	question := bytes.Repeat([]byte("x"), 1400)
	answer, err := ask(s.star.Client, s.vip(4, 53), question)
	if err != nil || !bytes.Equal(answer, append([]byte("a "), question...)) {
		t.Errorf("%d bytes came back, %v", len(answer), err)
	}
	if out := s.cli("maps", "dump", "reasons"); !strings.Contains(out, "left_to_fragment") {
		t.Errorf("nothing was left to the kernel:\n%s", out)
	}
}
