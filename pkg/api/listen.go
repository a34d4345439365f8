package api

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"sync"
)

// Listen makes the unix socket, mode 0600, and its directory. A socket that a dead daemon left is
// replaced; one that is answered on, and all that is no socket, is an error. Closing the listener removes the socket.
func Listen(path string) (net.Listener, error) {
	if conn, err := net.Dial("unix", path); err == nil {
		_ = conn.Close()
		return nil, fmt.Errorf("listen on %s: another daemon answers there: stop it, or give this one its own api.socket", path)
	}
	if info, err := os.Lstat(path); err == nil && info.Mode().Type() != os.ModeSocket {
		return nil, fmt.Errorf("listen on %s: it is not a socket: choose another api.socket", path)
	}
	dir := filepath.Dir(path)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, fmt.Errorf("listen on %s: %w", path, err)
	}
	// Born in a directory that only we can enter, so that nobody can connect before the mode is set.
	private, err := os.MkdirTemp(dir, ".headgate-")
	if err != nil {
		return nil, fmt.Errorf("listen on %s: %w", path, err)
	}
	defer os.RemoveAll(private)
	born := filepath.Join(private, "s")
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: born, Net: "unix"})
	if err != nil {
		return nil, fmt.Errorf("listen on %s: %w", path, err)
	}
	l.SetUnlinkOnClose(false)
	if err = os.Chmod(born, 0o600); err == nil {
		err = os.Rename(born, path)
	}
	if err != nil {
		_ = l.Close()
		return nil, fmt.Errorf("listen on %s: %w", path, err)
	}
	return &socket{Listener: l, path: path}, nil
}

// socket removes its file when it is closed. Only the first time: later the file may be another's.
type socket struct {
	net.Listener
	path   string
	remove sync.Once
}

func (s *socket) Close() error {
	s.remove.Do(func() { _ = os.Remove(s.path) }) // may be gone already
	return s.Listener.Close()
}
