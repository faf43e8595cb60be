package client

import (
	"context"
	"errors"
	"net/http"
	"strconv"
	"time"

	"github.com/nats-io/nats.go"

	"herosup/dispatch"
	"herosup/events"
)

// Result is how a job ended.
type Result struct {
	Job string
	// Finished: the script ended well. Otherwise Reason says why not ("exit 3",
	// "timeout", "cancelled", ...).
	Finished bool
	Reason   string
	// ExitCode is the script's; nil if it had none.
	ExitCode *int
	// Output is what the script wrote, of a finished job only: the record of another
	// one has it as well (Show). Error is what went wrong, for people.
	Output, Error string
}

const (
	// patience is how long one question for a job's end stays open; then it is asked
	// anew, in case that the daemon which had it is gone.
	patience = 30 * time.Second
	// unknownFor is how long a job may be unknown: one that is accepted and not read
	// yet is known to the log, but an old daemon's successor may need a moment.
	unknownFor = 10 * time.Second
)

// Await returns the result of a job: at once if it has ended, else at its end. It
// asks again while the daemon is away, until ctx ends. The error is a *Refusal if
// there is no such job (404), or its result is not kept any more (410, result_gone).
func (c *Client) Await(ctx context.Context, id string) (Result, error) {
	if err := named(id); err != nil {
		return Result{Job: id}, err
	}
	return c.await(ctx, id, nil)
}

// await asks by ask, which submits nothing; nil means job.await.
func (c *Client) await(ctx context.Context, id string, ask *nats.Msg) (Result, error) {
	if ask == nil {
		subject, err := c.bus.Subject(events.JobAwait{Job: id})
		if err != nil {
			return Result{Job: id}, err
		}
		ask = &nats.Msg{Subject: subject}
	}
	back := c.bus.Conn().StatusChanged(nats.CONNECTED)
	defer c.bus.Conn().RemoveStatusListener(back)
	begun := time.Now()
	for {
		m, err := c.question(ctx, ask, back)
		if ctx.Err() != nil {
			return Result{Job: id}, context.Cause(ctx)
		}
		if err == nil {
			refusal := events.RefusalOf(m)
			if refusal == nil {
				return resultOf(id, m), nil
			}
			gone := refusal.Status == http.StatusNotFound && time.Since(begun) > unknownFor
			if gone || refusal.Status != http.StatusNotFound && refusal.Status != http.StatusServiceUnavailable {
				return Result{Job: id}, refusal
			}
		} else if errors.Is(err, nats.ErrConnectionClosed) {
			return Result{Job: id}, err
		}
		if err := pause(ctx); err != nil {
			return Result{Job: id}, err
		}
	}
}

// question asks once. It gives up when the connection is back from somewhere: the
// daemon that had the question may be gone with it.
func (c *Client) question(ctx context.Context, ask *nats.Msg, back <-chan nats.Status) (*nats.Msg, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	over := make(chan struct{})
	go func() {
		defer close(over)
		select {
		case <-back:
			cancel()
		case <-ctx.Done():
		}
	}()
	m, err := c.bus.Conn().RequestMsgWithContext(ctx, ask)
	cancel()
	<-over
	return m, err
}

func resultOf(id string, m *nats.Msg) Result {
	r := Result{Job: id, Reason: m.Header.Get(dispatch.HeaderReason), Finished: m.Header.Get(dispatch.HeaderStatus) == events.Finished}
	if n, err := strconv.Atoi(m.Header.Get(dispatch.HeaderExitCode)); err == nil {
		r.ExitCode = &n
	}
	if r.Finished {
		r.Output = string(m.Data)
	} else {
		r.Error = string(m.Data)
	}
	return r
}
