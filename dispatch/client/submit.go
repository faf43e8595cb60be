package client

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/oklog/ulid/v2"

	"herosup/dispatch"
	"herosup/events"
)

// Submit sends a script and returns the job's id when the log has it: from then on it
// will run. jobType is the script type of a pool ("bash"); one that no pool runs is
// accepted as well, and waits. Without a deadline in ctx the wait is five seconds.
func (c *Client) Submit(ctx context.Context, jobType, script string, o Options) (id string, err error) {
	id, _, err = c.submit(ctx, jobType, script, o)
	return id, err
}

// submit is Submit, and tells the job's place in the log.
func (c *Client) submit(ctx context.Context, jobType, script string, o Options) (id string, seq uint64, err error) {
	ctx, cancel := bounded(ctx)
	defer cancel()
	id, seq, _, err = dispatch.Submit(ctx, c.js, c.bus.Prefix(), jobType, []byte(script), o)
	return id, seq, notTaken(id, err)
}

// notTaken makes a refusal of the log's own word that it has no room: without an answer it is not known whether it took the job.
func notTaken(id string, err error) error {
	var log *jetstream.APIError
	if !errors.As(err, &log) {
		return err
	}
	return &Refusal{
		Status: http.StatusServiceUnavailable, Code: "not_accepted", Job: id, Reason: fmt.Sprintf("the log did not take job %s: %s", id, log.Description),
		Hint: "herosup status says why the log takes nothing; try again when it does",
	}
}

// lookAfter bounds how long Queued waits for the daemon's word.
const lookAfter = time.Second

// Queued submits like Submit, and then waits up to a second for the daemon to read
// the job from the log: a refusal that only the daemon can find (the id is taken, no
// such prerequisite) is returned as an error. No word within the second is no error:
// the job is accepted, Redis may be away.
func (c *Client) Queued(ctx context.Context, jobType, script string, o Options) (id string, err error) {
	id, _, err = c.queued(ctx, jobType, script, o)
	return id, err
}

// queued is Queued, and tells the job's place in the log.
func (c *Client) queued(ctx context.Context, jobType, script string, o Options) (id string, seq uint64, err error) {
	if o.ID == "" {
		o.ID = ulid.Make().String()
	}
	if r := dispatch.CheckSubmission(jobType, o.Header(), []byte(script)); r != nil {
		r.Job = o.ID
		return o.ID, 0, r // before the id gets into a subject
	}
	sub, err := c.bus.Subscribe(queuedAs(o.ID, strings.ToLower(jobType)), rejectedSubmissions)
	if err != nil {
		return o.ID, 0, err
	}
	defer sub.Unsubscribe()
	one, cancel := bounded(ctx)
	defer cancel()
	id, seq, known, err := dispatch.Submit(one, c.js, c.bus.Prefix(), jobType, []byte(script), o)
	if err != nil {
		return id, 0, notTaken(id, err)
	}
	wait := time.NewTimer(lookAfter)
	defer wait.Stop()
	earlier := make(chan error, 1)
	if known { // of the same job again nobody tells anything
		looking, stop := context.WithTimeout(ctx, lookAfter)
		defer stop()
		go func() {
			if is, err := c.isThere(looking, id, seq, jobType, script); is {
				earlier <- err
			}
		}()
	}
	for {
		select {
		case raw := <-sub.C:
			m, err := sub.Open(raw)
			if err != nil {
				continue // not for us to tell
			}
			switch e := m.Event.(type) {
			case events.JobQueued: // an older job of this id has another sequence
				if e.Sequence == seq {
					return id, seq, nil
				}
			case events.JobWaiting:
				if e.Sequence == seq {
					return id, seq, nil
				}
			case events.CommandRejected:
				if e.Sequence == seq {
					return id, seq, refusalOf(e)
				}
			}
		case err := <-earlier:
			return id, seq, err
		case <-wait.C:
			return id, seq, nil
		case <-ctx.Done():
			return id, seq, fmt.Errorf("submit job %s: %w", id, context.Cause(ctx))
		}
	}
}

// isThere looks whether a job that came earlier has the id, and refuses one that is another's. Who may not look does not find it.
func (c *Client) isThere(ctx context.Context, id string, seq uint64, jobType, script string) (bool, error) {
	j, err := c.Show(ctx, id)
	switch {
	case err != nil || j.Sequence == seq:
		return false, nil
	case j.Script == script && strings.EqualFold(j.Type, jobType):
		return true, nil
	}
	return true, &Refusal{
		Status: http.StatusConflict, Code: "conflict", Job: id, Reason: "job id " + id + " is taken by a job with another script or type",
		Hint: "choose another id; the same job again would be no fault",
	}
}

// queuedAs matches the fact that a job was read from the log.
func queuedAs(id, jobType string) events.Pattern {
	return events.Pattern("evt.job.queued." + jobType + "." + id)
}

// rejectedSubmissions matches the refusals of what was read from the log.
const rejectedSubmissions events.Pattern = "evt.system.rejected.job-submit"

// refusalOf makes the error of a refusal that was told as a fact.
func refusalOf(e events.CommandRejected) *Refusal {
	status := 400
	if e.Code == "conflict" {
		status = 409
	}
	return &Refusal{Status: status, Code: e.Code, Reason: e.Reason, Hint: e.Hint, Job: e.Job, Sequence: e.Sequence}
}

// Run submits a script and returns its result. It outlives restarts of the daemon
// and of the bus for as long as ctx lets it: the job is submitted under an id of its
// own and asked for by that. The end of ctx does not end the job; ErrUnconfirmed if that came before the log had it, as far as is known.
func (c *Client) Run(ctx context.Context, jobType, script string, o Options) (Result, error) {
	send, given := c.submit, o.ID != ""
	if !given {
		o.ID = ulid.Make().String()
		send = c.submitOnce
	}
	if len(o.Prerequisites) > 0 { // it may be refused when it is read
		send = c.queued
	}
	var ask *nats.Msg
	for {
		one, cancel := context.WithTimeout(ctx, answerWithin)
		_, seq, err := send(one, jobType, script, o)
		cancel()
		if err == nil {
			if given {
				ask = c.runOf(jobType, script, o, seq)
			}
			break
		}
		if !passing(err) && !errors.Is(err, context.Canceled) { // the end of ctx leaves it as open as a lost answer
			return Result{Job: o.ID}, err
		}
		if err := pause(ctx); err != nil {
			return Result{Job: o.ID}, fmt.Errorf("%w: %w", ErrUnconfirmed, err)
		}
	}
	return c.await(ctx, o.ID, ask)
}

// submitOnce submits under an id that is of this call: tried again, it is one message.
func (c *Client) submitOnce(ctx context.Context, jobType, script string, o Options) (string, uint64, error) {
	seq, err := dispatch.SubmitOnce(ctx, c.js, c.bus.Prefix(), jobType, o.ID, o.Header(), []byte(script))
	return o.ID, seq, notTaken(o.ID, err)
}

// runOf asks for the result of this job, and not of another that has its id, which who may not read the facts learns no other way.
// It is in the log at seq. nil: its type can be none.
func (c *Client) runOf(jobType, script string, o Options, seq uint64) *nats.Msg {
	subject, err := c.bus.Subject(events.JobRun{Type: jobType})
	if err != nil {
		return nil
	}
	h := o.Header()
	h[dispatch.HeaderSequence] = []string{strconv.FormatUint(seq, 10)}
	return &nats.Msg{Subject: subject, Header: h, Data: []byte(script)}
}

// passing tells an error that a reconnect mends.
func passing(err error) bool {
	for _, e := range []error{
		events.ErrNobody, nats.ErrDisconnected, nats.ErrReconnectBufExceeded, nats.ErrConnectionReconnecting, nats.ErrTimeout,
		context.DeadlineExceeded,
	} {
		if errors.Is(err, e) {
			return true
		}
	}
	return false
}
