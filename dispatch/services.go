package dispatch

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/oklog/ulid/v2"

	"herosup/dispatch/store"
	"herosup/events"
)

const (
	// workers answer requests side by side: a publish waits for the log.
	workers = 8
	// unreadWait bounds the wait for the intake when a job is not found: it may lie
	// in the log still.
	unreadWait = time.Second
)

// serve offers the commands and questions about jobs. job.submit is not among them:
// its subject is the log's.
func (c *Component) serve() (*events.Service, error) {
	return c.bus.Serve(events.ServiceConfig{
		Name: "dispatch", Description: "jobs: run, await, create, cancel, retry, remove, purge, list, show, explain",
		Patterns: []events.Pattern{
			events.Of(events.JobRun{}), events.Of(events.JobAwait{}), events.Of(events.JobCreate{}), events.Of(events.JobCancel{}),
			events.Of(events.JobRetry{}), events.Of(events.JobRemove{}), events.Of(events.JobPurge{}), events.Of(events.JobList{}), events.Of(events.JobShow{}),
			events.Of(events.JobExplain{}),
		},
	})
}

// runWorker answers requests and looks up records for the waiters.
func (c *Component) runWorker(ctx context.Context, requests <-chan events.Message) error {
	for {
		select {
		case m := <-requests:
			for next := &m; next != nil; {
				next = c.requestMore(ctx, *next, requests)
			}
		case id := <-c.lookups:
			l := looked{id: id, err: c.step("lookup")}
			if l.err == nil {
				l.rec, l.told, l.err = c.find(ctx, id)
			}
			c.toWaiters(l)
		case <-ctx.Done():
			return nil
		}
	}
}

// requestMore answers a request, and with it those behind it that go the same way. It returns one that was taken and is not answered yet.
func (c *Component) requestMore(ctx context.Context, m events.Message, requests <-chan events.Message) (next *events.Message) {
	var all []events.Message
	switch m.Event.(type) {
	case events.JobCancel:
		all, next = alike[events.JobCancel](m, requests, store.MaxCancels)
		c.cancelJobs(ctx, all)
	case events.JobRemove:
		all, next = alike[events.JobRemove](m, requests, maxRemovals)
		c.removeJobs(ctx, all)
	default:
		c.request(ctx, m)
	}
	return next
}

// alike takes the requests of one kind that wait behind one, at most so many and without waiting, and the first that is of another.
func alike[T events.Event](first events.Message, requests <-chan events.Message, most int) (all []events.Message, other *events.Message) {
	all = []events.Message{first}
	for len(all) < most {
		select {
		case m := <-requests:
			if _, is := m.Event.(T); !is {
				return all, &m
			}
			all = append(all, m)
		default:
			return all, nil
		}
	}
	return all, nil
}

func (c *Component) request(ctx context.Context, m events.Message) {
	switch e := m.Event.(type) {
	case events.JobRun:
		c.runJob(ctx, m, e)
	case events.JobAwait:
		c.awaitJob(ctx, m, e)
	case events.JobCreate:
		c.createJob(ctx, m, e)
	case events.JobRetry:
		c.retryJob(ctx, m, e.Job)
	case events.JobPurge:
		c.purgeDead(ctx, m, e)
	case events.JobList:
		c.listJobs(ctx, m, e)
	case events.JobShow:
		c.showJob(ctx, m, e)
	case events.JobExplain:
		c.explainJob(ctx, m, e)
	}
}

// runJob submits and answers at the job's end. The waiter is there before the job
// is, or its end could be missed.
func (c *Component) runJob(ctx context.Context, m events.Message, e events.JobRun) {
	script := []byte(e.Script)
	number := takeHeader(m.Header, HeaderSequence)
	sub, r := parse(e.Type, m.Header, script, time.Now(), Defaults{}) // for its id
	var logged uint64
	if r == nil && number != "" {
		logged, r = c.inLog(ctx, sub.ID, number)
	}
	if r != nil {
		c.refuse(m, r)
		return
	}
	id := sub.ID
	header := m.Header
	if id == "" {
		id = ulid.Make().String()
	}
	if header == nil {
		header = map[string][]string{}
	}
	if m.WantsAnswer() {
		c.toWaiters(waiter{id: id, m: m, run: true, what: whatIs(e.Type, e.Script)})
	}
	if logged > 0 {
		c.toWaiters(ranAs{id: id, sequence: logged, what: whatIs(e.Type, e.Script)})
		return
	}
	s, err := c.submit(ctx, e.Type, header, script, id)
	if err != nil {
		r := &events.Refusal{Status: http.StatusServiceUnavailable, Code: "not_accepted", Job: id, Reason: err.Error(), Hint: "try again; the daemon's log says why"}
		c.toWaiters(gaveUp{id: id, refusal: r})
		c.refuse(events.Message{Event: e, On: m.On}, r)
		return
	}
	c.toWaiters(ranAs{id: id, sequence: s.sequence, what: whatIs(e.Type, e.Script)})
}

// inLog reads the number of the message by which a run's job has come already, and looks that the log has got so far.
func (c *Component) inLog(ctx context.Context, id, number string) (sequence uint64, r *events.Refusal) {
	sequence, err := strconv.ParseUint(number, 10, 64)
	if err != nil || sequence == 0 || id == "" {
		return 0, bad("bad_header", fmt.Sprintf("header %s: %q is no message of a job", HeaderSequence, short(number)),
			"give the number that the log answered, and the job's "+HeaderJobID+"; or leave it out to submit the job")
	}
	var last uint64
	if err := limited(ctx, func(ctx context.Context) (err error) {
		last, err = c.everLogged(ctx)
		return err
	}); err != nil {
		return 0, c.endTrouble(id, err)
	}
	if sequence > last {
		return 0, unknownJob(id)
	}
	return sequence, nil
}

type submitted struct {
	sequence uint64
	known    bool // the log has had the id
}

// submit publishes into the log. The id of the message is the job's, whatever the
// sender put there.
func (c *Component) submit(ctx context.Context, jobType string, header map[string][]string, script []byte, id string) (s submitted, err error) {
	h := map[string][]string{}
	for name, values := range header {
		if lower := strings.ToLower(name); strings.HasPrefix(lower, "hero-") && lower != strings.ToLower(HeaderJobID) {
			h[name] = values // nothing of NATS' own goes on
		}
	}
	h[HeaderJobID] = []string{id}
	err = limited(ctx, func(ctx context.Context) (err error) {
		s.sequence, s.known, err = submit(ctx, c.js, c.bus.Prefix(), jobType, h, script, id)
		if s.known && !c.sameMessage(ctx, s.sequence, jobType, h, script) { // as in Submit
			s.sequence, _, err = submit(ctx, c.js, c.bus.Prefix(), jobType, h, script, "")
		}
		return err
	})
	return s, err
}

// sameMessage reports whether a message is of this submission, and nobody has judged it yet.
func (c *Component) sameMessage(ctx context.Context, sequence uint64, jobType string, h map[string][]string, script []byte) bool {
	if sequence <= c.told.seq.Load() {
		return false
	}
	m, err := c.stream.GetMsg(ctx, sequence)
	if err != nil || m.Subject != submitSubject(c.bus.Prefix(), jobType) || !bytes.Equal(m.Data, script) {
		return false
	}
	ours := func(h map[string][]string) map[string][]string {
		own := map[string][]string{}
		for name, values := range h {
			if strings.HasPrefix(strings.ToLower(name), "hero-") {
				own[strings.ToLower(name)] = values
			}
		}
		return own
	}
	return maps.EqualFunc(ours(m.Header), ours(h), slices.Equal)
}

func (c *Component) createJob(ctx context.Context, m events.Message, e events.JobCreate) {
	jobType, header, script := FromCreate(e)
	if e.ID == "" {
		e.ID = ulid.Make().String()
	}
	if r := CheckSubmission(jobType, header, script); r != nil {
		r.Job = e.ID
		c.refuse(m, r)
		return
	}
	s, err := c.submit(ctx, jobType, header, script, e.ID)
	if err != nil {
		c.refuse(m, &events.Refusal{
			Status: http.StatusServiceUnavailable, Code: "not_accepted", Job: e.ID, Reason: err.Error(), Hint: "try again; the daemon's log says why",
		})
		return
	}
	c.answer(m, CreateAnswer{Job: e.ID, Sequence: s.sequence, Duplicate: s.known})
}

// awaitJob answers at once if the job has ended.
func (c *Component) awaitJob(ctx context.Context, m events.Message, e events.JobAwait) {
	rec, upTo, err := c.look(ctx, e.Job)
	if errors.Is(err, store.ErrNoJob) {
		if d, failed := c.deadJob(ctx, e.Job); failed == nil {
			rec, err = store.RecordOf(e.Job, d.Fields), nil
		}
	}
	switch {
	case err == nil && rec.Status.Ended():
		c.answerEnd(m, rec)
	case errors.Is(err, store.ErrNoJob):
		c.deny(m, unknownJob(e.Job))
	default: // also with Redis away: it is answered when it is back
		if rec.ID == "" && upTo == 0 { // else it would not be known from the first moment of a refill
			if err := limited(ctx, func(ctx context.Context) (err error) {
				upTo, err = c.lastLogged(ctx)
				return err
			}); err != nil {
				c.deny(m, c.endTrouble(e.Job, err))
				return
			}
		}
		c.toWaiters(waiter{id: e.Job, m: m, known: err == nil && upTo > 0, upTo: upTo})
	}
}

func (c *Component) showJob(ctx context.Context, m events.Message, e events.JobShow) {
	rec, _, err := c.lookEnded(ctx, e.Job)
	switch {
	case errors.Is(err, store.ErrNoJob):
		c.deny(m, unknownJob(e.Job))
	case err != nil:
		c.deny(m, trouble(err))
	default:
		v := viewOf(rec, time.Now())
		if v.State == StateBlocked {
			if v.Waits, err = c.needs(ctx, e.Job); err != nil {
				c.deny(m, trouble(err))
				return
			}
		}
		if err = limited(ctx, func(ctx context.Context) (err error) {
			v.Dependents, v.Waiting, err = c.store.Dependents(ctx, e.Job, shownDependents)
			return err
		}); err != nil {
			c.deny(m, trouble(err))
			return
		}
		c.answer(m, v)
	}
}

// shownDependents is how many of those that wait for a job are named.
const shownDependents = 20

// needs lists what a blocked job waits for.
func (c *Component) needs(ctx context.Context, id string) ([]Need, error) {
	var all []store.Need
	err := limited(ctx, func(ctx context.Context) (err error) {
		all, err = c.store.Needs(ctx, id)
		return err
	})
	out := make([]Need, len(all))
	for i, n := range all {
		out[i] = Need{ID: n.ID, Rule: string(n.Rule), Status: string(n.Status), Reason: n.Reason}
	}
	slices.SortFunc(out, func(a, b Need) int { return strings.Compare(a.ID, b.ID) })
	return out, err
}

func (c *Component) answer(m events.Message, v any) {
	c.answered(m, m.Respond(v))
}

// answered looks what became of an answer: one that is too long for the bus is refused, or its asker would wait in vain.
func (c *Component) answered(m events.Message, err error) {
	switch {
	case err == nil:
	case errors.Is(err, nats.ErrMaxPayload):
		c.deny(m, &events.Refusal{
			Status: http.StatusRequestEntityTooLarge, Code: "answer_too_large",
			Reason: fmt.Sprintf("the answer is longer than the %d bytes of a message", c.bus.Conn().MaxPayload()),
			Hint:   "of a job, job.await has the output or the error alone; let scripts put long results elsewhere and tell where",
		})
	default:
		c.log.Warn("answer", "event", m.On, "err", err)
	}
}

// trouble says to a sender why Redis did not do it.
func trouble(err error) *events.Refusal {
	r := &events.Refusal{Status: http.StatusServiceUnavailable, Code: "redis_away", Reason: err.Error(), Hint: "try again when Redis is back"}
	var refused *store.RefusedError
	switch {
	case errors.As(err, &refused):
		r.Code, r.Hint = "redis_refuses", refused.Hint
	case errors.Is(err, store.ErrNoEpoch), errors.Is(err, errUnread):
		r.Code, r.Reason, r.Hint = "refilling", "Redis is being filled again from the log", "try again in a second"
	}
	return r
}

// oneLine makes a text fit for a header.
func oneLine(s string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return ' '
		}
		return r
	}, s)
}
