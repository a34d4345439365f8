package lb

import (
	"strings"
	"testing"
	"unicode/utf8"
)

func TestLongReasonsAreCutBetweenLetters(t *testing.T) {
	for _, s := range []string{"", "short", strings.Repeat("x", reasonMost)} {
		if got := Shorten(s); got != s {
			t.Errorf("%d bytes became %d", len(s), len(got))
		}
	}
	for i := range 4 {
		got := Shorten(strings.Repeat("x", i) + strings.Repeat("€", reasonMost))
		if len(got) > reasonMost+len("…") || !utf8.ValidString(got) || !strings.HasSuffix(got, "€…") {
			t.Errorf("%d bytes that end with %q", len(got), got[len(got)-8:])
		}
	}
}
