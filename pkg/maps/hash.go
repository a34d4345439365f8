package maps

import "github.com/headgate/headgate/loader"

// hashTuple is where a key belongs, and its tag.
func hashTuple(meta *loader.Meta, t tuple, proto uint8) uint64 {
	return meta.Hash(t.src, t.dst, proto)
}

func tagOf(hash uint64) uint16 { return uint16(hash>>48) | 1 }
