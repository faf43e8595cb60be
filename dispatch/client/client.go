package client

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"herosup/dispatch"
	"herosup/events"
)

// Names that submitters need, so that this package is enough.
type (
	// Options are what may be said about a job beside its script.
	Options = dispatch.Options
	// Prerequisite is a job that must have ended before another begins.
	Prerequisite = dispatch.Prerequisite
	// Job is a job as it is shown.
	Job = dispatch.JobView
	// Refusal says why something was not done. It is an error.
	Refusal = events.Refusal
)

// ErrNobody says that no daemon answers.
var ErrNobody = events.ErrNobody

// answerWithin bounds a question whose context has no deadline.
const answerWithin = 5 * time.Second

// Config says how to reach a daemon.
type Config struct {
	// URL of its bus: "nats://127.0.0.1:4222". `herosup nats-context --role submitter`
	// prints it, and KeyFile.
	URL string
	// KeyFile is an nkey seed (the state folder's nats/keys/<role>.nk), CredsFile the
	// credentials of a NATS server of your own. Either, or neither.
	KeyFile, CredsFile string
	// Prefix is the first token of all subjects; "" means "hero".
	Prefix string
	// Name is what the server calls this connection; "" means "herosup client".
	Name string
	// Options are added to the connection's own.
	Options []nats.Option
}

// Client speaks to a daemon over the bus.
type Client struct {
	bus *events.Bus
	js  jetstream.JetStream
	own bool
}

// Connect opens a connection. ctx bounds the wait for it; without a deadline that is
// five seconds.
func Connect(ctx context.Context, cfg Config) (*Client, error) {
	if cfg.Name == "" {
		cfg.Name = "herosup client"
	}
	opts := events.ConnectOptions(cfg.Name, nil)
	switch {
	case cfg.KeyFile != "" && cfg.CredsFile != "":
		return nil, errors.New("connect: give a key file or a credentials file, not both")
	case cfg.KeyFile != "":
		o, err := nats.NkeyOptionFromSeed(cfg.KeyFile)
		if err != nil {
			return nil, fmt.Errorf("connect: key file: %w", err)
		}
		opts = append(opts, o)
	case cfg.CredsFile != "":
		opts = append(opts, nats.UserCredentials(cfg.CredsFile))
	}
	ctx, cancel := bounded(ctx)
	defer cancel()
	if d, ok := ctx.Deadline(); ok {
		opts = append(opts, nats.Timeout(time.Until(d)))
	}
	nc, err := nats.Connect(cfg.URL, append(opts, cfg.Options...)...)
	if err != nil {
		return nil, fmt.Errorf("connect to %s: %w", cfg.URL, err)
	}
	c, err := Over(nc, cfg.Prefix)
	if err != nil {
		nc.Close()
		return nil, err
	}
	c.own = true
	return c, nil
}

// Over makes a client of an open connection, which stays the caller's to close.
// prefix is the subjects' first token; "" means "hero".
func Over(nc *nats.Conn, prefix string) (*Client, error) {
	bus, err := events.NewBus(nc, events.Config{Prefix: prefix, Source: "herosup/client"})
	if err != nil {
		return nil, err
	}
	return On(bus)
}

// On makes a client that speaks over a Bus, which stays the caller's to close.
func On(bus *events.Bus) (*Client, error) {
	js, err := jetstream.New(bus.Conn())
	if err != nil {
		return nil, fmt.Errorf("jetstream: %w", err)
	}
	return &Client{bus: bus, js: js}, nil
}

// Close ends the connection that Connect opened.
func (c *Client) Close() {
	if c.own {
		c.bus.Close()
	}
}

// ask sends a question or a command and decodes its answer.
func (c *Client) ask(ctx context.Context, e events.Event, out any) error {
	ctx, cancel := bounded(ctx)
	defer cancel()
	return c.bus.Request(ctx, e, out)
}

// named refuses what can be no job's id before it gets into a subject.
func named(id string) error {
	if err := events.CheckToken("job id", id); err != nil {
		return &Refusal{Status: http.StatusBadRequest, Code: "bad_id", Reason: err.Error(), Hint: "ids are as submit printed them"}
	}
	return nil
}

// bounded gives a context without a deadline one.
func bounded(ctx context.Context) (context.Context, context.CancelFunc) {
	if _, ok := ctx.Deadline(); ok {
		return context.WithCancel(ctx)
	}
	return context.WithTimeout(ctx, answerWithin)
}

// again is the pace of what is tried until it works.
const again = 200 * time.Millisecond

// pause waits before the next try; the error is ctx's.
func pause(ctx context.Context) error {
	t := time.NewTimer(again)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
