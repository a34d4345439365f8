package daemon

import (
	"context"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/headgate/headgate/pkg/api"
	"github.com/headgate/headgate/pkg/events"
	"github.com/headgate/headgate/pkg/store"
)

// texts gives what the book says.
func texts(book *events.Log) (out []string) {
	for _, e := range book.Read(events.Filter{}, 0) {
		out = append(out, e.Text)
	}
	return out
}

func wantTexts(t *testing.T, book *events.Log, want ...string) {
	t.Helper()
	got := texts(book)
	same := len(got) == len(want)
	for i := range want {
		same = same && got[i] == want[i]
	}
	if !same {
		t.Errorf("the book says %q, want %q", got, want)
	}
}

// Hundreds of changes a second must not push everything else out of the log.
func TestOfManyGenerationsInASecondTheFirstAndTheLastAreWrittenDown(t *testing.T) {
	c := quietly()
	for g := range uint64(200) {
		c.caughtUp(g + 1)
	}
	wantTexts(t, c.book, "the data path runs generation 1")
	c.tick()
	wantTexts(t, c.book, "the data path runs generation 1", "the data path runs generation 200")
	c.caughtUp(201)
	c.tick()
	c.tick()
	c.caughtUp(202)
	wantTexts(t, c.book, "the data path runs generation 1", "the data path runs generation 200",
		"the data path runs generation 201", "the data path runs generation 202")
}

func TestTheBookHasWhatTheLogLeavesOut(t *testing.T) {
	c := quietly()
	for range 3 * newsMost {
		c.note(events.Event{Kind: events.Health, To: "DOWN"})
	}
	if n := len(texts(c.book)); n != 3*newsMost {
		t.Errorf("%d events", n)
	}
}

func TestFollowingReadsWhatWasAndWhatComes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		book := events.NewLog(nil, nil)
		book.Add(events.Event{Text: "a"}, events.Event{Text: "b"}, events.Event{Text: "c"})
		ctx, cancel := context.WithCancel(t.Context())
		var got []string
		go func() {
			for e := range read(ctx, book, api.EventQuery{Limit: 2, Follow: true}) {
				got = append(got, e.Text)
			}
			got = append(got, "end")
		}()
		synctest.Wait()
		book.Add(events.Event{Text: "d"})
		book.Add(events.Event{Text: "e"})
		synctest.Wait()
		cancel()
		synctest.Wait()
		if want := "b c d e end"; strings.Join(got, " ") != want {
			t.Errorf("%s, want %s", strings.Join(got, " "), want)
		}
	})
}

func TestEventsAreOnTheDiskWhenTheDaemonHasStopped(t *testing.T) {
	dir := t.TempDir()
	archive, _, err := store.OpenArchive(dir)
	if err != nil {
		t.Fatal(err)
	}
	book := events.NewLog(nil, nil)
	k := &keeper{book: book, archive: archive, log: quiet()}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	go func() { done <- k.run(ctx) }()
	for range 10 {
		book.Add(events.Event{Kind: events.Health, Text: "x"})
	}
	cancel()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	archive.Close()
	if kept, err := store.ReadArchive(dir); err != nil || len(kept) != 10 {
		t.Errorf("%d events, %v", len(kept), err)
	}
}
