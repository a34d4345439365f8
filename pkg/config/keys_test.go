package config

import "testing"

func TestDistanceCountsEdits(t *testing.T) {
	for _, tt := range []struct {
		a, b string
		want int
	}{
		{"", "", 0}, {"a", "", 1}, {"", "abc", 3}, {"weight", "weight", 0}, {"wieght", "weight", 2},
		{"kitten", "sitting", 3}, {"interface", "interfaces", 1}, {"flaw", "lawn", 2},
	} {
		if got := distance(tt.a, tt.b); got != tt.want {
			t.Errorf("%q, %q: %d, want %d", tt.a, tt.b, got, tt.want)
		}
		if got := distance(tt.b, tt.a); got != tt.want {
			t.Errorf("%q, %q: %d, want %d", tt.b, tt.a, got, tt.want)
		}
	}
}

func TestAKeyOfWhatIsNotThereYetIsNotTakenForAnother(t *testing.T) {
	fields := []field{{key: "check"}, {key: "check_port"}, {key: "protocol"}}
	for in, want := range map[string]string{
		"proxy_protocol": ": there is no such thing yet, nodes see the balancer's address",
		"check_pot":      ": did you mean check_port?",
	} {
		if got := hint(in, fields); got != want {
			t.Errorf("%q: got %q, want %q", in, got, want)
		}
	}
	if got := hint("proxy_protocol", []field{{key: "label"}}); got != " (there are: label)" {
		t.Errorf("where no protocol is: %q", got)
	}
}

func TestAnUnknownKeyIsAnsweredWithTheNearest(t *testing.T) {
	fields := []field{{key: "label"}, {key: "address"}, {key: "weight"}, {key: "mode"}}
	for in, want := range map[string]string{
		"wieght": ": did you mean weight?", "Weight": ": did you mean weight?", "lable": ": did you mean label?",
		"addr": " (there are: label, address, weight, mode)", "xyz": " (there are: label, address, weight, mode)",
		"": " (there are: label, address, weight, mode)",
	} {
		if got := hint(in, fields); got != want {
			t.Errorf("%q: got %q, want %q", in, got, want)
		}
	}
}
