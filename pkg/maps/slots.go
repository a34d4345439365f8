package maps

import "fmt"

// Algorithm is how the program chooses a node from a service's table, and so what the words of the
// table are (enum algorithm).
type Algorithm uint8

// Algorithms. Tables of Sequence and Hash are node ids, those of LeastConn and Tickets are Columns.
const (
	Sequence  Algorithm = iota // node ids in the order in which they get new flows
	LeastConn                  // two draws by weight, then the one with fewer flows for its weight
	Hash                       // node ids by the hash of the client's address
	Tickets                    // by weight, spread evenly
)

// String gives the word for people.
func (a Algorithm) String() string {
	return word(a, "sequence", "leastconn", "hash", "tickets")
}

// hasColumns says that a table's words are Columns.
func (a Algorithm) hasColumns() bool { return a == LeastConn || a == Tickets }

// ServiceWord points to a table of node ids or columns in the slots.
type ServiceWord struct {
	Offset    uint32 // word that the table begins at
	Length    uint32 // node ids or columns; 0: nothing is eligible
	Algorithm Algorithm
	Limited   bool // nodes have a limit of active flows; the list of members follows the table
	Drop      bool // nothing eligible: drop silently instead of refusing
	Stick     bool // clients stick to nodes, as the policy says
	Throttle  bool // clients open flows at a limited rate, as the policy says
}

// Words returns how many words the table takes, without the list of members.
func (w ServiceWord) Words() uint32 {
	if w.Algorithm.hasColumns() {
		return w.Length
	}
	return nodeWords(w.Length)
}

const slotNodes = 4 // SLOT_NODES: ids in a word

func nodeWords(ids uint32) uint32 { return (ids + slotNodes - 1) / slotNodes }

// PackNodes lays out node ids in words, as tables of Sequence and Hash have them. What is left of the
// last word names no node.
func PackNodes(ids []uint32) []uint64 {
	words := make([]uint64, nodeWords(uint32(len(ids))))
	for i, id := range ids {
		words[i/slotNodes] |= uint64(id) << (i % slotNodes * 16)
	}
	return words
}

// PackChosen is PackNodes of ids[chosen[0]], ids[chosen[1]] and so on: of a million at once, for one copy less.
func PackChosen(chosen []uint16, ids []uint32) []uint64 {
	words := make([]uint64, nodeWords(uint32(len(chosen))))
	for i, which := range chosen {
		words[i/slotNodes] |= uint64(ids[which]) << (i % slotNodes * 16)
	}
	return words
}

// UnpackNodes is the reverse of PackNodes; the words may hold up to three zeros more than there were ids.
func UnpackNodes(words []uint64) []uint32 {
	ids := make([]uint32, 0, len(words)*slotNodes)
	for _, w := range words {
		for range slotNodes {
			ids = append(ids, uint32(w&0xffff))
			w >>= 16
		}
	}
	return ids
}

// PackMembers lays out the list of members that follows a table whose service is Limited: how many
// words of ids there are, and these.
func PackMembers(ids []uint32) []uint64 {
	words := PackNodes(ids)
	return append([]uint64{uint64(len(words))}, words...)
}

// Column is one of an alias table: a draw that hits it goes to Own, if its fraction of the column is
// below Threshold in parts of 1<<32, else to Alias. Both are node ids.
type Column struct {
	Threshold  uint32
	Own, Alias uint32
}

// PackColumns lays out columns in words, as tables of LeastConn and Tickets have them.
func PackColumns(columns []Column) []uint64 {
	words := make([]uint64, len(columns))
	for i, c := range columns {
		words[i] = uint64(c.Threshold) | uint64(c.Own&0xffff)<<32 | uint64(c.Alias&0xffff)<<48
	}
	return words
}

// UnpackColumn is the reverse of PackColumns for one word.
func UnpackColumn(w uint64) Column {
	return Column{Threshold: uint32(w), Own: uint32(w >> 32 & 0xffff), Alias: uint32(w >> 48)}
}

// ReadTable returns the words of a service's table, and those of the list of members that follows it, if
// the service is Limited: the first of these is how many follow.
func ReadTable(t Tables, w ServiceWord) (table, members []uint64, err error) {
	table, err = t.ReadSlots(w.Offset, w.Words())
	if err != nil || !w.Limited || w.Length == 0 {
		return table, nil, err
	}
	at := w.Offset + w.Words()
	count, err := t.ReadSlots(at, 1)
	if err != nil {
		return nil, nil, err
	}
	members, err = t.ReadSlots(at, 1+uint32(min(count[0], serviceLengthMask)))
	return table, members, err
}

// describeSlot says what a word of a table is.
func describeSlot(a Algorithm, w uint64) string {
	if !a.hasColumns() {
		return fmt.Sprintf("nodes %s", describeIDs(w))
	}
	c := UnpackColumn(w)
	if c.Own == c.Alias {
		return fmt.Sprintf("node %d", c.Own)
	}
	return fmt.Sprintf("node %d up to %.4f, else node %d", c.Own, float64(c.Threshold)/(1<<32), c.Alias)
}

// describeIDs lists the ids of a word.
func describeIDs(w uint64) string {
	ids := UnpackNodes([]uint64{w})
	for len(ids) > 1 && ids[len(ids)-1] == 0 {
		ids = ids[:len(ids)-1]
	}
	text := fmt.Sprint(ids)
	return text[1 : len(text)-1]
}
