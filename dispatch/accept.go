package dispatch

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"herosup/dispatch/store"
	"herosup/events"
)

// take accepts a batch and tells what came of it, in the order of the log.
func (in *intake) take(ctx context.Context, msgs []jetstream.Msg) error {
	if err := in.c.step("take"); err != nil {
		return err
	}
	items := make([]item, len(msgs))
	for i, m := range msgs {
		it, err := in.item(m)
		if err != nil {
			return err
		}
		if f := in.from.refill; f != nil {
			if err := in.rename(ctx, &it, m); err != nil {
				return err
			}
			f.over(&it, in.c.endedOf(it.sub.Sequence))
		}
		items[i] = it
	}
	if err := in.unbury(ctx, items); err != nil {
		return err
	}
	repeated := false
	for len(items) > 0 {
		n, err := in.accept(ctx, items[:min(len(items), in.size)], repeated)
		items = items[n:]
		if len(items) == 0 {
			break
		}
		if err == nil {
			continue // the next part
		}
		if errors.Is(err, errGap) || errors.Is(err, store.ErrNoEpoch) {
			return err
		}
		if spoilt(err, items) {
			continue // refused, with the rest once more
		}
		repeated = true
		in.r.told(ctx, err)
		if !in.r.pause(ctx) {
			return context.Cause(ctx)
		}
	}
	in.r.told(ctx, nil)
	in.discard(ctx)
	return nil
}

// unbury takes jobs of which a good or bad end is known, and no death, out of the bucket of the dead, before their messages are deleted.
func (in *intake) unbury(ctx context.Context, items []item) error {
	var over []deadBy
	for _, it := range items {
		if it.ended {
			over = append(over, deadBy{it.sub.ID, it.sub.Sequence + 1})
		}
	}
	for !in.r.told(ctx, in.c.unbury(ctx, over)) {
		if !in.r.pause(ctx) {
			return context.Cause(ctx)
		}
	}
	return nil
}

// accept makes one pipeline of what is not refused, and returns how many items,
// refused ones included, are done with.
func (in *intake) accept(ctx context.Context, items []item, repeated bool) (done int, err error) {
	var subs []store.Submission
	for _, it := range items {
		if it.refusal == nil && !it.ended && !it.twice {
			// What it waits for may have ended, been settled and forgotten.
			f := in.from.refill
			it.sub.Refilled = it.sub.Refilled || f != nil && it.sub.Sequence <= f.until
			subs = append(subs, it.sub)
		}
	}
	var answers []store.Accepted
	begun := time.Now()
	err = limited(ctx, func(ctx context.Context) (err error) {
		answers, err = in.c.d().Accept(ctx, in.from.after, subs)
		return err
	})
	in.size = nextSize(in.size, len(subs), time.Since(begun), err)
	for _, it := range items {
		if it.refusal != nil {
			in.refused(it, it.refusal)
		} else if it.ended || it.twice {
			in.over(it)
		} else {
			if len(answers) == 0 {
				return done, err
			}
			a := answers[0]
			answers = answers[1:]
			if a.Code == store.Gap {
				return done, fmt.Errorf("before %d: %w", it.sub.Sequence, errGap)
			}
			in.from.after = it.sub.Sequence
			in.c.reached(in.c.epoch.Load(), func(m *mark) { m.position = max(m.position, it.sub.Sequence) })
			in.accepted(it, a, repeated)
		}
		done++
		in.seen = it.sub.Sequence
		in.c.told.set(it.sub.Sequence)
		if f := in.from.refill; f != nil && (it.sub.Sequence >= f.until || it.last) {
			in.refilled(ctx)
		}
	}
	return done, err
}

// spoilt finds the submission whose record or queue is a key of another kind: that
// job is refused, or all behind it, of other types too, would wait for somebody to
// see it.
func spoilt(err error, items []item) bool {
	var r *store.RefusedError
	if !errors.As(err, &r) || r.Kind != wrongType {
		return false
	}
	for i := range items {
		it := &items[i]
		if it.refusal != nil || it.ended || it.twice {
			continue
		}
		// The first that is not done is the one that failed.
		if !strings.Contains(r.Key, ":job:"+it.sub.ID+":") && !strings.Contains(r.Key, ":"+it.sub.Type+":") {
			return false
		}
		it.refusal = &events.Refusal{
			Status: http.StatusConflict, Code: "foreign_key", Job: it.sub.ID, Sequence: it.sub.Sequence,
			Reason: "redis key " + r.Key + ": another program uses it", Hint: "move that key, or set another redis.prefix, and submit again",
		}
		return true
	}
	return false
}

// accepted tells what a good answer means.
func (in *intake) accepted(it item, a store.Accepted, repeated bool) {
	c, s := in.c, it.sub
	if s.Again && a.Sequence == s.Sequence {
		c.toDead(deadLives{s.ID, s.Sequence})
	}
	switch {
	case a.Code == store.Conflict:
		in.refused(it, conflict(s.ID, s.Sequence))
	case a.Code == store.NoNeed:
		in.refused(it, &events.Refusal{
			Status: http.StatusBadRequest, Code: "unknown_prerequisite", Job: s.ID, Sequence: s.Sequence,
			Reason: fmt.Sprintf("prerequisite %s of job %s is not known", a.Missing, s.ID), Hint: "submit it first; the record of an ended job is kept for a time only",
		})
	case a.Adopted:
		c.say(telling{kind: tellAdopted, event: events.JobAdopted{Type: s.Type, Job: s.ID, Sequence: s.Sequence}})
	case a.Code == store.Same && a.Sequence != s.Sequence:
		// The log has it twice: the first message stands for the job.
		c.log.Info("job submitted twice", "job", s.ID, "script_type", s.Type)
		in.later(s.Sequence)
	case a.Code == store.OK || repeated && in.from.refill == nil && !a.Status.Ended():
		// Same after a repeat: the first try had arrived and its answer had not.
		if in.from.refill != nil {
			in.from.refill.jobs++
		}
		c.publish(acceptedAs(s, a))
	}
	if !a.Due.IsZero() || !s.StartBy.IsZero() {
		kick(c.delayedNow)
	}
	if a.Status.Ended() {
		kick(c.endedNow)
	}
}

// acceptedAs is how a job begins its way: in a queue, or behind others.
func acceptedAs(s store.Submission, a store.Accepted) events.Event {
	if a.Status == store.StatusWaiting {
		waits := a.Waits
		if a.Code == store.Same { // the answer that had them was lost
			for _, p := range s.Prerequisites {
				waits = append(waits, p.ID)
			}
		}
		return events.JobWaiting{Type: s.Type, Job: s.ID, Sequence: s.Sequence, Prerequisites: waits, CallerID: s.Caller}
	}
	return events.JobQueued{
		Type: s.Type, Job: s.ID, Sequence: s.Sequence, Ready: a.Ready, DelayedUntil: a.Due, CallerID: s.Caller,
	}
}

// refused tells that a message is no job; it goes from the log after that.
func (in *intake) refused(it item, r *events.Refusal) {
	c := in.c
	c.log.Info("job refused", "job", r.Job, "script_type", it.sub.Type, "reason", r.Reason)
	c.refuse(events.Message{Event: events.JobSubmit{}, On: it.subject}, r)
	if r.Job != "" {
		c.toWaiters(refusedJob{id: r.Job, sequence: r.Sequence, refusal: r})
	}
	in.later(it.sub.Sequence)
}

// over drops a message whose job has ended. A cancel whose fact nobody has read went with Redis, and is told here.
func (in *intake) over(it item) {
	if it.ended && !in.c.endings.read(it.sub.Sequence) {
		in.c.publish(events.JobCancelled{Type: it.sub.Type, Job: it.sub.ID})
	}
	in.later(it.sub.Sequence)
}

func (in *intake) later(sequence uint64) {
	if len(in.discards) < maxDiscards {
		in.discards = append(in.discards, sequence)
	}
}

// discard deletes what is no job. What fails is tried again with the next batch.
func (in *intake) discard(ctx context.Context) {
	if !in.c.looked() {
		return
	}
	var left []uint64
	for _, seq := range in.discards {
		if err := limited(ctx, func(ctx context.Context) error { return in.c.deleteLogged(ctx, seq) }); err != nil {
			in.c.log.Warn("delete refused message", "err", err)
			left = append(left, seq)
		}
	}
	in.discards = left
}

// deleteLogged deletes one message; one that is gone already is no fault.
func (c *Component) deleteLogged(ctx context.Context, seq uint64) error {
	err := c.stream.DeleteMsg(ctx, seq)
	if err == nil {
		return nil
	}
	// The library keeps the server's reason as text only.
	if _, gone := c.stream.GetMsg(ctx, seq); errors.Is(gone, jetstream.ErrMsgNotFound) {
		return nil
	}
	return &logError{fmt.Sprintf("delete message %d", seq), err}
}

// refilled ends a refill: everything that was in the log when the epoch was raised
// is in Redis.
func (in *intake) refilled(ctx context.Context) {
	f, c := in.from.refill, in.c
	in.from.refill = nil
	for _, k := range []chan struct{}{c.measureNow, c.delayedNow, c.endedNow, c.sweepNow} {
		kick(k)
	}
	c.filled.Store(f.epoch)
	kick(c.cancelsNow)
	if !f.first {
		c.told.set(max(c.told.seq.Load(), f.last)) // or who waits for what the log has no more would wait for the next submission
	}
	c.toWaiters(recheckAll{}) // what had ended may be forgotten
	if f.first {
		return // nothing was lost
	}
	if err := limited(ctx, func(ctx context.Context) error { return c.keepRefill(ctx, 0) }); err != nil {
		c.log.Warn("the next start refills once more", "err", err)
	}
	c.log.Info("redis refilled", "event", "RedisRefilled", "depth", f.jobs, "kept", f.kept, "silent", f.silent, "reason", f.reason)
	c.publish(events.RedisRefilled{Epoch: int64(f.epoch), Jobs: f.jobs, Kept: f.kept, Silent: f.silent, Reason: f.reason})
	select {
	case c.orders <- ringAll{}: // those that were deaf the first time
	default:
	}
}
