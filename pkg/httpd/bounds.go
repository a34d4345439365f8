package httpd

import (
	"io"
	"net/http"
	"time"
)

// What a client may take: of memory, and of time. Who is slower is cut off.
const (
	MaxHeader  = 32 << 10         // bytes: of what HeaderTooLarge looks at
	headerRead = 4 * MaxHeader    // bytes: more are not read, and net/http refuses them in words of its own
	MaxBody    = 16 << 20         // bytes: a file with 10,000 nodes has about 1 MB
	bodyWithin = 30 * time.Second // to send a body
	takeWithin = 30 * time.Second // to take what a connection has room for
	idleWithin = 2 * time.Minute  // between two requests of a connection
)

// HeaderTooLarge says that a request has a larger header than MaxHeader, for handlers that refuse it in the form of
// their other answers.
func HeaderTooLarge(r *http.Request) bool {
	size := len(r.Method) + len(r.RequestURI) + len(r.Proto) + len(r.Host)
	for key, values := range r.Header {
		for _, v := range values {
			size += len(key) + len(": ") + len(v) + len("\r\n")
		}
	}
	return size > MaxHeader
}

// bounded bounds what a request may take. The deadlines are set here and not for the server as a whole, because
// an answer may have no end as long as somebody takes it.
func bounded(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		control := http.NewResponseController(w)
		r.Body = http.MaxBytesReader(w, r.Body, MaxBody)
		if r.ContentLength != 0 {
			_ = control.SetReadDeadline(time.Now().Add(bodyWithin)) // not every writer of a test has one
			r.Body = &timed{ReadCloser: r.Body, control: control}
		}
		h.ServeHTTP(&patient{ResponseWriter: w, control: control}, r)
		_ = control.SetWriteDeadline(time.Now().Add(takeWithin)) // the end of the answer is still to come
	})
}

// timed is a body that is read in time or not at all; the connection outlives that.
type timed struct {
	io.ReadCloser
	control *http.ResponseController
}

func (t *timed) Read(p []byte) (int, error) {
	n, err := t.ReadCloser.Read(p)
	if err == io.EOF {
		_ = t.control.SetReadDeadline(time.Time{})
	}
	return n, err
}

// patient waits for a client that takes what is written, but not for one that does not.
type patient struct {
	http.ResponseWriter
	control *http.ResponseController
}

func (p *patient) Write(b []byte) (int, error) {
	_ = p.control.SetWriteDeadline(time.Now().Add(takeWithin))
	return p.ResponseWriter.Write(b)
}

// Flush implements http.Flusher.
func (p *patient) Flush() {
	_ = p.control.SetWriteDeadline(time.Now().Add(takeWithin))
	_ = p.control.Flush()
}

// Unwrap implements what http.ResponseController looks for.
func (p *patient) Unwrap() http.ResponseWriter { return p.ResponseWriter }
