package packet

import (
	"fmt"
	"io"
	"time"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"
	"github.com/gopacket/gopacket/pcapgo"
)

// Recorded is a frame to be recorded.
type Recorded struct {
	Time      time.Time
	Interface string // that it came in by, or left by
	Out       bool   // it left
	Length    int    // of the frame
	Data      []byte // its beginning
	Comment   string // what Wireshark shows with it; may be empty
}

// Recorder writes frames as pcapng, which Wireshark, tshark and tcpdump read.
type Recorder struct {
	to         io.Writer
	section    pcapgo.NgSectionInfo
	snap       uint32
	ng         *pcapgo.NgWriter // nil until there is something to write
	interfaces map[string]int   // by name, their numbers in the recording
}

// NewRecorder makes a recorder of Ethernet frames, of which snap bytes are recorded at most. application is what
// the recording says of who made it.
func NewRecorder(to io.Writer, application string, snap int) *Recorder {
	return &Recorder{to: to, section: pcapgo.NgSectionInfo{Application: application, OS: "Linux"}, snap: uint32(snap), interfaces: map[string]int{}}
}

// Write records a frame, and hands it on to the writer at once.
func (r *Recorder) Write(f Recorded) error {
	i, err := r.interfaceOf(f.Interface)
	if err != nil {
		return err
	}
	info := gopacket.CaptureInfo{Timestamp: f.Time, CaptureLength: len(f.Data), Length: max(f.Length, len(f.Data)), InterfaceIndex: i}
	options := pcapgo.NgPacketOptions{Flags: &pcapgo.NgEpbFlags{Direction: pcapgo.NgEpbFlagDirectionInbound}}
	if f.Out {
		options.Flags.Direction = pcapgo.NgEpbFlagDirectionOutbound
	}
	if f.Comment != "" {
		options.Comments = []string{f.Comment}
	}
	if err := r.ng.WritePacketWithOptions(info, f.Data, options); err != nil {
		return fmt.Errorf("record a packet: %w", err)
	}
	return r.Flush()
}

// interfaceOf gives the number of an interface, which is described where it appears first.
func (r *Recorder) interfaceOf(name string) (int, error) {
	if i, known := r.interfaces[name]; known {
		return i, nil
	}
	described := pcapgo.NgInterface{Name: name, LinkType: layers.LinkTypeEthernet, SnapLength: r.snap}
	i, err := 0, error(nil)
	if r.ng == nil {
		r.ng, err = pcapgo.NewNgWriterInterface(r.to, described, pcapgo.NgWriterOptions{SectionInfo: r.section})
	} else {
		i, err = r.ng.AddInterface(described)
	}
	if err != nil {
		return 0, fmt.Errorf("record interface %s: %w", name, err)
	}
	r.interfaces[name] = i
	return i, nil
}

// Flush makes a recording of what was written, also if that is nothing.
func (r *Recorder) Flush() error {
	if r.ng == nil {
		if _, err := r.interfaceOf("none"); err != nil {
			return err
		}
	}
	return r.ng.Flush()
}
