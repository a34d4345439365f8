package packet

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"
	"github.com/gopacket/gopacket/pcapgo"
)

// pcapngMagic begins a file in the newer of the two formats that tcpdump and Wireshark write.
var pcapngMagic = []byte{0x0a, 0x0d, 0x0d, 0x0a}

// ReadRecorded reads a frame from what tcpdump or Wireshark recorded, in pcap or pcapng: the n-th, from 1 as they
// number them. Only recordings of Ethernet frames will do, and frames that are whole.
func ReadRecorded(r io.Reader, n int) ([]byte, error) {
	in := bufio.NewReader(r)
	magic, err := in.Peek(4)
	if err != nil {
		return nil, errors.New("it is no recording of packets: shorter than its header")
	}
	var source interface {
		gopacket.PacketDataSource
		LinkType() layers.LinkType
	}
	if bytes.Equal(magic, pcapngMagic) {
		source, err = pcapgo.NewNgReader(in, pcapgo.NgReaderOptions{})
	} else {
		source, err = pcapgo.NewReader(in)
	}
	if err != nil {
		return nil, fmt.Errorf("it is neither pcap nor pcapng: %w", err)
	}
	if kind := source.LinkType(); kind != layers.LinkTypeEthernet {
		return nil, fmt.Errorf("it holds no Ethernet frames but %s: record on an interface, not on any", kind)
	}
	for i := 1; ; i++ {
		data, info, err := source.ReadPacketData()
		switch {
		case errors.Is(err, io.EOF):
			return nil, fmt.Errorf("it has no packet %d, only %d", n, i-1)
		case err != nil:
			return nil, fmt.Errorf("packet %d: %w", i, err)
		case i == n && info.Length > len(data):
			return nil, fmt.Errorf("packet %d was cut: %d of its %d bytes are recorded (tcpdump -s 0 records all)", n, len(data), info.Length)
		case i == n:
			return data, nil
		}
	}
}
