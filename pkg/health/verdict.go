package health

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// ErrInconclusive is matched by the error of a check that this host could not make. It counts for nobody.
var ErrInconclusive = errors.New("cannot check")

// errNoAnswer is a timeout; the Manager adds how long it was.
var errNoAnswer = errors.New("no answer")

// errHungUp says that a node closed the connection instead of answering.
var errHungUp = errors.New("the node hangs up without an answer")

// verdict tells what the node did wrong from what this host could not do, and puts the former in few words.
func verdict(err error) error {
	var errno syscall.Errno
	var timeout interface{ Timeout() bool }
	var noTLS tls.RecordHeaderError
	switch {
	case err == nil, errors.Is(err, context.Canceled), errors.Is(err, ErrInconclusive), errors.Is(err, errNoAnswer):
		return err
	case errors.As(err, &errno) && isLocal(errno):
		return fmt.Errorf("%w: %w", ErrInconclusive, err)
	case errors.As(err, &timeout) && timeout.Timeout():
		return errNoAnswer
	case errno != 0:
		return errno
	case errors.As(err, &noTLS):
		return errors.New("the node answers without TLS")
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return errHungUp
	}
	if words, broken := strings.CutPrefix(err.Error(), brokenHTTP); broken {
		return errors.New(words)
	}
	return err
}

// brokenHTTP is how net/http begins what says enough without.
const brokenHTTP = "net/http: HTTP/1.x transport connection broken: "

// isLocal says that an error is for lack of something on this host, or its own firewall's doing.
func isLocal(e syscall.Errno) bool {
	switch e {
	case unix.EMFILE, unix.ENFILE, unix.ENOBUFS, unix.ENOMEM, unix.EPERM, unix.EADDRNOTAVAIL:
		return true
	}
	return false
}
