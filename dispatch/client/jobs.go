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
	return j, c.ask(ctx, events.JobShow{Job: id}, &j)
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

// Cancel ends a job. One that has ended otherwise is refused (409).
func (c *Client) Cancel(ctx context.Context, id string) (Job, error) {
	var j Job
	return j, c.ask(ctx, events.JobCancel{Job: id}, &j)
}

// Retry queues a job again that has ended, under its id.
func (c *Client) Retry(ctx context.Context, id string) (Job, error) {
	var j Job
	return j, c.ask(ctx, events.JobRetry{Job: id}, &j)
}
