package main

import (
	"io"
	"iter"
	"time"

	"github.com/headgate/headgate/pkg/api"
)

var flowColumns = columns("CLIENT", "NODE", "STATE", ">AGE", ">IDLE", ">PACKETS IN/OUT", ">BYTES IN/OUT")

// printFlows writes flows while they come in: there may be a million.
func printFlows(w io.Writer, form string, seq iter.Seq2[api.Flow, error]) error {
	if form != asTable {
		return printSequence(w, form, seq, appendFlow)
	}
	t := longTable{w: w, cols: flowColumns}
	for f, err := range seq {
		if err != nil {
			return err
		}
		b := f.Client.AppendTo(t.cells)
		b = t.end(b)
		b = t.end(append(b, f.NodeName...))
		b = t.end(append(b, f.State...))
		b = t.end(appendSpan(b, time.Duration(f.AgeMS)*time.Millisecond))
		b = t.end(appendSpan(b, time.Duration(f.IdleMS)*time.Millisecond))
		b = t.end(appendNumber(append(appendNumber(b, f.PacketsIn), '/'), f.PacketsOut))
		t.cells = t.end(appendSize(append(appendSize(b, float64(f.BytesIn)), '/'), float64(f.BytesOut)))
		if err := t.endRow(); err != nil {
			return err
		}
	}
	return t.flush()
}

func appendFlow(b []byte, form string, f api.Flow) ([]byte, error) {
	if form == asYAML {
		return f.AppendYAML(b), nil
	}
	return f.AppendJSON(b), nil
}
