package events

import (
	"fmt"
	"strings"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/micro"
)

// Service answers commands as a NATS micro service, so that `nats micro ls`,
// `info` and `stats` show it.
type Service struct {
	// C holds the requests of all endpoints. It is never closed.
	C <-chan Message

	svc micro.Service
	way *served // of those in this process
}

// ServiceConfig names a service and what it answers.
type ServiceConfig struct {
	// Name is a token ("keeper"); Version is a semantic version ("1.0.0").
	Name, Description, Version string
	// Patterns are the commands it answers. Commands of one pattern keep their
	// order, those of two patterns do not: give one pattern to what must not be
	// reordered (start and stop of one actor).
	Patterns []Pattern
	// InHand bounds the requests that wait for the reader of C; further ones are
	// refused at once with status 503. 0 means 4,096.
	InHand int
}

// requestsInHand is the default of ServiceConfig.InHand.
const requestsInHand = 4096

// Serve starts the service and returns when requests reach it. A message that
// does not decode is rejected here; every other one is for the reader of C to
// answer, with Message.Respond or Bus.Reject.
func (b *Bus) Serve(cfg ServiceConfig) (*Service, error) {
	if cfg.Version == "" {
		cfg.Version = "1.0.0"
	}
	svc, err := micro.AddService(b.nc, micro.Config{Name: cfg.Name, Description: cfg.Description, Version: cfg.Version})
	if err != nil {
		return nil, fmt.Errorf("serve %s: %w", cfg.Name, err)
	}
	if cfg.InHand == 0 {
		cfg.InHand = requestsInHand
	}
	c := make(chan Message, cfg.InHand)
	handle := micro.HandlerFunc(func(req micro.Request) {
		m, r := b.open(req)
		if r == nil {
			select {
			case c <- m:
				return
			default:
				r = &Refusal{Status: 503, Code: "busy", Reason: fmt.Sprintf("%d requests wait already", cfg.InHand), Hint: "try again in a second"}
			}
		}
		if err := b.Reject(m, r); err != nil {
			b.log.Warn("reject", "reason", r.Reason, "err", err)
		}
	})
	way := &served{bus: b, c: c}
	var subjects []string
	for _, p := range cfg.Patterns {
		subjects = append(subjects, b.prefix+"."+string(p))
		if isLocal(string(p)) {
			way.patterns = append(way.patterns, string(p))
		}
		name := strings.Trim(strings.NewReplacer("cmd.", "", ".*", "", ".>", "", ".", "-").Replace(string(p)), "-")
		if err := svc.AddEndpoint(name, handle, micro.WithEndpointSubject(b.prefix+"."+string(p))); err != nil {
			return nil, fmt.Errorf("serve %s: endpoint %s: %w", cfg.Name, p, err)
		}
	}
	ctx, cancel := flushContext()
	defer cancel()
	err = b.Flush(ctx)
	if err == nil {
		err = denied(b.nc, subjects)
	}
	if err != nil {
		_ = svc.Stop()
		return nil, fmt.Errorf("serve %s: %w", cfg.Name, err)
	}
	b.local.serve(way)
	return &Service{C: c, svc: svc, way: way}, nil
}

// Stop ends the service; requests in C can still be answered.
func (s *Service) Stop() error {
	s.way.bus.local.unserve(s.way)
	return s.svc.Stop()
}

func (b *Bus) open(req micro.Request) (Message, *Refusal) {
	raw := &nats.Msg{Subject: req.Subject(), Reply: req.Reply(), Data: req.Data(), Header: nats.Header(req.Headers())}
	m, _, err := decode(b.prefix, raw)
	m.On = raw.Subject
	m.answer = b.answerTo(raw.Reply)
	if err != nil {
		return m, Malformed(err)
	}
	return m, nil
}
