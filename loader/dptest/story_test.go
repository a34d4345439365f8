package dptest

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestStoriesThatCannotBeUnderstoodNameTheLine(t *testing.T) {
	b := Open(t, Options{})
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "bad.inc"), []byte("link 1 2 nothing\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	teller := &Storyteller{Open: func(Options) *Bed { return b }, Dir: dir}
	for text, want := range map[string]string{
		"jump\n":                                   `line 1: "jump": unknown command`,
		"# fine\n\nlink 1\n":                       `line 3: "link 1": ends too early`,
		"link 1 2 02:00:00:00:00:01 more\n":        "unknown word more",
		"service 1 tcp 192.0.2.1:80 1,x\n":         "want ids of nodes",
		"service 1 sctp 192.0.2.1:80 1\n":          "want tcp or udp",
		"node 1 tcp 192.0.2.1:80 nowhere snat 0\n": "want LINK/MAC or unresolved",
		"hop 1 3/xx\n":                             "want a MAC",
		"actions 1 fly\n":                          "unknown action fly",
		"age long\n":                               "invalid duration",
		"sweep\n\tunder\n":                         "takes no lines below it",
		"packet twice\n":                           "unknown word twice",
		"packet\n\ttcp 1\n":                        "ends too early",
		"packet\n\ttcp 1 > 2 S\n":                  "needs an IP layer",
		"include none.inc\n":                       "none.inc",
		"include bad.inc\n":                        "bad.inc:1: want a MAC",
		"buckets many\n":                           "buckets many",
	} {
		if _, _, err := teller.Tell(text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: got %v, want %q", text, err, want)
		}
	}
}

func TestTellingAStoryReplacesOnlyWhatWasTold(t *testing.T) {
	b := Open(t, Options{})
	teller := &Storyteller{Open: func(Options) *Bed { return b }}
	const text = "# a frame\nlet from eth 02:00:00:00:00:01\n\npacket quietly\n\t$from > 02:00:00:00:00:02\n= old\n# the end\n"
	told, wrong, err := teller.Tell(text)
	if err != nil || len(wrong) != 0 {
		t.Fatal(err, wrong)
	}
	if want := strings.Replace(text, "= old", "= pass not_ip", 1); told != want {
		t.Errorf("got\n%s\nwant\n%s", told, want)
	}
	if again, _, _ := teller.Tell(told); again != told {
		t.Errorf("told again it is\n%s", again)
	}
}
