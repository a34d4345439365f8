package lab

import (
	"fmt"
	"os"
	"strconv"
	"strings"

	"github.com/vishvananda/netlink"
)

// Conntracked is how many connections the kernel tracks in the namespace.
func (n *Namespace) Conntracked() (count int, err error) {
	return n.conntrackValue("nf_conntrack_count")
}

// ConntrackLimit is how many connections the kernel tracks at most; what is more it drops.
func (n *Namespace) ConntrackLimit() (int, error) { return n.conntrackValue("nf_conntrack_max") }

// ForgetConntracked has the kernel forget every connection that it tracks in the namespace.
func (n *Namespace) ForgetConntracked() error {
	return n.Do(func() error {
		if err := netlink.ConntrackTableFlush(netlink.ConntrackTable); err != nil {
			return fmt.Errorf("forget the tracked connections of %s: %w", n.name, err)
		}
		return nil
	})
}

func (n *Namespace) conntrackValue(key string) (value int, err error) {
	err = n.Do(func() error {
		text, err := os.ReadFile("/proc/sys/net/netfilter/" + key)
		if err == nil {
			value, err = strconv.Atoi(strings.TrimSpace(string(text)))
		}
		if err != nil {
			return fmt.Errorf("%s: %w", n.name, err)
		}
		return nil
	})
	return value, err
}
