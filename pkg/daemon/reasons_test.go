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
	for name := range reasonTexts {
		if !known[name] {
			t.Errorf("%s is no reason of the program's", name)
		}
	}
}
