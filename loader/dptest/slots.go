package dptest

import (
	"strconv"
	"strings"
)

// Algorithm is how a service's node is chosen, see enum algorithm.
type Algorithm uint8

// Algorithms.
const (
	Sequence Algorithm = iota
	LeastConn
	Hash
	Tickets
)

// Column is one of an alias table, see SLOT_NODES.
type Column struct {
	Threshold  uint32
	Own, Alias uint32
}

const (
	flagDrop     = 1
	flagStick    = 8
	flagThrottle = 16
	flagLimited  = 32
)

func (s *Service) hasColumns() bool { return s.Algorithm == LeastConn || s.Algorithm == Tickets }

// length is the table's, as the service's word has it.
func (s *Service) length() int {
	if s.hasColumns() {
		return len(s.Columns)
	}
	return len(s.Slots)
}

func (s *Service) flags() (flags uint8) {
	flags = uint8(s.Algorithm) << 1
	if s.Drop {
		flags |= flagDrop
	}
	if len(s.Members) > 0 {
		flags |= flagLimited
	}
	if s.TTL != 0 {
		flags |= flagStick
	}
	if s.Rate != 0 {
		flags |= flagThrottle
	}
	return flags
}

// words are the table and the list of members, as they lie in slots.
func (s *Service) words() []uint64 {
	words := packNodes(s.Slots)
	if s.hasColumns() {
		words = nil
		for _, c := range s.Columns {
			words = append(words, uint64(c.Threshold)|uint64(c.Own)<<32|uint64(c.Alias)<<48)
		}
	}
	if members := packNodes(s.Members); len(members) > 0 {
		words = append(append(words, uint64(len(members))), members...)
	}
	return words
}

// packNodes lays four node ids into each word.
func packNodes(ids []uint32) (words []uint64) {
	for i, id := range ids {
		if i%4 == 0 {
			words = append(words, 0)
		}
		words[i/4] |= uint64(id) << (i % 4 * 16)
	}
	return words
}

// ids reads node ids with commas, or - for none.
func (a *args) ids(list string) (ids []uint32) {
	if list == "-" {
		return nil
	}
	for word := range strings.SplitSeq(list, ",") {
		id, err := strconv.ParseUint(word, 10, 32)
		if err != nil {
			a.fail("want ids of nodes with commas, or -, not %q", list)
		}
		ids = append(ids, uint32(id))
	}
	return ids
}

// columns reads OWN or OWN:SHARE:ALIAS with commas.
func (a *args) columns(list string) (columns []Column) {
	for word := range strings.SplitSeq(list, ",") {
		parts := strings.Split(word, ":")
		c := Column{}
		if len(parts) == 3 {
			share, err := strconv.ParseFloat(parts[1], 64)
			if err != nil || share < 0 || share >= 1 {
				a.fail("want a share from 0 to 1, not %q", parts[1])
			}
			c.Threshold = uint32(share * (1 << 32))
		} else if len(parts) != 1 {
			a.fail("want OWN or OWN:SHARE:ALIAS, not %q", word)
		}
		if ids := a.ids(parts[0] + "," + parts[len(parts)-1]); len(ids) == 2 {
			c.Own, c.Alias = ids[0], ids[1]
		}
		columns = append(columns, c)
	}
	return columns
}

// policy reads what goes with any table.
func (a *args) policy(s *Service, word string) {
	switch word {
	case "drop":
		s.Drop = true
	case "stick":
		s.TTL = a.duration()
	case "slides":
		s.Slides = true
	case "tier":
		s.Tier = uint16(a.number())
	case "throttle":
		s.Rate = uint32(a.number())
	case "group":
		s.Group = uint32(a.number())
	default:
		a.fail("unknown word %s", word)
	}
}

func (a *args) service() Service {
	s := Service{ID: uint32(a.number()), Proto: a.proto(), VIP: a.addrPort()}
	table := a.next()
	for len(a.words) > 0 {
		switch word := a.next(); word {
		case "hash":
			s.Algorithm = Hash
		case "leastconn":
			s.Algorithm = LeastConn
		case "tickets":
			s.Algorithm = Tickets
		case "members":
			s.Members = a.ids(a.next())
		default:
			a.policy(&s, word)
		}
	}
	if s.hasColumns() {
		s.Columns = a.columns(table)
	} else {
		s.Slots = a.ids(table)
	}
	return s
}
