package main

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/headgate/headgate/loader"
	"github.com/headgate/headgate/pkg/api"
	"github.com/headgate/headgate/pkg/packet"
)

// captureTime is the local time of a packet.
const captureTime = "15:04:05.000"

// widest is the length of the longest word.
func widest(words []string) (n int) {
	for _, w := range words {
		n = max(n, len(w))
	}
	return n
}

// tableShower writes a line for each packet.
func tableShower(w io.Writer) func(api.Captured) error {
	cols := columns("TIME", "REASON", "NODE", "PACKET")
	wide := []int{len(captureTime), widest(loader.ReasonNames()), 16, 0}
	if t, ok := w.(terminal); ok {
		w = t.Writer // what is cut would not say enough
	}
	heading := true
	return func(p api.Captured) error {
		whose := p.Node
		if whose == "" {
			whose = p.Config
		}
		row := []string{p.In.Time.Local().Format(captureTime), p.Reason, whose, packet.Gist(packet.Decode(p.In.Data))}
		err := writeRows(w, "", cols, wide, [][]string{row}, heading)
		heading = false
		return err
	}
}

// lineShower writes a JSON object for each packet.
func lineShower(w io.Writer) func(api.Captured) error {
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	return func(p api.Captured) error { return enc.Encode(p) }
}

// recorder records each packet, as it came and as it left.
func recorder(w io.Writer, snap int) (show func(api.Captured) error, flush func() error) {
	r := packet.NewRecorder(w, "headgate "+ownBuild().Version, snap)
	write := func(f *api.CapturedFrame, out bool, comment string) error {
		return r.Write(packet.Recorded{Time: f.Time, Interface: f.Interface, Out: out, Length: f.Length, Data: f.Data, Comment: comment})
	}
	return func(p api.Captured) error {
		if err := write(p.In, false, comment(p)); err != nil || p.Out == nil {
			return err
		}
		after := p.Out.Time.Sub(p.In.Time).Round(100 * time.Nanosecond)
		return write(p.Out, true, fmt.Sprintf("as it left after %v; %s", after, comment(p)))
	}, r.Flush
}

// comment says what became of a packet, and why: words that a filter finds, and a sentence.
func comment(p api.Captured) string {
	words := []string{"fate=" + p.Fate, "reason=" + p.Reason, "verdict=" + p.Verdict}
	for _, w := range []struct{ key, value string }{{"config", p.Config}, {"node", p.Node}, {"in", p.In.Interface}} {
		if w.value != "" {
			words = append(words, w.key+"="+w.value)
		}
	}
	if p.Out != nil {
		words = append(words, "out="+p.Out.Interface)
	}
	return strings.Join(words, " ") + ": " + p.Why
}
