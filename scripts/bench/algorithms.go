package main

import "github.com/headgate/headgate/loader"

// algorithm is a way to choose a node, see enum algorithm.
type algorithm uint64

const (
	sequence algorithm = iota
	leastconn
	hash
	tickets
)

// Where the tables of the IPv4 TCP service lie in the slots, each with its list of members behind it.
var tablesAt = map[algorithm]uint64{sequence: 16, leastconn: 32, tickets: 48, hash: 64}

const (
	hashSlots    = 8191 // the smallest table
	algorithmBit = 57
	limitedBit   = 61
)

// emptyFor readies the tables for new flows by an algorithm. limited: every node has max_conns, far away.
func emptyFor(a algorithm, limited bool) func(*bed, uint32) error {
	return func(b *bed, _ uint32) error {
		if err := b.reset(); err != nil {
			return err
		}
		return b.spreadBy(a, limited)
	}
}

// spreadBy lays out the table of an algorithm for the IPv4 TCP service, and commits it.
func (b *bed) spreadBy(a algorithm, limited bool) error {
	at, length := tablesAt[a], uint64(nodes)
	words := []uint64{packed(1, 2, 3)}
	switch a {
	case leastconn, tickets:
		words = []uint64{column(1<<31, 1, 2), column(0, 2, 2), column(1<<31, 3, 1)}
	case hash:
		length, words = hashSlots, nil
		for i := range uint64(hashSlots+3) / 4 {
			words = append(words, packed(1+i%3, 1+(i+1)%3, 1+(i+2)%3)|(1+i%3)<<48)
		}
	}
	words = append(words, 1, packed(1, 2, 3)) // the members
	for i, word := range words {
		if err := b.put("slots", uint32(at)+uint32(i), word); err != nil {
			return err
		}
	}
	word := at | length<<32 | uint64(a)<<algorithmBit
	if limited {
		word |= 1 << limitedBit
	}
	return b.put("services", uint32(0), loader.Service{Word: word, Vip: b.found[0]})
}

// packed lays three node ids out in a word of slots.
func packed(first, second, third uint64) uint64 { return first | second<<16 | third<<32 }

// column lays out one of an alias table.
func column(threshold, own, alias uint64) uint64 { return threshold | own<<32 | alias<<48 }
