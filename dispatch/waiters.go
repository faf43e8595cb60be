package dispatch

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/nats-io/nats.go"

	"herosup/dispatch/store"
	"herosup/events"
)

const (
	// maxWaiters bounds the requests that wait for a job's end.
	maxWaiters = 10_000
	// recheckEvery is the pace at which waiting jobs are looked up although no
	// fact came, recheckMost how many a time: facts are at least once, but may be
	// lost with Redis.
	recheckEvery = time.Second
	recheckMost  = 200
)

// What the waiters are told.
type (
	// waiter is a request to be answered at the job's end.
	waiter struct {
		id string
		m  events.Message
		// run: the request submitted the job itself, and its submission may be
		// refused. sequence is then the job's in the log, 0 until the log answered.
		run      bool
		sequence uint64
		// what was submitted: a record of the id that is of something else is another job's.
		what [sha256.Size]byte
		// cancel: the request cancelled the job, and wants to know whether that was its
		// end.
		cancel bool
		// known: it came by the log and has a record, or had.
		known bool
		// upTo is the log's end when no record was found, or the job's own sequence:
		// once that much is told and there is no record, the job is unknown.
		upTo uint64
	}
	// ranAs tells the sequence of a run's job.
	ranAs struct {
		id       string
		sequence uint64
		what     [sha256.Size]byte
	}
	// gaveUp answers the run waiters of a job that never got into the log.
	gaveUp struct {
		id      string
		refusal *events.Refusal
	}
	endedJob   string
	refusedJob struct {
		id       string
		sequence uint64
		refusal  *events.Refusal
	}
	// recheckAll: facts were lost.
	recheckAll struct{}
	// looked is a record that was looked up.
	looked struct {
		id   string
		rec  store.Record
		told uint64 // of the log, before the look
		err  error
	}
)

// waiting is one job that somebody waits for.
type waiting struct {
	requests []waiter
	looking  bool       // its record is being looked up
	again    bool       // it changed meanwhile
	refused  refusedJob // the last: a run's sequence may be told after its refusal
}

// waiters answers requests at the end of their job. It looks records up through
// the workers, so that one slow answer holds up nobody.
type waiters struct {
	c     *Component
	jobs  map[string]*waiting
	n     int
	queue []string // to be looked up, each once
	round []string // left of the present round of rechecks
}

func (c *Component) toWaiters(v any) {
	select {
	case c.waits <- v:
	case <-c.stopping:
	}
}

func (c *Component) runWaiters(ctx context.Context) error {
	w := &waiters{c: c, jobs: map[string]*waiting{}}
	tick := time.NewTicker(recheckEvery)
	defer tick.Stop()
	for {
		var out chan<- string
		var next string
		if len(w.queue) > 0 {
			out, next = c.lookups, w.queue[0]
		}
		select {
		case v := <-c.waits:
			w.take(v)
		case out <- next:
			w.queue = w.queue[1:]
		case <-tick.C:
			w.recheck()
		case <-ctx.Done():
			return nil
		}
	}
}

func (w *waiters) take(v any) {
	switch v := v.(type) {
	case waiter:
		w.add(v)
	case ranAs:
		if j := w.jobs[v.id]; j != nil {
			for i := range j.requests {
				if r := &j.requests[i]; r.run && r.sequence == 0 && r.what == v.what {
					r.sequence = v.sequence
				}
			}
			if j.refused.sequence == v.sequence {
				w.refused(j.refused)
			}
			w.look(v.id) // it may be an old one that has ended
		}
	case gaveUp:
		w.refuse(v.id, v.refusal, func(r waiter) bool { return r.run && r.sequence == 0 })
	case endedJob:
		w.look(string(v))
	case refusedJob:
		if j := w.jobs[v.id]; j != nil {
			j.refused = v
			w.refused(v)
			w.look(v.id)
		}
	case recheckAll:
		for id := range w.jobs {
			w.look(id)
		}
	case looked:
		w.looked(v)
	}
}

func (w *waiters) add(r waiter) {
	if w.n >= maxWaiters {
		w.c.deny(r.m, &events.Refusal{
			Status: http.StatusServiceUnavailable, Code: "busy", Job: r.id,
			Reason: fmt.Sprintf("%d requests wait for jobs already", maxWaiters), Hint: "ask again later; the job goes on",
		})
		return
	}
	j := w.jobs[r.id]
	if j == nil {
		j = &waiting{}
		w.jobs[r.id] = j
	}
	j.requests = append(j.requests, r)
	w.n++
	if !r.run { // it may have ended between the look and now
		w.look(r.id)
	}
}

// look has the record of a job looked up, if somebody waits for it.
func (w *waiters) look(id string) {
	j := w.jobs[id]
	switch {
	case j == nil:
	case j.looking:
		j.again = true
	default:
		j.looking = true
		w.queue = append(w.queue, id)
	}
}

func (w *waiters) looked(l looked) {
	j := w.jobs[l.id]
	if j == nil {
		return
	}
	again := j.again
	j.looking, j.again = false, false
	if l.err == nil && l.rec.Script != "" {
		what := whatIs(l.rec.Type, l.rec.Script)
		w.refuse(l.id, conflict(l.id, l.rec.Sequence), func(r waiter) bool { return r.run && r.what != what })
		if w.jobs[l.id] == nil {
			return
		}
	}
	switch {
	case l.err == nil && l.rec.Status.Ended():
		for _, r := range j.requests {
			if r.cancel {
				w.c.answerCancelled(r.m, l.rec)
			} else {
				w.c.answerEnd(r.m, l.rec)
			}
		}
		w.drop(l.id)
		return
	case errors.Is(l.err, store.ErrNoJob):
		// One that was there, or that we submitted and that was told, has ended and was forgotten since: by Redis itself, if it was emptied.
		w.refuse(l.id, endForgotten(l.id), func(r waiter) bool {
			return !r.run && r.known && r.upTo <= l.told || r.run && r.sequence != 0 && r.sequence <= l.told
		})
		w.refuse(l.id, unknownJob(l.id), func(r waiter) bool { return !r.run && !r.known && r.upTo <= l.told })
	case l.err == nil:
		for i := range j.requests {
			j.requests[i].known, j.requests[i].upTo = l.rec.Sequence > 0, l.rec.Sequence
		}
	}
	if again {
		w.look(l.id)
	}
}

// refused answers the runs whose message was refused.
func (w *waiters) refused(v refusedJob) {
	w.refuse(v.id, v.refusal, func(r waiter) bool { return r.run && r.sequence == v.sequence })
}

// whatIs tells two jobs apart that have one id.
func whatIs(jobType, script string) [sha256.Size]byte {
	return sha256.Sum256([]byte(strings.ToLower(jobType) + "\n" + script))
}

// refuse answers those requests of a job that match.
func (w *waiters) refuse(id string, refusal *events.Refusal, match func(waiter) bool) {
	j := w.jobs[id]
	if j == nil {
		return
	}
	var left []waiter
	for _, r := range j.requests {
		if !match(r) {
			left = append(left, r)
			continue
		}
		w.n--
		w.c.deny(r.m, refusal)
	}
	if j.requests = left; len(left) == 0 {
		delete(w.jobs, id)
	}
}

func (w *waiters) drop(id string) {
	w.n -= len(w.jobs[id].requests)
	delete(w.jobs, id)
}

// recheck looks some jobs up in turn, and all whose place in the log is awaited.
func (w *waiters) recheck() {
	if len(w.round) == 0 {
		for id := range w.jobs {
			w.round = append(w.round, id)
		}
	}
	n := min(len(w.round), recheckMost)
	for _, id := range w.round[:n] {
		w.look(id)
	}
	w.round = w.round[n:]
}

// answerEnd answers with a job's result: output or error as the body, the rest as
// headers.
func (c *Component) answerEnd(m events.Message, rec store.Record) {
	if !rec.ForgotAt.IsZero() {
		c.deny(m, resultGone(rec))
		return
	}
	h := nats.Header{HeaderJobID: {rec.ID}, HeaderStatus: {string(rec.Status)}}
	if rec.ExitCode != "" {
		h[HeaderExitCode] = []string{oneLine(rec.ExitCode)}
	}
	body := rec.Output
	if rec.Status == store.StatusError {
		h[HeaderReason] = []string{oneLine(rec.Reason)}
		body = rec.Error
	}
	c.answered(m, m.RespondRaw([]byte(body), h))
}

func resultGone(rec store.Record) *events.Refusal {
	how := string(rec.Status)
	if rec.Reason != "" {
		how += ": " + rec.Reason
	}
	return &events.Refusal{
		Status: http.StatusGone, Code: "result_gone", Job: rec.ID,
		Reason: fmt.Sprintf("the result of job %s is not kept any more; it has ended (%s)", rec.ID, oneLine(how)),
		Hint:   "jobs.keep_result, or the job's own keep_result, says for how long results are kept; job.show has the rest",
	}
}

// endForgotten answers who waited for a job whose record is gone.
func endForgotten(id string) *events.Refusal {
	return &events.Refusal{
		Status: http.StatusGone, Code: "result_gone", Job: id, Reason: fmt.Sprintf("job %s has ended, and its record is gone: how it ended is not known here", id),
		Hint: "it was removed, or Redis was emptied; the facts about it say how it ended",
	}
}

func unknownJob(id string) *events.Refusal {
	return &events.Refusal{
		Status: http.StatusNotFound, Code: "unknown_job", Job: id, Reason: "no job " + id,
		Hint: "it was never submitted, or ended and is forgotten: results are kept for a time and in a number",
	}
}
