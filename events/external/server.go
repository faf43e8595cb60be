package external

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"github.com/nats-io/nats.go"

	"herosup/events"
)

// dialTimeout bounds one connect at the start; later ones go on for ever.
const dialTimeout = 5 * time.Second

// Server is somebody else's server, as the daemon's components reach it.
type Server struct {
	*events.Hub

	access Access
}

// Open connects once, so that what is wrong shows here: nobody there, no access, or a
// server that can not hold the streams.
func Open(ctx context.Context, a Access, state string, log *slog.Logger) (*Server, error) {
	dial := func(component string, more ...nats.Option) (*nats.Conn, error) {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), dialTimeout)
		defer cancel()
		return a.Dial(ctx, component, log, more...)
	}
	nc, err := dial("look")
	if err != nil {
		return nil, err
	}
	defer nc.Close()
	if err := fits(nc); err != nil {
		return nil, fmt.Errorf("nats %s: %w", a.Public(), err)
	}
	return &Server{access: a, Hub: events.NewHub(events.HubConfig{Dial: dial, State: state, Log: log})}, nil
}

// fits says why a server will not do. The streams say the rest when they are made.
func fits(nc *nats.Conn) error {
	if nc.MaxPayload() < events.MaxScript {
		return fmt.Errorf("its max_payload is %d bytes: a script may have %d; set it to 8MB", nc.MaxPayload(), events.MaxScript)
	}
	return nil
}

// URL is where clients connect, without passwords.
func (s *Server) URL() string { return s.access.Public() }

// Stop ends what the components share. The server goes on.
func (s *Server) Stop() { s.Close() }
