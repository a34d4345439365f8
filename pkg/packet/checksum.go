package packet

import (
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"
)

// checksum is the Internet checksum of b, as gopacket computes it.
func checksum(b []byte, initial uint32) uint16 {
	return gopacket.FoldChecksum(gopacket.ComputeChecksum(b, initial))
}

// putSum fills in the checksum of a TCP, UDP or ICMP segment whose checksum lies at offset and is 0.
func putSum(segment []byte, offset int, given Auto, ip Layer, proto uint8) ([]byte, error) {
	sum := given.Value
	if !given.Given {
		initial, err := pseudoHeader(ip, len(segment), proto)
		if err != nil {
			return nil, err
		}
		sum = checksum(segment, initial)
		if sum == 0 && proto == ProtoUDP {
			sum = 0xffff // 0 says that there is none
		}
	}
	binary.BigEndian.PutUint16(segment[offset:], sum)
	return segment, nil
}

// pseudoHeader sums what a checksum covers of the IP header.
func pseudoHeader(ip Layer, length int, proto uint8) (uint32, error) {
	if proto == ProtoICMP {
		return 0, nil
	}
	var addresses []byte
	switch h := ip.(type) {
	case *IPv4:
		addresses = append(h.Src.AsSlice(), h.Dst.AsSlice()...)
	case *IPv6:
		addresses = append(h.Src.AsSlice(), h.Dst.AsSlice()...)
	default:
		return 0, errNoIP
	}
	return gopacket.ComputeChecksum(addresses, uint32(length)+uint32(proto)), nil
}

// Verify says what is wrong with the checksums of a frame: the IP header's, and that of TCP, UDP or
// ICMP unless the packet is a fragment; also the IP header's of a packet that an ICMP error quotes.
// It is gopacket's opinion of bytes, not that of this package's own encoder.
func Verify(frame []byte) error {
	decoded := gopacket.NewPacket(frame, layers.LayerTypeEthernet, gopacket.Default)
	faults := verifyLayers(decoded.Layers())
	if decoded.Layer(layers.LayerTypeIPv6) != nil {
		if udp, ok := decoded.Layer(layers.LayerTypeUDP).(*layers.UDP); ok && udp.Checksum == 0 {
			faults = append(faults, errors.New("UDP: no checksum, which IPv6 does not allow"))
		}
	}
	if icmp, ok := decoded.Layer(layers.LayerTypeICMPv4).(*layers.ICMPv4); ok && isError(false, uint8(icmp.TypeCode.Type())) {
		faults = append(faults, verifyQuoted(icmp.Payload))
	}
	return errors.Join(faults...)
}

// verifyLayers checks the outermost IP packet, down to what it carries.
func verifyLayers(list []gopacket.Layer) (faults []error) {
	var network gopacket.NetworkLayer
	for _, layer := range list {
		if ip, ok := layer.(gopacket.NetworkLayer); ok {
			network = ip
		}
		if l, ok := layer.(interface {
			SetNetworkLayerForChecksum(gopacket.NetworkLayer) error
		}); ok && network != nil {
			faults = append(faults, l.SetNetworkLayerForChecksum(network))
		}
		if failed, ok := layer.(gopacket.ErrorLayer); ok {
			faults = append(faults, fmt.Errorf("cannot be read down to its checksums: %w", failed.Error()))
		}
		summed, ok := layer.(gopacket.LayerWithChecksum)
		if !ok {
			continue
		}
		failure, result := summed.VerifyChecksum()
		if failure != nil {
			faults = append(faults, fmt.Errorf("%s: %w", layer.LayerType(), failure))
		} else if !result.Valid {
			faults = append(faults, fmt.Errorf("%s: checksum is %#04x, should be %#04x",
				layer.LayerType(), result.Actual, result.Correct))
		}
		if layer != network {
			break // what a datagram carries is not looked into
		}
	}
	return faults
}

// verifyQuoted checks the header checksum of a quoted IPv4 packet.
func verifyQuoted(quoted []byte) error {
	if len(quoted) < 20 || len(quoted) < int(quoted[0]&15)*4 {
		return errors.New("quoted IPv4: header is cut short")
	}
	if checksum(quoted[:int(quoted[0]&15)*4], 0) != 0 {
		return errors.New("quoted IPv4: wrong header checksum")
	}
	return nil
}
