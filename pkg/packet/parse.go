package packet

import (
	"encoding/hex"
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"strings"
)

// Parse reads the text form. Empty lines and lines that start with # are skipped. An error names
// the line and the word that is wrong.
func Parse(text string) (Packet, error) {
	var p Packet
	for i, line := range strings.Split(text, "\n") {
		line = strings.TrimSpace(line)
		if line == "" || line[0] == '#' {
			continue
		}
		layer, err := parseLayer(line)
		if err != nil {
			return nil, fmt.Errorf("line %d: %q: %w", i+1, line, err)
		}
		if len(p) > 0 && isEdit(p[len(p)-1]) && !isEdit(layer) {
			return nil, fmt.Errorf("line %d: %s after %s", i+1, layer.name(), p[len(p)-1].name())
		}
		p = append(p, layer)
	}
	return p, nil
}

// MustEncode is Parse and Encode for texts that are part of a program; it panics on a fault.
func MustEncode(text string) []byte {
	p, err := Parse(text)
	if err != nil {
		panic(err)
	}
	frame, err := p.Encode()
	if err != nil {
		panic(err)
	}
	return frame
}

func parseLayer(line string) (Layer, error) {
	name, rest, _ := strings.Cut(line, " ")
	layer := newLayer(name)
	if layer == nil {
		return nil, fmt.Errorf("unknown layer %s", name)
	}
	f := &fields{rest: rest}
	layer.parse(f)
	if f.err == nil && f.more() {
		f.fail("unknown field %s", f.word())
	}
	return layer, f.err
}

// fields reads the words of a line. After the first fault it gives zeros.
type fields struct {
	rest string
	err  error
}

func (f *fields) fail(format string, args ...any) {
	if f.err == nil {
		f.err = fmt.Errorf(format, args...)
	}
	f.rest = ""
}

func (f *fields) more() bool {
	f.rest = strings.TrimLeft(f.rest, " \t")
	return f.rest != ""
}

func (f *fields) word() string {
	if !f.more() {
		f.fail("ends too early")
		return ""
	}
	end := strings.IndexAny(f.rest, " \t")
	if end < 0 {
		end = len(f.rest)
	}
	word := f.rest[:end]
	f.rest = f.rest[end:]
	return word
}

func (f *fields) want(word string) {
	if got := f.word(); got != word && f.err == nil {
		f.fail("want %s, not %s", word, got)
	}
}

func (f *fields) uint(bits int) uint64 {
	word := f.word()
	v, err := strconv.ParseUint(word, 0, bits)
	if err != nil && f.err == nil {
		f.fail("want a number of %d bits, not %s", bits, word)
	}
	return v
}

func (f *fields) uint16() uint16 { return uint16(f.uint(16)) }
func (f *fields) auto() Auto     { return Give(f.uint16()) }

func (f *fields) mac() MAC {
	word := f.word()
	mac, err := net.ParseMAC(word)
	if err != nil || len(mac) != 6 {
		f.fail("want a MAC address, not %s", word)
		return MAC{}
	}
	return MAC(mac)
}

func (f *fields) addr() netip.Addr {
	word := f.word()
	addr, err := netip.ParseAddr(word)
	if err != nil || addr.Zone() != "" {
		f.fail("want an address, not %s", word)
	}
	return addr
}

// bytes reads what formatBytes writes.
func (f *fields) bytes() []byte {
	if f.more() && f.rest[0] == '"' {
		quoted, err := strconv.QuotedPrefix(f.rest)
		if err != nil {
			f.fail("want a closed string, not %s", f.rest)
			return nil
		}
		f.rest = f.rest[len(quoted):]
		text, _ := strconv.Unquote(quoted)
		return []byte(text)
	}
	word := f.word()
	if count, value, ok := strings.Cut(word, "*"); ok {
		n, errCount := strconv.ParseUint(count, 10, 17)
		v, errValue := strconv.ParseUint(value, 16, 8)
		if errCount != nil || errValue != nil {
			f.fail("want COUNT*BYTE, not %s", word)
		}
		return []byte(strings.Repeat(string([]byte{byte(v)}), int(n)))
	}
	digits, ok := strings.CutPrefix(word, "0x")
	b, err := hex.DecodeString(digits)
	if !ok || err != nil {
		f.fail(`want 0x and pairs of digits, COUNT*BYTE or "text", not %s`, word)
	}
	return b
}

func (f *fields) tcpFlags() Flags {
	word := f.word()
	var flags Flags
	for _, letter := range word {
		i := strings.IndexRune(flagLetters, letter)
		if i < 0 && word != "-" {
			f.fail("want flags of %s, not %s", flagLetters, word)
			return 0
		}
		if i >= 0 {
			flags |= 1 << i
		}
	}
	return flags
}

// each reads what is left of a line, field by field: set gets a field's name, reads its value and
// says whether it knows it.
func (f *fields) each(set func(name string) bool) {
	for f.more() {
		if name := f.word(); !set(name) {
			f.fail("unknown field %s", name)
		}
	}
}
