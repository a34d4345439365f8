package daemon

import (
	"fmt"
	"os"
	"slices"
	"time"

	"github.com/headgate/headgate/pkg/api"
	"github.com/headgate/headgate/pkg/health"
	"github.com/headgate/headgate/pkg/maps"
	"github.com/headgate/headgate/pkg/netdev"
)

// nearlyFull is the share of a flow table from which on status warns: hashing leaves no flow without a place
// long before that, but what is established never gives way.
const nearlyFull = 0.7

// nearlyFilled warns of flow tables that established flows have nearly filled. All others give way.
func nearlyFilled(tables []maps.TableFill) (out []string) {
	for i := range tables {
		if t := &tables[i]; share(t.Used[maps.Established], t.Entries) >= nearlyFull {
			out = append(out, tableNearlyFull(t))
		}
	}
	return out
}

func tableNearlyFull(t *maps.TableFill) string {
	return fmt.Sprintf("the IPv%d flow table is %.0f %% full of established flows, which never give way: "+
		"once it is full, new flows are refused (table_full); make flow_table.v%[1]d larger than %[3]d",
		t.Family, 100*share(t.Used[maps.Established], t.Entries), t.Entries)
}

// late is how much later than wanted a check may start before status warns.
const late = time.Second

// lagging warns of checks that start late: health is then older than it says.
func lagging(s health.Stats) []string {
	if s.LagP99 < late { // one check that is late now and then is nothing
		return nil
	}
	return []string{fmt.Sprintf("health checks started up to %s late in the last minute: health is older than it says; is the host overloaded, was the daemon stopped, "+
		"or are its files too few for %d checks at a time?", s.LagP99.Round(100*time.Millisecond), s.InFlight)}
}

// tagless warns of interfaces with VLAN interfaces on them whose hardware takes the tags off: the program takes
// such frames for ones that had none. strips asks that; who does not answer has no such offload.
func tagless(interfaces []api.Interface, links []netdev.Link, strips func(ifname string) (bool, error)) (out []string) {
	for _, i := range interfaces {
		at := slices.IndexFunc(links, func(l netdev.Link) bool { return l.Parent != 0 && l.Parent == i.Index })
		if at < 0 {
			continue
		}
		if yes, err := strips(i.Name); err == nil && yes {
			out = append(out, fmt.Sprintf("%s takes VLAN tags off before the program sees frames, as those of %s, which are then balanced as if they had none: "+
				"`ethtool -K %[1]s rxvlan off`, and rx-vlan-stag-hw-parse off where it is on", i.Name, links[at].Name))
		}
	}
	return out
}

func (b *backend) late() []string {
	if b.d.checks == nil {
		return nil
	}
	return lagging(b.d.checks.Stats())
}

// capturing tells why packets cost more at the moment.
func (b *backend) capturing() []string {
	if w := b.d.engine.unended.warnings(); len(w) > 0 {
		return w
	}
	if b.d.datapath == nil || !b.d.datapath.Capturing() {
		return nil
	}
	return []string{"packets are captured, and cost more meanwhile: somebody runs `headgate capture`"}
}

// edited warns when the file on the disk is not the one that was read.
func (f *file) edited() []string {
	info, err := os.Stat(f.path)
	switch {
	case err != nil:
		return []string{fmt.Sprintf("%s cannot be read any more, what runs stays: %v", f.path, err)}
	case !info.ModTime().Equal(f.modified):
		return []string{fmt.Sprintf("%s was changed after it was read, and does not run as it is now: `headgate validate %[1]s`, then send the daemon SIGHUP", f.path)}
	}
	return nil
}

// modified is when a file was changed last, as far as that can be told.
func modified(path string) time.Time {
	info, err := os.Stat(path)
	if err != nil {
		return time.Time{} // whoever reads it says so
	}
	return info.ModTime()
}
