package maps

// LinkProbes is how many entries of links an interface may sit in (LINK_PROBES).
const LinkProbes = 8

// LinkSlot returns the k-th entry, k < LinkProbes, that an interface may sit in.
func LinkSlot(ifindex, k int) uint16 {
	return uint16((ifindex + k) % linksMax)
}

// Sizes of links and snats (LINKS_MAX, SNATS_MAX).
const (
	linksMax = 256
	snatsMax = 256
)
