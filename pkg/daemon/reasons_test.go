package daemon

import (
	"testing"

	"github.com/headgate/headgate/loader"
)

func TestEveryReasonIsPutIntoWords(t *testing.T) {
	known := map[string]bool{}
	for _, name := range loader.ReasonNames() {
		known[name] = true
		if why(name) == name {
			t.Errorf("%s is not put into words", name)
		}
	}
	for what, of := range map[string]struct {
		names []string
		texts map[string]string
	}{"closing": {loader.ClosingNames(), closingTexts}, "removal": {loader.RemovalNames(), removalTexts}} {
		for _, name := range of.names {
			if of.texts[name] == "" {
				t.Errorf("%s %s is not put into words", what, name)
			}
		}
		if len(of.texts) != len(of.names) {
			t.Errorf("there are words for %d kinds of %s, of which the program knows %d", len(of.texts), what, len(of.names))
		}
	}
	for name := range reasonTexts {
		if !known[name] {
			t.Errorf("%s is no reason of the program's", name)
		}
	}
}
