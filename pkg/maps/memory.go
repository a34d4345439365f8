package maps

import (
	"fmt"

	"github.com/headgate/headgate/loader"
)

// memory is all mmap-able maps as Go slices. Programs change them at any time, so everything that
// they share is read and written by one atomic operation at a time.
type memory struct {
	flows4       []loader.Bucket4
	flows6       []loader.Bucket6
	services     []loader.Service
	servicesLive []loader.ServiceLive
	servicesInfo []loader.ServiceInfo
	slots        []uint64
	nodes        []loader.Node
	nodesLive    []loader.NodeLive
	nodesTrouble []loader.NodeTrouble
	nodesInfo    []loader.NodeInfo
	snats        []loader.SNAT
	ours         []uint64
	links        []loader.LinkEntry
	tags         []uint64
	meta         loader.Meta
	timeline
}

// outside is what is no memory: hash, redirect and per-CPU maps.
type outside interface {
	vips() (map[VIP]uint32, error)
	vip(v VIP) (service uint32, found bool, err error)
	putVIP(v VIP, service uint32) error
	deleteVIP(v VIP) error
	vipsMax() uint32
	guessesMax() uint32

	announced() (map[Announced][6]byte, error)
	putAnnounced(a Announced, mac [6]byte) error
	deleteAnnounced(a Announced) error
	announcedMax() uint32

	txPort(index uint16) (ifindex int, err error)
	putTxPort(index uint16, ifindex int) error
	deleteTxPort(index uint16) error

	nodeTraffic(id uint32) (Traffic, error)
	// eachTraffic hands over what each id has carried, in their order, as long as do says so.
	eachTraffic(do func(id uint32, t Traffic) bool) error
	clearTraffic(id uint32) error
	// serviceStats is what was refused or dropped of a service's packets, all CPUs together.
	serviceStats(id uint32) (loader.ServiceStats, error)
	clearServiceStats(id uint32) error
	// eachStick hands over stick entries as long as do says so.
	eachStick(do func(loader.StickKey, loader.StickEntry) bool) error
	deleteStick(loader.StickKey) error
	sticksMax() uint32
	// eachThrottle does the same with what clients have used of their rates.
	eachThrottle(do func(loader.ThrottleKey, loader.ThrottleEntry) bool) error
	throttlesMax() uint32
	// eachFragment does the same with datagrams of which fragments came.
	eachFragment(do func(loader.FragmentKey, loader.Fragment) bool) error
	fragmentsMax() uint32
	datagrams() (uint64, error)

	reasons() ([]uint64, error)
	// flowStats is how flows of IPv4 and of IPv6 have ended, all CPUs together.
	flowStats() ([2]loader.FlowStats, error)
	refusalTokens() ([]uint64, error)
	// sizes is how many bytes each map takes, as far as that is known.
	sizes() (map[string]uint64, error)
}

// at returns an entry, or an error that names the map and how large it is.
func at[T any](name string, s []T, index uint32) (*T, error) {
	if index >= uint32(len(s)) {
		return nil, fmt.Errorf("%s[%d]: beyond the end of the map (%d entries)", name, index, len(s))
	}
	return &s[index], nil
}
