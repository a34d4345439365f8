package lb

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// TestEachFaultOfACheckIsFound changes one thing of a valid check and expects exactly that fault.
func TestEachFaultOfACheckIsFound(t *testing.T) {
	long := strings.Repeat("a", 1025)
	for name, tt := range map[string]struct {
		edit func(*Check)
		want string
	}{
		"http without a path":      {func(c *Check) { c.Type = CheckHTTP }, "check_path: is required for check http: what to ask for, as in /healthz"},
		"https without a path":     {func(c *Check) { c.Type = CheckHTTPS }, "check_path: is required for check https: what to ask for, as in /healthz"},
		"http_body without a body": {func(c *Check) { c.Type, c.Path = CheckHTTPBody, "/" }, "check_body: is required for check http_body: a regular expression that the body matches"},
		"udp in a config of TCP": {func(c *Check) { c.Type, c.Send = CheckUDP, "x" },
			"check: udp is for configs of protocol udp: a node that takes TCP is told by connection, http or grpc"},
		"check_passive":           {func(c *Check) { c.Passive = "maybe" }, `check_passive: must be true or false, not "maybe"`},
		"udp_check_port":          {func(c *Check) { c.UDPPort = 0 }, "udp_check_port: must be from 1 to 65535, not 0"},
		"a path without a slash":  {func(c *Check) { c.Path = "healthz" }, `check_path: must be a path with a query if need be, as in /healthz?full=1, not "healthz"`},
		"a path with a host":      {func(c *Check) { c.Path = "http://a/b" }, `check_path: must be a path with a query if need be, as in /healthz?full=1, not "http://a/b"`},
		"a path with a space":     {func(c *Check) { c.Path = "/a b" }, `check_path: must be a path with a query if need be, as in /healthz?full=1, not "/a b"`},
		"a path with a line feed": {func(c *Check) { c.Path = "/a\nX: 1" }, `check_path: character 3: '\n' cannot stand here`},
		"a long path":             {func(c *Check) { c.Path = "/" + long[1:] }, "check_path: must have at most 1024 bytes, not 1025"},
		"a host with a path":      {func(c *Check) { c.Host = "a/b" }, `check_host: must be a host name or an address, with :PORT if need be, not "a/b"`},
		"a host with a line feed": {func(c *Check) { c.Host = "a\r\nb" }, `check_host: character 2: '\r' cannot stand here`},
		"codes":                   {func(c *Check) { c.Codes = "200,20" }, `check_codes: "20": write statuses from 100 to 599, as in 200,204,300-399 or 2xx`},
		"codes out of range":      {func(c *Check) { c.Codes = "600" }, `check_codes: "600": write statuses from 100 to 599, as in 200,204,300-399 or 2xx`},
		"codes the wrong way":     {func(c *Check) { c.Codes = "399-200" }, `check_codes: "399-200": the range ends before it begins`},
		"no codes":                {func(c *Check) { c.Codes = "" }, `check_codes: "": write statuses from 100 to 599, as in 200,204,300-399 or 2xx`},
		"a body that is no expression": {func(c *Check) { c.Body = "ok|a(b" },
			"check_body: is no regular expression (RE2): character 5: missing closing ): \"(b\""},
		"a body with a bad part": {func(c *Check) { c.Body = `"ok":\s[z-a]` },
			`check_body: is no regular expression (RE2): character 9: invalid character class range: "z-a"`},
		"a body with a ) too many": {func(c *Check) { c.Body = `a[)]\(b(c))d` },
			`check_body: is no regular expression (RE2): character 11: unexpected ): ")d"`},
		"a body that looks around": {func(c *Check) { c.Body = `a(?=b)` },
			`check_body: is no regular expression (RE2): character 2: invalid or unsupported Perl syntax: "(?="`},
		"a long body":              {func(c *Check) { c.Body = long }, "check_body: must have at most 1024 bytes, not 1025"},
		"check_tls":                {func(c *Check) { c.TLS = "maybe" }, `check_tls: must be true or false, not "maybe"`},
		"a CA file somewhere":      {func(c *Check) { c.CAFile = "ca.pem" }, `check_ca_file: must be an absolute path, not "ca.pem": the daemon has a directory of its own`},
		"a lone backslash":         {func(c *Check) { c.Send = `a\` }, `check_send: ends with a lone \: write \\`},
		"an unknown escape":        {func(c *Check) { c.Send = `a\q` }, `check_send: character 2: \q stands for nothing: there are \n, \r, \t, \\ and \xHH`},
		"half a byte":              {func(c *Check) { c.Expect = `a\x1` }, `check_expect: character 2: write \x and two hexadecimal digits`},
		"a datagram that is large": {func(c *Check) { c.Send = long }, "check_send: must have at most 1024 bytes, not 1025"},
		"a service of two lines":   {func(c *Check) { c.Service = "a\nb" }, `check_service: character 2: '\n' cannot stand here`},
	} {
		t.Run(name, func(t *testing.T) {
			bs := sample()
			tt.edit(&bs[0].Configs[0].Check)
			var got []string
			for _, f := range Validate(bs) {
				got = append(got, strings.TrimPrefix(f.String(), "balancers[0].configs[0]."))
			}
			if diff := cmp.Diff([]string{tt.want}, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestPassiveIsForTCP(t *testing.T) {
	bs := sample()
	if tcp, udp := bs[0].Configs[0], bs[1].Configs[0]; !tcp.IsPassive() || udp.IsPassive() {
		t.Errorf("by default tcp %s, udp %s", tcp.Check.Passive, udp.Check.Passive)
	}
	bs[0].Configs[0].Check.Passive = Off
	bs[1].Configs[0].Check.Passive = On
	if bs[0].Configs[0].IsPassive() || bs[1].Configs[0].IsPassive() {
		t.Error("tcp is passive although it is off, or udp is")
	}
	const want = "balancers[1].configs[0].check_passive: must be false with protocol udp: nothing in UDP tells a refusal from a reply"
	if f := Validate(bs); len(f) != 1 || f[0].String() != want {
		t.Error(f)
	}
}

func TestUDPCheckNeedsADatagram(t *testing.T) {
	bs := sample()
	bs[1].Configs[0].Check.Type = CheckUDP
	if f := Validate(bs); len(f) != 1 || f[0].String() != "balancers[1].configs[0].check_send: is required for check udp: the datagram that nodes answer" {
		t.Error(f)
	}
	bs[1].Configs[0].Check.Send = `\x00`
	if f := Validate(bs); f != nil {
		t.Error(f)
	}
}

func TestEveryBodyIsAnExpressionOrSaysWhereItIsNot(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		body := rapid.OneOf(rapid.StringMatching(`[a()\[\]\\*+?{}^$|:P<-]{1,12}`), rapid.String()).Draw(t, "body")
		if _, err := ParseBody(body); err != nil && !strings.HasPrefix(err.Error(), "character ") {
			t.Fatalf("%q: %v", body, err)
		}
	})
}

func TestGoodWordsOfAllChecks(t *testing.T) {
	for _, edit := range []func(*Check){
		func(c *Check) { c.Type, c.Path = CheckHTTP, "/" },
		func(c *Check) { c.Type, c.Path = CheckHTTPS, "/a/b_c~d?e=f%20g&h" },
		func(c *Check) { c.Host = "www.example.com" },
		func(c *Check) { c.Host = "[2001:db8::1]:8443" },
		func(c *Check) { c.Codes = "2xx, 301-302,404" },
		func(c *Check) { c.CAFile = "/etc/ssl/ca.pem" },
		func(c *Check) { c.Type = CheckGRPC },
	} {
		bs := sample()
		edit(&bs[0].Configs[0].Check)
		if f := Validate(bs); f != nil {
			t.Errorf("%+v: %v", bs[0].Configs[0].Check, f)
		}
	}
}

func TestCodesContainWhatTheySay(t *testing.T) {
	codes, err := ParseCodes("200,204, 3xx,501-503")
	if err != nil {
		t.Fatal(err)
	}
	for status, want := range map[int]bool{
		199: false, 200: true, 201: false, 204: true, 299: false, 300: true, 399: true, 400: false, 500: false, 501: true, 503: true, 504: false,
	} {
		if codes.Contain(status) != want {
			t.Errorf("%d: %v", status, !want)
		}
	}
}

func TestPayloadIsAnyBytes(t *testing.T) {
	got, err := ParsePayload(`a\n\r\t\\\x00\xFfé`)
	if err != nil || string(got) != "a\n\r\t\\\x00\xffé" {
		t.Errorf("%q, %v", got, err)
	}
	rapid.Check(t, func(t *rapid.T) {
		want := rapid.SliceOfN(rapid.Byte(), 0, 64).Draw(t, "bytes")
		var s strings.Builder
		for _, b := range want {
			switch {
			case b == '\\':
				s.WriteString(`\\`)
			case b >= ' ' && b < 0x7f:
				s.WriteByte(b)
			default:
				s.WriteString(`\x` + string("0123456789abcdef"[b>>4]) + string("0123456789ABCDEF"[b&15]))
			}
		}
		got, err := ParsePayload(s.String())
		if err != nil || string(got) != string(want) {
			t.Fatalf("%q: %q, %v", s.String(), got, err)
		}
	})
}

func TestProbeLooksWhereTheNodeIsJudged(t *testing.T) {
	for _, tt := range []struct {
		protocol Protocol
		check    CheckType
		port     uint16 // check_port
		want     uint16
	}{
		{TCP, CheckConnection, 0, 0}, {TCP, CheckHTTP, 8081, 8081},
		{UDP, CheckConnection, 8081, 8081}, {UDP, CheckHTTPBody, 0, 99}, {UDP, CheckGRPC, 0, 99},
		{UDP, CheckUDP, 0, 0}, {UDP, CheckUDP, 5353, 5353},
	} {
		c := Config{Protocol: tt.protocol, Check: Check{Type: tt.check, Port: tt.port, UDPPort: 99}}
		if got := c.Probe().Port; got != tt.want {
			t.Errorf("%s of %s with check_port %d goes to %d, want %d", tt.check, tt.protocol, tt.port, got, tt.want)
		}
	}
}
