package dispatch

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"herosup/dispatch/store"
	"herosup/events"
)

// A job is revived through the log, as it came: a message under its id whose header
// HeaderAgain says so. Only the daemon may say that, or anybody who may submit could
// have a job of somebody else run again. The log is open to submitters, so the header
// carries a proof that only the holder of a key in events.StateBucket can make.
const (
	againKey  = "again" // in the bucket; its value is the key, in hex
	againSize = 32
)

// loadAgainKey reads the key, and makes it the first time.
func (c *Component) loadAgainKey(ctx context.Context) error {
	err := limited(ctx, func(ctx context.Context) error {
		kv, err := c.js.KeyValue(ctx, events.StateBucket)
		if err != nil {
			return err
		}
		fresh := make([]byte, againSize)
		if _, err := rand.Read(fresh); err != nil {
			return err
		}
		_, err = kv.Create(ctx, againKey, []byte(hex.EncodeToString(fresh)))
		if err != nil && !errors.Is(err, jetstream.ErrKeyExists) {
			return err
		}
		e, err := kv.Get(ctx, againKey)
		if err != nil {
			return err
		}
		c.againSecret, err = hex.DecodeString(string(e.Value()))
		return err
	})
	if err != nil {
		return fmt.Errorf("key for revived jobs, in bucket %s: %w", events.StateBucket, err)
	}
	return nil
}

// againProof is the value of HeaderAgain for a job.
func againProof(key []byte, id, jobType string, script []byte) string {
	m := hmac.New(sha256.New, key)
	for _, part := range [][]byte{[]byte(id), []byte(jobType), script} {
		m.Write(part)
		m.Write([]byte{0})
	}
	return hex.EncodeToString(m.Sum(nil)[:16])
}

// isAgain reports whether a message of the log revives its job, by our word. h is without that
// header then; with a bad proof it stays, and is refused as any header that is not known.
func isAgain(key []byte, jobType string, h nats.Header, script []byte) (nats.Header, bool) {
	proof := h[HeaderAgain]
	id := h[HeaderJobID]
	if len(proof) != 1 || len(id) != 1 || !hmac.Equal([]byte(proof[0]), []byte(againProof(key, id[0], jobType, script))) {
		return h, false
	}
	rest := nats.Header{}
	for name, values := range h {
		if name != HeaderAgain {
			rest[name] = values
		}
	}
	return rest, true
}

// revival writes an ended job as the message that revives it. What it waited for is past: no delay,
// start-by or prerequisites.
func revival(rec store.Record) (jobType string, h nats.Header, script []byte, err error) {
	env, err := rec.Env()
	if err != nil {
		return "", nil, nil, bad("bad_env", err.Error(), "submit it again as a new job")
	}
	h = Options{
		ID: rec.ID, Timeout: &rec.Timeout, Retries: &rec.Retries, Priority: rec.Priority, KeepResult: rec.KeepResult, Env: env, CallerID: rec.Caller, ContextID: rec.Context,
	}.Header()
	if r := CheckSubmission(rec.Type, h, []byte(rec.Script)); r != nil {
		r.Job = rec.ID
		return "", nil, nil, r
	}
	return rec.Type, h, []byte(rec.Script), nil
}

// publishAgain puts it into the log. Its message id is of this end of the job: asked twice, it is one message.
func (c *Component) publishAgain(ctx context.Context, rec store.Record) (sequence uint64, err error) {
	jobType, h, script, err := revival(rec)
	if err != nil {
		return 0, err
	}
	h[HeaderAgain] = []string{againProof(c.againSecret, rec.ID, jobType, script)}
	h[jetstream.MsgIDHeader] = []string{fmt.Sprintf("again-%s-%d-%d", rec.ID, rec.Attempts, rec.FinishedAt.UnixMilli())}
	err = limited(ctx, func(ctx context.Context) error {
		msg := &nats.Msg{Subject: submitSubject(c.bus.Prefix(), jobType), Header: h, Data: script}
		ack, err := c.js.PublishMsg(ctx, msg, jetstream.WithExpectStream(events.JobsStream))
		if err == nil && ack.Duplicate {
			// One that has had its end since, of which an old copy of Redis knows nothing, revives nobody.
			if _, gone := c.stream.GetMsg(ctx, ack.Sequence); errors.Is(gone, jetstream.ErrMsgNotFound) {
				h[jetstream.MsgIDHeader][0] += fmt.Sprintf("-%d", ack.Sequence)
				ack, err = c.js.PublishMsg(ctx, msg, jetstream.WithExpectStream(events.JobsStream))
			}
		}
		if err != nil {
			return &logError{"revive job " + rec.ID, err}
		}
		sequence = ack.Sequence
		return nil
	})
	return sequence, err
}

// retryJob revives a job that has ended, and answers when it waits.
func (c *Component) retryJob(ctx context.Context, m events.Message, id string) {
	epoch := c.epoch.Load()
	rec, kept, err := c.lookEnded(ctx, id)
	if err == nil && !rec.Status.Ended() {
		c.refuse(m, notEnded(rec, "retry it when it has ended"))
		return
	}
	if err == nil && rec.Status == store.StatusFinished {
		c.refuse(m, &events.Refusal{
			Status: http.StatusConflict, Code: "finished", Job: id, Reason: fmt.Sprintf("job %s has finished", id),
			Hint: "submit it under another id to run it once more",
		})
		return
	}
	if err == nil && kept != nil { // Redis has let its record go
		err = limited(ctx, func(ctx context.Context) error {
			_, err := c.d().Restore(ctx, store.Restoration{Type: kept.Type, ID: id, Fields: kept.Fields, At: kept.At})
			return err
		})
	}
	if err == nil && kept == nil && !rec.DeadAt.IsZero() {
		// The bucket has it before the log revives it, or an emptied Redis would find neither until it has read that far.
		if _, err = c.deadJob(ctx, id); errors.Is(err, store.ErrNoJob) {
			err = c.saveDead(ctx, id, epoch)
		}
	}
	var seq uint64
	if err == nil {
		seq, err = c.publishAgain(ctx, rec)
	}
	if err == nil {
		wait, cancel := context.WithTimeout(ctx, callTimeout)
		defer cancel()
		if !c.told.wait(wait, seq) {
			err = errUnread
		}
	}
	if err == nil {
		rec, _, err = c.find(ctx, id)
	}
	switch {
	case err != nil:
		c.refuse(m, retryTaken(id, seq, c.endTrouble(id, err)))
	case rec.Sequence != seq && rec.Status.Ended(): // conflict: cannot be, its script and type are its own
		c.refuse(m, &events.Refusal{Status: http.StatusConflict, Code: "conflict", Job: id, Reason: fmt.Sprintf("job %s was not revived", id), Hint: "see the facts about it"})
	default:
		c.answer(m, viewOf(rec, time.Now()))
	}
}

// retryTaken adds what is known when the log has a retry and nobody can say yet that its job waits: it was not refused.
func retryTaken(id string, seq uint64, r *events.Refusal) *events.Refusal {
	if seq == 0 || r.Status != http.StatusServiceUnavailable {
		return r
	}
	return &events.Refusal{
		Status: r.Status, Code: r.Code, Job: id, Sequence: seq,
		Reason: fmt.Sprintf("the retry of job %s is in the log (message %d), and not in Redis yet: %s", id, seq, r.Reason),
		Hint:   "it is accepted and need not be asked for again; herosup get jobs " + id + " shows when it waits",
	}
}

// namedDependents is how many of those that wait for a job a refusal names.
const namedDependents = 3

// waited refuses a job that others wait for.
func (c *Component) waited(ctx context.Context, id string) error {
	var first []string
	var all int
	if err := limited(ctx, func(ctx context.Context) (err error) {
		first, all, err = c.store.Dependents(ctx, id, namedDependents)
		return err
	}); err != nil || all == 0 {
		return err
	}
	return waitedFor(id, first, all)
}

// waitedFor says who waits; first may be some of them or none.
func waitedFor(id string, first []string, all int) *events.Refusal {
	who := "1 job waits"
	if all != 1 {
		who = fmt.Sprintf("%d jobs wait", all)
	}
	if len(first) > 0 {
		who += " (" + strings.Join(first, ", ")
		if all > len(first) {
			who += ", ..."
		}
		who += ")"
	}
	return &events.Refusal{
		Status: http.StatusConflict, Code: "waited_for", Job: id, Reason: who + " for job " + id + ": it is kept",
		Hint: "herosup retry " + id + ", or cancel those that wait first",
	}
}

// matches tells whether a dead job is meant; an empty member matches all.
func (d *deadEntry) matches(jobType, reason string, older time.Duration, now time.Time) bool {
	return (jobType == "" || strings.EqualFold(jobType, d.jobType)) && (reason == "" || strings.Contains(d.reason, reason)) &&
		(older <= 0 || now.Sub(d.at) >= older)
}

// lookEnded finds a job that may have left Redis for the bucket of the dead; kept is not nil then.
func (c *Component) lookEnded(ctx context.Context, id string) (rec store.Record, kept *deadRecord, err error) {
	rec, _, err = c.look(ctx, id)
	if !errors.Is(err, store.ErrNoJob) {
		return rec, nil, err
	}
	d, err := c.deadJob(ctx, id)
	if err != nil {
		return rec, nil, err
	}
	return store.RecordOf(id, d.Fields), &d, nil
}

func notEnded(rec store.Record, hint string) *events.Refusal {
	r := &events.Refusal{
		Status: http.StatusConflict, Code: "not_ended", Job: rec.ID, Actor: rec.Actor, Hint: hint,
		Reason: fmt.Sprintf("job %s has not ended, it is %s", rec.ID, stateOf(rec, time.Now())),
	}
	if rec.Status != store.StatusStarted {
		r.Actor = ""
	}
	return r
}

// endTrouble says why something about an ended job was not done.
func (c *Component) endTrouble(id string, err error) *events.Refusal {
	var refusal *events.Refusal
	var onLog *logError
	switch {
	case errors.As(err, &refusal):
		return refusal
	case errors.Is(err, store.ErrNoJob):
		return unknownJob(id)
	case errors.As(err, &onLog):
		return &events.Refusal{Status: http.StatusServiceUnavailable, Code: "log_away", Job: id, Reason: err.Error(), Hint: "try again; the daemon's log says why"}
	case errors.Is(err, store.ErrNoEpoch):
		c.askRebuild()
	}
	return trouble(err)
}
