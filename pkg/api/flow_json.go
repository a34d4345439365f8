package api

import (
	"encoding/json"
	"net/netip"
	"strconv"
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
