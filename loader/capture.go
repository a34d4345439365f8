package loader

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"time"
	"unsafe"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/ringbuf"
)

// Limits of what a capture keeps of a frame, in bytes: headers at least, and what CaptureOptions may ask for.
const (
	SnapMin = 64
	SnapMax = 2048 // SNAP_MAX of bpf/capture.h
)

// CaptureIDs is how many nodes or services one capture can be asked for (WANTED_MAX of bpf/capture.h).
const CaptureIDs = 8

// NoService is the service of a packet that is of none (NO_SERVICE of bpf/abi.h).
const NoService = 0xffffffff

// CaptureOptions says which packets a capture takes. All that it leaves empty selects all.
type CaptureOptions struct {
	Reasons  []int        // of ReasonNames
	Nodes    []uint32     // ids, at most eight
	Services []uint32     // ids, at most eight
	Client   netip.Prefix // of clients' addresses
	Snap     uint32       // bytes kept of each frame, SnapMin to SnapMax
	Sample   uint32       // one in so many packets, at random; from 1
	Rate     uint32       // packets a second of one CPU at most, and at once after a pause; from 1
}

// CapturedFrame is a packet's frame at one of the two ends of its way.
type CapturedFrame struct {
	At     time.Time
	Length int
	Data   []byte // its beginning
}

// CapturedPacket is a packet and what became of it.
type CapturedPacket struct {
	Came, Left    CapturedFrame
	IfIndex       int // that it came in by
	Verdict       uint32
	Reason        int    // of ReasonNames
	Node, Service uint32 // of its flow; 0 and NoService: none
}

// CaptureLoss counts packets that a capture did not take although it may have been asked for them.
type CaptureLoss struct {
	Skipped uint64 // they came while the rate was used up, and were not looked at
	Lost    uint64 // nobody read fast enough
}

// Capture sees packets before and after the stages of the data path, by a program of the same stages that takes
// the place of the attached one until Close. Close and Read are for one goroutine each.
type Capture struct {
	coll *ebpf.Collection
	ring *ringbuf.Reader
	snap int
	stop context.CancelFunc // of the beat
	done chan struct{}
	end  func() error // what ends with it; nil: nothing
}

// CaptureProgram returns the program that captures as it was compiled; see Spec.
func CaptureProgram() (*ebpf.CollectionSpec, error) { return loadCapture() }

// NewCapture loads a capture of packets that meet these maps, which must stay open until Close. It is attached
// nowhere.
func NewCapture(m *Maps, o CaptureOptions) (*Capture, error) {
	meta, err := readMeta(m.Meta)
	if err != nil {
		return nil, err
	}
	spec, err := CaptureProgram()
	if err != nil {
		return nil, err
	}
	spec.Maps["flows4"].MaxEntries, spec.Maps["flows6"].MaxEntries = m.Flows4.MaxEntries(), m.Flows6.MaxEntries()
	if err := setConstants(spec, meta); err != nil {
		return nil, err
	}
	return CaptureBy(spec, m, o)
}

// CaptureBy is NewCapture for a spec whose constants are set, and that it changes.
func CaptureBy(spec *ebpf.CollectionSpec, m *Maps, o CaptureOptions) (*Capture, error) {
	replace := map[string]*ebpf.Map{}
	eachMap(m, func(name string, field **ebpf.Map) error {
		spec.Maps[name].MaxEntries = (*field).MaxEntries()
		replace[name] = *field
		return nil
	})
	if err := o.set(spec); err != nil {
		return nil, err
	}
	coll, err := loadOnto(spec, replace)
	if err != nil {
		return nil, fmt.Errorf("capture: %w", err)
	}
	ring, err := ringbuf.NewReader(coll.Maps["captured"])
	if err != nil {
		coll.Close()
		return nil, fmt.Errorf("capture: open its ring: %w", err)
	}
	ctx, stop := context.WithCancel(context.Background())
	c := &Capture{coll: coll, ring: ring, snap: int(o.Snap), stop: stop, done: make(chan struct{})}
	if err := c.beat(1); err != nil {
		stop()
		close(c.done)
		return nil, errors.Join(err, c.Close())
	}
	go c.live(ctx)
	return c, nil
}

// beatInterval is how often the program hears that somebody reads; PATIENCE of bpf/capture.h is several times that.
const beatInterval = time.Second

// live lets the program know that somebody reads; else it keeps nothing. It may outlive this process.
func (c *Capture) live(ctx context.Context) {
	defer close(c.done)
	tick := time.NewTicker(beatInterval)
	defer tick.Stop()
	for n := uint64(2); ; n++ {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			_ = c.beat(n) // it succeeded before
		}
	}
}

func (c *Capture) beat(n uint64) error {
	if err := c.coll.Maps["capture_beat"].Put(uint32(0), n); err != nil {
		return fmt.Errorf("capture: %w", err)
	}
	return nil
}

// Program is what takes the place of the attached program.
func (c *Capture) Program() *ebpf.Program { return c.coll.Programs["headgate"] }

// set writes what is asked for into the constants.
func (o CaptureOptions) set(spec *ebpf.CollectionSpec) error {
	if o.Snap < SnapMin || o.Snap > SnapMax || o.Sample == 0 || o.Rate == 0 || len(o.Nodes) > CaptureIDs || len(o.Services) > CaptureIDs {
		return fmt.Errorf("capture: %+v is out of bounds", o)
	}
	constants := map[string]any{
		"snap": o.Snap, "sample": o.Sample, "capture_rate": o.Rate,
		"wanted_nodes": idList(o.Nodes), "wanted_node_count": uint32(len(o.Nodes)),
		"wanted_services": idList(o.Services), "wanted_service_count": uint32(len(o.Services)),
	}
	if len(o.Reasons) > 0 {
		bits := uint64(0)
		for _, r := range o.Reasons {
			bits |= 1 << r
		}
		constants["wanted_reasons"] = bits
	}
	if o.Client.IsValid() {
		addr, mask, family := o.Client.Addr(), [16]byte{}, uint32(6)
		if addr.Is4() {
			family = 4
		}
		for i := range o.Client.Bits() {
			mask[i/8] |= 0x80 >> (i % 8)
		}
		var words [16]byte
		copy(words[:], addr.AsSlice())
		constants["wanted_client"], constants["wanted_client_mask"], constants["wanted_family"] = words, mask, family
	}
	for name, value := range constants {
		if err := spec.Variables[name].Set(value); err != nil {
			return fmt.Errorf("set constant %s: %w", name, err)
		}
	}
	return nil
}

func idList(ids []uint32) (list [CaptureIDs]uint32) {
	copy(list[:], ids)
	return list
}

// Read waits for a packet until the deadline; then, and after Close, the error is os.ErrDeadlineExceeded or
// os.ErrClosed.
func (c *Capture) Read(deadline time.Time) (CapturedPacket, error) {
	c.ring.SetDeadline(deadline)
	record, err := c.ring.Read()
	if errors.Is(err, ringbuf.ErrClosed) {
		err = os.ErrClosed
	}
	if err != nil {
		return CapturedPacket{}, err
	}
	return c.parse(record.RawSample)
}

// parse reads a struct capture_record with its two frames.
func (c *Capture) parse(raw []byte) (CapturedPacket, error) {
	const head = int(unsafe.Sizeof(captureCaptureRecord{}))
	if len(raw) < head+2*c.snap {
		return CapturedPacket{}, fmt.Errorf("capture: a record of %d bytes, where %d are wanted", len(raw), head+2*c.snap)
	}
	r := *(*captureCaptureRecord)(unsafe.Pointer(&raw[0]))
	now := time.Now()
	boot, err := monotonic()
	if err != nil {
		return CapturedPacket{}, err
	}
	frame := func(at uint64, length uint32, kept uint16, data []byte) CapturedFrame {
		return CapturedFrame{now.Add(time.Duration(at - boot)), int(length), data[:min(int(kept), c.snap)]}
	}
	return CapturedPacket{
		Came:    frame(r.Came, r.BytesIn, r.KeptIn, raw[head:]),
		Left:    frame(r.Left, r.BytesOut, r.KeptOut, raw[head+c.snap:]),
		IfIndex: int(r.Ifindex), Verdict: r.Verdict, Reason: int(r.Reason), Node: r.Node, Service: r.Service,
	}, nil
}

// Loss says what was not taken so far.
func (c *Capture) Loss() (loss CaptureLoss, err error) {
	var cpus []captureCaptureState
	if err := c.coll.Maps["capture_states"].Lookup(uint32(0), &cpus); err != nil {
		return loss, fmt.Errorf("read the account of a capture: %w", err)
	}
	for _, s := range cpus {
		loss.Skipped += s.Skipped
		loss.Lost += s.Lost
	}
	return loss, nil
}

// Close puts the plain program back where the capture took its place, and ends Read. When that fails, the program
// stays and captures nothing more; Close can be repeated.
func (c *Capture) Close() error {
	c.stop()
	<-c.done
	if c.end != nil {
		if err := c.end(); err != nil {
			return err
		}
	}
	err := c.ring.Close()
	c.coll.Close()
	return err
}
