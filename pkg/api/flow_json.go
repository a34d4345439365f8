package api

import (
	"encoding/json"
	"net/netip"
	"slices"
	"strconv"
	"strings"
)

// AppendJSON appends the flow as encoding/json writes it, a few times as fast: a table may have a million.
func (f *Flow) AppendJSON(b []byte) []byte {
	text := func(key, value string) { b = appendText(append(b, key...), value) }
	address := func(key string, a netip.AddrPort) {
		b = append(a.AppendTo(append(b, key...)), '"')
	}
	count := func(key string, n uint64) { b = strconv.AppendUint(append(b, key...), n, 10) }
	text(`{"protocol":`, f.Protocol)
	address(`,"client":"`, f.Client)
	address(`,"vip":"`, f.VIP)
	address(`,"source":"`, f.Source)
	address(`,"node":"`, f.Node)
	text(`,"node_name":`, f.NodeName)
	text(`,"state":`, f.State)
	b = strconv.AppendInt(append(b, `,"age_ms":`...), f.AgeMS, 10)
	b = strconv.AppendInt(append(b, `,"idle_ms":`...), f.IdleMS, 10)
	count(`,"packets_in":`, f.PacketsIn)
	count(`,"packets_out":`, f.PacketsOut)
	count(`,"bytes_in":`, f.BytesIn)
	count(`,"bytes_out":`, f.BytesOut)
	return append(b, '}')
}

// appendText appends a text in quotes. Names and words seldom have a character that JSON writes otherwise.
func appendText(b []byte, s string) []byte {
	for i := range len(s) {
		if c := s[i]; c < ' ' || c > '~' || c == '"' || c == '\\' {
			data, _ := json.Marshal(s) // a string always can be written
			return append(b, data...)
		}
	}
	return append(append(append(b, '"'), s...), '"')
}

// AppendYAML appends the flow as an item of a list in YAML, as config.YAML writes it, which would take minutes for
// a million.
func (f *Flow) AppendYAML(b []byte) []byte {
	text := func(key, value string) { b = append(appendPlain(append(b, key...), value), '\n') }
	address := func(key string, a netip.AddrPort) {
		quote := "" // that of IPv6 begins like a list
		if a.Addr().Is6() || !a.IsValid() {
			quote = "'"
		}
		b = append(a.AppendTo(append(append(b, key...), quote...)), quote...)
		b = append(b, '\n')
	}
	count := func(key string, n uint64) { b = append(strconv.AppendUint(append(b, key...), n, 10), '\n') }
	text("- protocol: ", f.Protocol)
	address("  client: ", f.Client)
	address("  vip: ", f.VIP)
	address("  source: ", f.Source)
	address("  node: ", f.Node)
	text("  node_name: ", f.NodeName)
	text("  state: ", f.State)
	b = append(strconv.AppendInt(append(b, "  age_ms: "...), f.AgeMS, 10), '\n')
	b = append(strconv.AppendInt(append(b, "  idle_ms: "...), f.IdleMS, 10), '\n')
	count("  packets_in: ", f.PacketsIn)
	count("  packets_out: ", f.PacketsOut)
	count("  bytes_in: ", f.BytesIn)
	count("  bytes_out: ", f.BytesOut)
	return b
}

// appendPlain appends a text for YAML: without quotes if it is a name with its config's or a word that flows have,
// which can be nothing else; and as in JSON, which is YAML, else.
func appendPlain(b []byte, s string) []byte {
	if s == "tcp" || s == "udp" || slices.Contains(FlowStates, s) || isPlainName(s) {
		return append(b, s...)
	}
	return appendText(b, s)
}

func isPlainName(s string) bool {
	slash := false
	for i := range len(s) {
		switch c := s[i]; {
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9':
		case i > 0 && strings.IndexByte("-_.", c) >= 0:
		case i > 0 && c == '/':
			slash = true
		default:
			return false
		}
	}
	return slash
}
