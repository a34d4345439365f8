package api

import (
	"errors"
	"net/http"
	"strconv"

	"github.com/headgate/headgate/pkg/lb"
)

// Write answers with a value as JSON.
func Write(w http.ResponseWriter, v any) {
	// Clients compare it byte for byte.
	w.Header().Set("Content-Type", "application/json")
	_ = encoder(w).Encode(v) // a client that went away needs no answer
}

// Fail answers with a refusal. What is no *Error is a failure of ours.
func Fail(w http.ResponseWriter, err error) {
	var refusal *Error
	if !errors.As(err, &refusal) {
		refusal = refuse(http.StatusInternalServerError, "", "%v", err)
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(refusal.Status)
	reasons := make([]Refusal, len(refusal.Reasons))
	for i, r := range refusal.Reasons {
		reasons[i] = Refusal{Reason: lb.Shorten(r.Reason), Field: lb.Shorten(r.Field)}
	}
	_ = encoder(w).Encode(envelope{reasons})
}

func (s *Server) write(w http.ResponseWriter, v any) {
	s.generations(w)
	switch v := v.(type) {
	case []byte:
		w.Header().Set("Content-Type", "application/yaml")
		_, _ = w.Write(v)
	case lines:
		w.Header().Set("Content-Type", "application/x-ndjson")
		v(w)
	default:
		Write(w, v)
	}
}

func (s *Server) fail(w http.ResponseWriter, err error) {
	if !errors.As(err, new(*Error)) {
		s.log.Error("request failed", "err", err)
	}
	s.generations(w)
	Fail(w, err)
}

func (s *Server) generations(w http.ResponseWriter) {
	g := s.backend.Generations()
	w.Header().Set(HeaderGeneration, strconv.FormatUint(g.Desired, 10))
	w.Header().Set(HeaderApplied, strconv.FormatUint(g.Applied, 10))
}
