package api

import (
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"strings"
)

// Error is a refusal: an HTTP status and every reason for it. The server sends it as
// {"errors":[{"reason":…,"field":…}]} and the client gives it back as it was.
type Error struct {
	Status  int
	Reasons []Refusal
}

// Refusal is one reason of an Error; Field is empty when no field is to blame.
type Refusal struct {
	Reason string `json:"reason"`
	Field  string `json:"field,omitempty"`
}

// envelope is how an Error travels.
type envelope struct {
	Errors []Refusal `json:"errors"`
}

// Error gives every reason on a line of its own.
func (e *Error) Error() string {
	lines := make([]string, len(e.Reasons))
	for i, r := range e.Reasons {
		lines[i] = r.Reason
	}
	return strings.Join(lines, "\n")
}

// BadRequest is an Error with status 400 about one field; field may be empty.
func BadRequest(field, format string, args ...any) *Error {
	return refuse(http.StatusBadRequest, field, format, args...)
}

// NotFound is an Error with status 404.
func NotFound(format string, args ...any) *Error {
	return refuse(http.StatusNotFound, "", format, args...)
}

// Conflict is an Error with status 409: there is something in the way.
func Conflict(format string, args ...any) *Error {
	return refuse(http.StatusConflict, "", format, args...)
}

func refuse(status int, field, format string, args ...any) *Error {
	return &Error{Status: status, Reasons: []Refusal{{Reason: fmt.Sprintf(format, args...), Field: field}}}
}

// NotRunningError says that no daemon answers on the socket.
type NotRunningError struct {
	Socket string
	Err    error
}

func (e *NotRunningError) Error() string {
	if errors.Is(e.Err, fs.ErrPermission) {
		return fmt.Sprintf("the daemon's socket %s is for its owner only: run as root", e.Socket)
	}
	return fmt.Sprintf("no daemon answers on %s (%v): start it with `headgate run -c FILE`, or name its socket with --socket", e.Socket, e.Err)
}

func (e *NotRunningError) Unwrap() error { return e.Err }
