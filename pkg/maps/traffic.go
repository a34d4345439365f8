package maps

// Traffic is what a node has carried since its id was given to it. In is client to node; bytes are
// of layer 3.
type Traffic struct {
	PacketsIn, BytesIn   uint64
	PacketsOut, BytesOut uint64
	Flows                uint64 // created
}

// add sums up the counters of one CPU.
func (t *Traffic) add(packetsIn, bytesIn, packetsOut, bytesOut, flows uint64) {
	t.PacketsIn += packetsIn
	t.BytesIn += bytesIn
	t.PacketsOut += packetsOut
	t.BytesOut += bytesOut
	t.Flows += flows
}
