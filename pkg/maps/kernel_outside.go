package maps

import (
	"errors"
	"fmt"

	"github.com/cilium/ebpf"

	"github.com/headgate/headgate/loader"
)

// kernelOutside is the maps that cannot be mapped: every operation is a system call.
type kernelOutside struct {
	maps *loader.Maps
}

func (o *kernelOutside) vipsMax() uint32    { return o.maps.Vips.MaxEntries() }
func (o *kernelOutside) guessesMax() uint32 { return o.maps.Guesses.MaxEntries() }

func (o *kernelOutside) vips() (map[VIP]uint32, error) {
	out := map[VIP]uint32{}
	var key loader.VIPKey
	var service uint32
	it := o.maps.Vips.Iterate()
	for it.Next(&key, &service) {
		out[decodeVIP(key)] = service
	}
	if err := it.Err(); err != nil {
		return nil, fmt.Errorf("iterate map vips: %w", err)
	}
	return out, nil
}

func (o *kernelOutside) vip(v VIP) (service uint32, found bool, err error) {
	err = o.maps.Vips.Lookup(encodeVIP(v), &service)
	if errors.Is(err, ebpf.ErrKeyNotExist) {
		return 0, false, nil
	}
	if err != nil {
		return 0, false, fmt.Errorf("map vips, look up %s: %w", v, err)
	}
	return service, true, nil
}

func (o *kernelOutside) putVIP(v VIP, service uint32) error {
	if err := o.maps.Vips.Put(encodeVIP(v), service); err != nil {
		return fmt.Errorf("map vips (%d entries), put %s: %w", o.vipsMax(), v, err)
	}
	return nil
}

func (o *kernelOutside) deleteVIP(v VIP) error {
	err := o.maps.Vips.Delete(encodeVIP(v))
	if err != nil && !errors.Is(err, ebpf.ErrKeyNotExist) {
		return fmt.Errorf("map vips, delete %s: %w", v, err)
	}
	return nil
}

func (o *kernelOutside) txPort(index uint16) (int, error) {
	var ifindex uint32
	err := o.maps.TxPorts.Lookup(uint32(index), &ifindex)
	if err != nil && !errors.Is(err, ebpf.ErrKeyNotExist) {
		return 0, err
	}
	return int(ifindex), nil
}

func (o *kernelOutside) putTxPort(index uint16, ifindex int) error {
	return o.maps.TxPorts.Put(uint32(index), uint32(ifindex))
}

func (o *kernelOutside) deleteTxPort(index uint16) error {
	err := o.maps.TxPorts.Delete(uint32(index))
	if errors.Is(err, ebpf.ErrKeyNotExist) {
		return nil
	}
	return err
}

func (o *kernelOutside) nodeTraffic(id uint32) (Traffic, error) {
	var cpus []loader.NodeStats
	if err := o.maps.NodesStats.Lookup(id, &cpus); err != nil {
		return Traffic{}, err
	}
	return sumTraffic(cpus), nil
}

func sumTraffic(cpus []loader.NodeStats) (t Traffic) {
	for _, c := range cpus {
		t.Add(Traffic{c.PacketsIn, c.BytesIn, c.PacketsOut, c.BytesOut, c.Flows, c.Failed})
	}
	return t
}

// trafficBatch is how many ids one system call reads the traffic of.
const trafficBatch = 1024

func (o *kernelOutside) eachTraffic(do func(uint32, Traffic) bool) error {
	cpus, err := ebpf.PossibleCPU()
	if err != nil {
		return err
	}
	var cursor ebpf.MapBatchCursor
	ids, values := make([]uint32, trafficBatch), make([]loader.NodeStats, trafficBatch*cpus)
	for {
		n, err := o.maps.NodesStats.BatchLookup(&cursor, ids, values, nil)
		if err != nil && !errors.Is(err, ebpf.ErrKeyNotExist) {
			return fmt.Errorf("read map nodes_stats: %w", err)
		}
		for i := range n {
			if !do(ids[i], sumTraffic(values[i*cpus:(i+1)*cpus])) {
				return nil
			}
		}
		if err != nil { // it has no more
			return nil
		}
	}
}

func (o *kernelOutside) clearTraffic(id uint32) error {
	cpus, err := ebpf.PossibleCPU()
	if err != nil {
		return err
	}
	if err := o.maps.NodesStats.Put(id, make([]loader.NodeStats, cpus)); err != nil {
		return fmt.Errorf("map nodes_stats, clear %d: %w", id, err)
	}
	return nil
}

func (o *kernelOutside) serviceStats(id uint32) (sum loader.ServiceStats, err error) {
	var cpus []loader.ServiceStats
	if err := o.maps.ServicesStats.Lookup(id, &cpus); err != nil {
		return sum, err
	}
	for _, c := range cpus {
		for i, n := range c.Packets {
			sum.Packets[i] += n
		}
	}
	return sum, nil
}

func (o *kernelOutside) clearServiceStats(id uint32) error {
	cpus, err := ebpf.PossibleCPU()
	if err != nil {
		return err
	}
	if err := o.maps.ServicesStats.Put(id, make([]loader.ServiceStats, cpus)); err != nil {
		return fmt.Errorf("map services_stats, clear %d: %w", id, err)
	}
	return nil
}

func (o *kernelOutside) eachStick(do func(loader.StickKey, loader.StickEntry) bool) error {
	return eachOf(o.maps.Sticks, "sticks", do)
}

func (o *kernelOutside) deleteStick(key loader.StickKey) error {
	err := o.maps.Sticks.Delete(key)
	if err != nil && !errors.Is(err, ebpf.ErrKeyNotExist) {
		return fmt.Errorf("map sticks, delete: %w", err)
	}
	return nil
}

func (o *kernelOutside) sticksMax() uint32    { return o.maps.Sticks.MaxEntries() }
func (o *kernelOutside) throttlesMax() uint32 { return o.maps.Throttles.MaxEntries() }

func (o *kernelOutside) eachThrottle(do func(loader.ThrottleKey, loader.ThrottleEntry) bool) error {
	return eachOf(o.maps.Throttles, "throttles", do)
}

func (o *kernelOutside) fragmentsMax() uint32 { return o.maps.Fragments.MaxEntries() }

func (o *kernelOutside) datagrams() (n uint64, err error) {
	err = o.maps.Datagrams.Lookup(uint32(0), &n)
	return n, err
}

func (o *kernelOutside) eachFragment(do func(loader.FragmentKey, loader.Fragment) bool) error {
	return eachOf(o.maps.Fragments, "fragments", do)
}

// batch is how many entries one system call reads of a hash map: more than a bucket of it ever holds.
const batch = 4096

// eachOf hands over the entries of a hash map, thousands at a time.
func eachOf[K, V any](m *ebpf.Map, name string, do func(K, V) bool) error {
	size := min(batch, m.MaxEntries())
	var cursor ebpf.MapBatchCursor
	keys, values := make([]K, size), make([]V, size)
	for {
		n, err := m.BatchLookup(&cursor, keys, values, nil)
		if err != nil && !errors.Is(err, ebpf.ErrKeyNotExist) {
			return fmt.Errorf("read map %s: %w", name, err)
		}
		for i := range n {
			if !do(keys[i], values[i]) {
				return nil
			}
		}
		if err != nil { // it has no more
			return nil
		}
	}
}

func (o *kernelOutside) reasons() ([]uint64, error) {
	var cpus []loader.Reasons
	if err := o.maps.Reasons.Lookup(uint32(0), &cpus); err != nil {
		return nil, err
	}
	sum := make([]uint64, len(loader.Reasons{}.Packets))
	for _, c := range cpus {
		for i, n := range c.Packets {
			sum[i] += n
		}
	}
	return sum, nil
}

func (o *kernelOutside) flowStats() (sum [2]loader.FlowStats, err error) {
	for family := range sum {
		var cpus []loader.FlowStats
		if err := o.maps.FlowsStats.Lookup(uint32(family), &cpus); err != nil {
			return sum, err
		}
		for i := range cpus {
			addFlowStats(&sum[family], &cpus[i])
		}
	}
	return sum, nil
}

func (o *kernelOutside) refusalTokens() ([]uint64, error) {
	var cpus []struct{ Tokens, Filled uint64 } // struct refusal_bucket
	if err := o.maps.Refusals.Lookup(uint32(0), &cpus); err != nil {
		return nil, err
	}
	tokens := make([]uint64, len(cpus))
	for i, c := range cpus {
		tokens[i] = c.Tokens
	}
	return tokens, nil
}

// sizes asks the kernel how much memory each map takes, its own bookkeeping included.
func (o *kernelOutside) sizes() (map[string]uint64, error) {
	m := o.maps
	out := map[string]uint64{}
	for name, one := range map[string]*ebpf.Map{
		"flows4": m.Flows4, "flows6": m.Flows6, "vips": m.Vips, "guesses": m.Guesses, "services": m.Services,
		"services_live": m.ServicesLive, "services_stats": m.ServicesStats, "services_info": m.ServicesInfo, "slots": m.Slots,
		"nodes": m.Nodes, "nodes_live": m.NodesLive, "nodes_stats": m.NodesStats, "nodes_info": m.NodesInfo,
		"sticks": m.Sticks, "throttles": m.Throttles, "snats": m.Snats, "ours": m.Ours, "links": m.Links, "tx_ports": m.TxPorts, "fragments": m.Fragments, "datagrams": m.Datagrams, "reasons": m.Reasons, "flows_stats": m.FlowsStats,
		"refusals": m.Refusals, "creations": m.Creations, "meta": m.Meta, "announced": m.Announced, "signals": m.Signals, "nodes_trouble": m.NodesTrouble,
	} {
		info, err := one.Info()
		if err != nil {
			return nil, fmt.Errorf("map %s: %w", name, err)
		}
		if bytes, ok := info.Memlock(); ok {
			out[name] = bytes
		}
	}
	return out, nil
}
