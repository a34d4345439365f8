package lb

import (
	"net/netip"
	"testing"
)

func TestParseNodeAddressReadsBothFamilies(t *testing.T) {
	for _, s := range []string{"192.0.2.1:80", "[2001:db8::1]:8080"} {
		got, err := ParseNodeAddress(s)
		if err != nil || got != netip.MustParseAddrPort(s) {
			t.Errorf("%s: %v, %v", s, got, err)
		}
	}
}

func TestParseNodeAddressSaysWhatToWrite(t *testing.T) {
	tests := map[string]string{
		"":                     "is empty: write IP:PORT or [IPV6]:PORT",
		"192.0.2.1":            `"192.0.2.1" has no port: write 192.0.2.1:PORT`,
		"2001:db8::1":          `"2001:db8::1" has no port: write [2001:db8::1]:PORT`,
		"[2001:db8::1]":        `"[2001:db8::1]" has no port: write [2001:db8::1]:PORT`,
		"1:2:3:4:5:6:7:8:8080": `"1:2:3:4:5:6:7:8:8080": an IPv6 address with a port needs brackets: [1:2:3:4:5:6:7:8]:8080`,
		"web.example.com:80":   `"web.example.com:80": host names are not resolved: write IP:PORT or [IPV6]:PORT`,
		"localhost:80":         `"localhost:80": host names are not resolved: write IP:PORT or [IPV6]:PORT`,
		"192.0.2.1:http":       `"192.0.2.1:http": the port must be a number from 1 to 65535`,
		"192.0.2.1:65536":      `"192.0.2.1:65536": the port must be a number from 1 to 65535`,
		"192.0.2.1:-1":         `"192.0.2.1:-1": the port must be a number from 1 to 65535`,
		"192.0.2.256:80":       `"192.0.2.256:80" is not an address with a port: write IP:PORT or [IPV6]:PORT`,
		"nonsense":             `"nonsense" is not an address with a port: write IP:PORT or [IPV6]:PORT`,
		":80":                  `":80" is not an address with a port: write IP:PORT or [IPV6]:PORT`,
	}
	for in, want := range tests {
		if _, err := ParseNodeAddress(in); err == nil || err.Error() != want {
			t.Errorf("%q:\ngot  %v\nwant %s", in, err, want)
		}
	}
}

func FuzzParseNodeAddress(f *testing.F) {
	for _, s := range []string{"192.0.2.1:80", "[::1]:80", "a:b", "[]", "[:", ":", "[]:1"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if a, err := ParseNodeAddress(s); err == nil && !a.IsValid() {
			t.Errorf("%q: neither address nor error", s)
		}
	})
}
