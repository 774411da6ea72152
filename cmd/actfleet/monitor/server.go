package monitor

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"
	"syscall"
	"time"
)

// Server is a Monitor's HTTP server.
type Server struct {
	*Monitor
	listener net.Listener
	server   http.Server
	done     chan struct{}
}

// Serve listens on "host:port", ":port" or "port" and serves m until Close. Without a host that is the loopback
// address.
func Serve(addr string, m *Monitor) (*Server, error) {
	l, err := net.Listen("tcp", address(addr))
	if err != nil {
		return nil, listenError(addr, err)
	}
	s := &Server{Monitor: m, listener: l, done: make(chan struct{})}
	s.server.Handler, s.server.ReadHeaderTimeout = m.Handler(), 10*time.Second
	go func() {
		defer close(s.done)
		_ = s.server.Serve(l) // ends with Close
	}()
	return s, nil
}

func address(addr string) string {
	if !strings.Contains(addr, ":") {
		addr = ":" + addr
	}
	if strings.HasPrefix(addr, ":") {
		addr = "127.0.0.1" + addr
	}
	return addr
}

// listenError is one line that says what to do.
func listenError(addr string, err error) error {
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		return fmt.Errorf("serve metrics on %s: another process uses this port; choose another one, or port 0 for any", addr)
	case errors.Is(err, syscall.EADDRNOTAVAIL):
		return fmt.Errorf("serve metrics on %s: not an address of this machine", addr)
	case errors.Is(err, syscall.EACCES):
		return fmt.Errorf("serve metrics on %s: permission denied; choose a port above 1023", addr)
	}
	return fmt.Errorf("serve metrics on %s: want 127.0.0.1:PORT: %w", addr, err)
}

// Addr is where it listens, "ip:port".
func (s *Server) Addr() string { return s.listener.Addr().String() }

// Close ends the server and what is being answered.
func (s *Server) Close() error {
	err := s.server.Close()
	<-s.done
	if err != nil {
		return fmt.Errorf("end the metrics server: %w", err)
	}
	return nil
}
