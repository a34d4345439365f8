package loader_test

import (
	"fmt"
	"net/netip"
	"testing"

	"github.com/headgate/headgate/loader/dptest"
	"github.com/headgate/headgate/pkg/packet"
)

const (
	guessRounds = 4
	guessFlows  = 1 << 13 // of each service in a round
)

// TestServicesWhoseGuessesCollideGetTheirOwnClients has two CPUs open flows of two services that share a guess, each of
// which takes it from the other all the time: TCP, where a SYN's service is found ahead, and UDP. The guess is right
// for one of them at most; what it says has to be proved by the service's own record.
func TestServicesWhoseGuessesCollideGetTheirOwnClients(t *testing.T) {
	const tcp, udp = 1, 2 // ids of the services, and of their nodes
	bed := dptest.Open(t, dptest.Options{Buckets4: 1 << 13})
	fill(bed)
	at := bed.Guess(netip.AddrPortFrom(netip.MustParseAddr(vip4), 80), packet.ProtoTCP)
	port := portOfGuess(bed, at)
	kinds := []dptest.Kind{
		{Frame: packet.MustEncode(fmt.Sprintf("%sipv4 198.51.0.0 > %s\ntcp 1 > 80 S seq 1000", router, vip4)), First: 1024, Ports: guessFlows},
		{Frame: packet.MustEncode(fmt.Sprintf("%sipv4 198.51.0.0 > %s\nudp 1 > %d", router, vip4, port)), First: 1024, Ports: guessFlows},
	}
	generator := bed.NewGenerator(kinds...)
	for round := range guessRounds {
		fill(bed)
		s := plainService(udp)
		s.VIP = netip.AddrPortFrom(s.VIP.Addr(), port)
		bed.SetService(s)
		bed.ForgetGuesses()
		before := bed.Counters()
		generator.CountBeside(uint32(len(kinds)), guessFlows)
		after := bed.Counters()
		busy := after.Reasons["table_busy"] - before.Reasons["table_busy"]
		for _, id := range []uint32{tcp, udp} {
			if n := after.Stats[id].Flows - before.Stats[id].Flows; n > guessFlows || n+busy < guessFlows {
				t.Errorf("round %d: service %d got %d flows instead of %d", round, id, n, guessFlows)
			}
		}
		for _, f := range bed.Flows() {
			if (f.In.Proto == packet.ProtoTCP) != (f.Node == tcp) {
				t.Fatalf("round %d: %v went to node %d", round, f.In, f.Node)
			}
		}
		if all := bed.Guesses(); len(all) != 1 || all[at] == 0 {
			t.Fatalf("guesses %v: the services do not share %d, and the test proves nothing", all, at)
		}
		check(t, bed)
	}
}

// portOfGuess is a UDP port of the VIP whose guess is at the same place.
func portOfGuess(bed *dptest.Bed, at uint32) uint16 {
	for port := uint16(1); port != 0; port++ {
		if bed.Guess(netip.AddrPortFrom(netip.MustParseAddr(vip4), port), packet.ProtoUDP) == at {
			return port
		}
	}
	panic("no port of the VIP shares the guess")
}
