package api

import (
	"encoding/json"
	"io"
	"iter"
)

// lines writes a sequence, one JSON value a line. An error after the first line becomes a last line
// {"errors":[…]}, because the status has gone out already.
type lines func(io.Writer)

// stream asks for the first value, so that an error before it gets a proper status.
func stream[T any](seq iter.Seq2[T, error]) (any, error) {
	next, stop := iter.Pull2(seq)
	v, err, ok := next()
	if ok && err != nil {
		stop()
		return nil, err
	}
	return lines(func(w io.Writer) {
		defer stop()
		enc := encoder(w)
		for ; ok; v, err, ok = next() {
			if err != nil {
				_ = enc.Encode(envelope{[]Refusal{{Reason: err.Error()}}})
				return
			}
			if enc.Encode(v) != nil {
				return // the client went away
			}
		}
	}), nil
}

// encoder writes JSON that people read too: <, > and & stay as they are.
func encoder(w io.Writer) *json.Encoder {
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	return enc
}
