package admin

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/hashicorp/go-hclog"
)

// The bounds of a connection.
const (
	headerTimeout = 5 * time.Second // for a client to send a request's header
	idleTimeout   = 2 * time.Minute // between two requests
	maxHeader     = 64 << 10        // bytes
)

// Server serves a handler on an address.
type Server struct {
	listener net.Listener
	http     *http.Server
	handler  atomic.Pointer[http.Handler]
	cancel   context.CancelFunc
	done     chan struct{} // closed when Serve has returned
}

// Listen opens an address. With cert and key files it speaks TLS. Nothing is answered before Serve.
func Listen(addr, cert, key string, logger hclog.Logger) (*Server, error) {
	l, err := net.Listen("tcp", addr)
	if err != nil {
		return nil, unable(addr, err)
	}
	if cert != "" {
		pair, err := tls.LoadX509KeyPair(cert, key)
		if err != nil {
			l.Close()
			return nil, fmt.Errorf("load the admin certificate: %w", err)
		}
		l = tls.NewListener(l, &tls.Config{Certificates: []tls.Certificate{pair}, MinVersion: tls.VersionTLS12, NextProtos: []string{"http/1.1"}})
	}
	closing := make(chan struct{})
	base, cancel := context.WithCancel(context.WithValue(context.Background(), closingKey{}, (<-chan struct{})(closing)))
	s := &Server{listener: l, cancel: cancel, done: make(chan struct{})}
	s.http = &http.Server{
		ReadHeaderTimeout: headerTimeout, IdleTimeout: idleTimeout, MaxHeaderBytes: maxHeader,
		Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			boundBody(w, r)
			(*s.handler.Load()).ServeHTTP(w, r)
		}),
		BaseContext: func(net.Listener) context.Context { return base },
		ErrorLog:    log.New(logger.StandardWriter(&hclog.StandardLoggerOptions{ForceLevel: hclog.Debug}), "", 0),
	}
	s.http.RegisterOnShutdown(sync.OnceFunc(func() { close(closing) }))
	return s, nil
}

// unable says why an address can't be listened on, and what would help.
func unable(addr string, err error) error {
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		return fmt.Errorf("admin.listen %s is in use by another process: stop it, or choose another port", addr)
	case errors.Is(err, syscall.EACCES):
		return fmt.Errorf("admin.listen %s is not allowed to this user: choose a port from 1024 on", addr)
	}
	return fmt.Errorf("admin.listen %s: %w; write host:port with an address of this host", addr, err)
}

// closingKey is the key of a request's context under which a channel is closed when the server begins to close: what
// would go on for ever ends then.
type closingKey struct{}

// Addr is the address that is listened on.
func (s *Server) Addr() net.Addr { return s.listener.Addr() }

// Handle makes h answer from now on. It is called before Serve, and again as often as one likes.
func (s *Server) Handle(h http.Handler) { s.handler.Store(&h) }

// Serve answers until Close; then it returns nil.
func (s *Server) Serve() error {
	defer close(s.done)
	if err := s.http.Serve(s.listener); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("serve the admin address: %w", err)
	}
	return nil
}

// Close stops listening, lets requests end for as long as grace, then cancels them. It returns when Serve has returned;
// Serve must have been called.
func (s *Server) Close(grace time.Duration) error {
	ctx, cancel := context.WithTimeout(context.Background(), grace)
	defer cancel()
	err := s.http.Shutdown(ctx)
	s.cancel()
	if errors.Is(err, context.DeadlineExceeded) {
		last, stop := context.WithTimeout(context.Background(), closeTimeout)
		defer stop()
		err = s.http.Shutdown(last) // cancelled requests answer at once
	}
	err = errors.Join(err, s.http.Close())
	<-s.done
	return err
}

// closeTimeout bounds how long cancelled requests have to answer.
const closeTimeout = time.Second
