package loader_test

import (
	"flag"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/headgate/headgate/loader"
	"github.com/headgate/headgate/loader/dptest"
	"github.com/headgate/headgate/pkg/packet"
)

var update = flag.Bool("update", false, "write the golden stories anew, as the program tells them")

const goldenDir = "../testdata/golden"

func stories(t *testing.T) map[string]string {
	t.Helper()
	files, err := filepath.Glob(goldenDir + "/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatalf("no stories in %s: %v", goldenDir, err)
	}
	texts := map[string]string{}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		texts[file] = string(text)
	}
	return texts
}

// beds opens a Bed for each set of options that stories have.
func beds(t *testing.T, texts map[string]string) func(dptest.Options) *dptest.Bed {
	t.Helper()
	open := map[dptest.Options]*dptest.Bed{}
	for file, text := range texts {
		options, err := dptest.StoryOptions(text)
		if err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		if open[options] == nil {
			open[options] = dptest.Open(t, options)
		}
	}
	return func(o dptest.Options) *dptest.Bed { return open[o] }
}

func onHeadRoom(clean bool) dptest.Way {
	return func(b *dptest.Bed, ifindex int, frame []byte) (dptest.Verdict, []byte) {
		return b.Run(ifindex, frame, clean)
	}
}

// TestGoldenStories tells every story on head-room as the kernel zeroes it, on head-room that an earlier frame
// left dirty, and, with the usual tables, through the program that captures packets; all must come out as written.
func TestGoldenStories(t *testing.T) {
	t.Parallel()
	texts := stories(t)
	open := beds(t, texts)
	ways := map[string]dptest.Way{"clean": onHeadRoom(true), "dirty": onHeadRoom(false), "captured": capturing(t)}
	for file, text := range texts {
		options, _ := dptest.StoryOptions(text) // beds has read them
		for way, run := range ways {
			if way == "captured" && options != (dptest.Options{}) {
				continue // one load more is enough: of the stages it has the same code
			}
			t.Run(strings.TrimSuffix(filepath.Base(file), ".txt")+"/"+way, func(t *testing.T) {
				teller := &dptest.Storyteller{Open: open, Dir: goldenDir, Run: run}
				told, wrong, err := teller.Tell(text)
				if err != nil {
					t.Fatalf("%s: %v", file, err)
				}
				for _, fault := range wrong {
					t.Error(fault)
				}
				if *update && way == "clean" {
					if err := os.WriteFile(file, []byte(told), 0o644); err != nil {
						t.Fatal(err)
					}
					text = told
				}
				if told != text {
					t.Errorf("%s comes out otherwise (-update takes it as it is):\n%s", file, packet.DiffText(text, told))
				}
			})
		}
	}
}

func TestEveryReasonHasAStory(t *testing.T) {
	seen := map[string]bool{}
	for _, text := range stories(t) {
		for _, line := range strings.Split(text, "\n") {
			if words := strings.Fields(line); len(words) >= 3 && words[0] == "=" {
				seen[strings.TrimSuffix(words[2], ",")] = true
			}
		}
	}
	var without []string
	for _, reason := range loader.ReasonNames() {
		if !seen[reason] {
			without = append(without, reason)
		}
	}
	slices.Sort(without)
	if len(without) > 0 {
		t.Errorf("no story ends with: %s", strings.Join(without, ", "))
	}
}
