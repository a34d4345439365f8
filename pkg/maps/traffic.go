package maps

// Traffic is what a node has carried since its id was given to it. In is client to node; bytes are
// of layer 3.
type Traffic struct {
	PacketsIn, BytesIn   uint64
	PacketsOut, BytesOut uint64
	Flows                uint64 // created
	Failed               Failures
}

// Add sums up, over CPUs or nodes.
func (t *Traffic) Add(o Traffic) {
	t.PacketsIn += o.PacketsIn
	t.BytesIn += o.BytesIn
	t.PacketsOut += o.PacketsOut
	t.BytesOut += o.BytesOut
	t.Flows += o.Flows
	t.Failed.Add(o.Failed)
}
