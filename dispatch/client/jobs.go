package client

import (
	"context"
	"iter"
	"time"

	"herosup/dispatch"
	"herosup/events"
)

// Show returns the record of a job, with its script and result.
func (c *Client) Show(ctx context.Context, id string) (Job, error) {
	var j Job
	if err := named(id); err != nil {
		return j, err
	}
	return j, c.ask(ctx, events.JobShow{Job: id}, &j)
}

// Explain says why a job is not running: the reason that has the last word first. The
// error is a *Refusal of status 503 while Redis is away or being filled from the log,
// and then that is why.
func (c *Client) Explain(ctx context.Context, id string) (dispatch.Explanation, error) {
	var x dispatch.Explanation
	if err := named(id); err != nil {
		return x, err
	}
	return x, c.ask(ctx, events.JobExplain{Job: id}, &x)
}

// Filter says which jobs are meant; zero values mean all.
type Filter struct {
	// State is one of dispatch.States ("waiting", "dead", ...).
	State, Type string
	// OlderThan and NewerThan bound the time since a job was first queued.
	OlderThan, NewerThan time.Duration
	// Text is part of the id, the script, the error or the reason, in any case.
	Text string
}

// List yields the jobs of a filter in the daemon's order: what runs, what waits (the
// next to be served first), what is delayed, what has ended (the latest first), the
// rest. It asks for page after page as they are wanted, and yields no job twice. An
// error is the last thing that it yields. progress, if not nil, is told how many jobs
// were looked at so far.
func (c *Client) List(ctx context.Context, f Filter, progress func(looked int)) iter.Seq2[Job, error] {
	return func(yield func(Job, error) bool) {
		ask := events.JobList{
			State: f.State, Type: f.Type, OlderThan: events.SecondsOf(f.OlderThan), NewerThan: events.SecondsOf(f.NewerThan), Text: f.Text,
		}
		seen := map[string]struct{}{}
		looked := 0
		for {
			var p dispatch.JobPage
			if err := c.ask(ctx, ask, &p); err != nil {
				yield(Job{}, err)
				return
			}
			for _, j := range p.Jobs {
				if _, again := seen[j.ID]; again {
					continue
				}
				seen[j.ID] = struct{}{}
				if !yield(j, nil) {
					return
				}
			}
			if looked += p.Looked; progress != nil {
				progress(looked)
			}
			if ask.Cursor = p.Next; ask.Cursor == "" {
				return
			}
			ask.Limit = 1000 // who wants a second page wants many
		}
	}
}

// Cancel ends a job, and returns when it has ended: one that runs has some seconds to
// obey. One that has ended otherwise is refused (409).
func (c *Client) Cancel(ctx context.Context, id string) (Job, error) {
	var j Job
	return j, c.wait(ctx, id, events.JobCancel{Job: id}, &j)
}

// Retry queues a dead or failed job again, under its id; its retries and crashes are
// counted from zero. One that has not ended is refused (409).
func (c *Client) Retry(ctx context.Context, id string) (Job, error) {
	var j Job
	return j, c.wait(ctx, id, events.JobRetry{Job: id}, &j)
}

// Remove forgets an ended job: its record, its result, its place in the dead list.
// One that has not ended is refused (409).
func (c *Client) Remove(ctx context.Context, id string) error {
	return c.wait(ctx, id, events.JobRemove{Job: id}, nil)
}

// endWithin bounds a command that ends something, if its context has no deadline: a
// script has a grace of five seconds, and its actor as much again.
const endWithin = 30 * time.Second

func (c *Client) wait(ctx context.Context, id string, e events.Event, out any) error {
	if err := named(id); err != nil {
		return err
	}
	if _, ok := ctx.Deadline(); !ok {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, endWithin)
		defer cancel()
	}
	return c.bus.Request(ctx, e, out)
}
