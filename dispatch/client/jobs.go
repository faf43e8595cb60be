package client

import (
	"context"

	"herosup/events"
)

// Show returns the record of a job, with its script and result.
func (c *Client) Show(ctx context.Context, id string) (Job, error) {
	var j Job
	return j, c.ask(ctx, events.JobShow{Job: id}, &j)
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
