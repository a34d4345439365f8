package maps

import "sync/atomic"

// Trouble is what the data path counts of the connections that a node fails, if its status says Reports.
type Trouble struct {
	InARow uint32 // connections that it has failed since it took one
	Lost   uint64 // reports about it that found no room
}

// Failures reads which connections a node has failed since its id was given to it.
func (r *Reader) Failures(id uint32) (Failures, error) {
	t, err := r.nodeTraffic(id)
	return t.Failed, err
}

// Trouble reads what is counted of a node.
func (r *Reader) Trouble(id uint32) (Trouble, error) {
	t, err := at("nodes_trouble", r.nodesTrouble, id)
	if err != nil {
		return Trouble{}, err
	}
	return Trouble{InARow: atomic.LoadUint32(&t.Failed), Lost: atomic.LoadUint64(&t.Lost)}, nil
}
