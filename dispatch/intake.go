package dispatch

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/nats-io/nats.go/jetstream"

	"herosup/dispatch/store"
	"herosup/events"
)

const (
	// maxBatch bounds one pipeline of accepts: some ten milliseconds on the
	// embedded Redis, during which actors wait for their answers.
	maxBatch = 256
	// maxPullBytes bounds what the server sends ahead, scripts being up to 1 MiB.
	maxPullBytes = 16 << 20
	// aheadBuffer is what waits behind the batch in hand.
	aheadBuffer = 64
	// maxDiscards bounds the refused messages that could not be deleted yet; more
	// are left to the next refill, which refuses them again.
	maxDiscards = 1000
)

var (
	errGap    = errors.New("messages of the log were not accepted")
	errReader = errors.New("the reader of the log ended")
)

// intake reads the log and puts it into Redis. It alone moves the position and the
// epoch.
type intake struct {
	c        *Component
	r        *reporter
	from     start
	discards []uint64 // refused or doubled messages that are to be deleted
}

// runIntake reads until ctx ends. Redis away stops it in the middle of a batch,
// and with it the reading: what was not accepted stays in the log.
func (c *Component) runIntake(ctx context.Context, r *reporter, from start) error {
	in := &intake{c: c, r: r, from: from}
	retry := pace{}
	for {
		before := in.from.after
		err := in.read(ctx)
		var owner *OwnerError
		switch {
		case ctx.Err() != nil:
			return nil
		case errors.As(err, &owner):
			return err
		case errors.Is(err, store.ErrNoEpoch):
			s, ok, err := c.checkEpoch(ctx, r)
			if ok && err == nil {
				in.from = s
			}
			if errors.As(err, &owner) {
				return err
			}
		case errors.Is(err, errGap):
			c.log.Warn("read the log again", "reason", err.Error())
			if in.from.refill != nil {
				in.from.after = 0
			} else if in.from, err = c.resume(ctx, r); err != nil {
				return nil
			}
		default:
			c.log.Warn("read the log", "err", err)
		}
		if in.from.after != before {
			retry.reset()
		}
		if !pause(ctx, retry.next()) {
			return nil
		}
	}
}

// read accepts what comes from in.from on, until something makes it begin anew.
func (in *intake) read(ctx context.Context) error {
	reading, stop := context.WithCancel(ctx)
	defer stop()
	msgs := make(chan jetstream.Msg, aheadBuffer)
	cons, err := in.consume(reading, msgs)
	if err != nil {
		return err
	}
	closed := cons.Closed() // starts a goroutine, so once
	defer func() {
		stop() // lets a handler that waits go
		cons.Stop()
		<-closed
	}()
	if f := in.from.refill; f != nil && f.until == 0 {
		in.refilled()
	}
	for {
		select {
		case m := <-msgs:
			if err := in.take(ctx, batch(m, msgs)); err != nil {
				return err
			}
		case <-in.c.rebuildNow:
			s, ok, err := in.c.checkEpoch(ctx, in.r)
			if err != nil {
				return err
			}
			if ok {
				in.from = s
				return nil
			}
		case <-closed:
			return errReader
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// consume starts an ordered consumer: one reader's own, without acknowledgements,
// which the library makes anew after a gap.
func (in *intake) consume(ctx context.Context, msgs chan<- jetstream.Msg) (jetstream.ConsumeContext, error) {
	cfg := jetstream.OrderedConsumerConfig{DeliverPolicy: jetstream.DeliverAllPolicy}
	if in.from.after > 0 {
		cfg.DeliverPolicy, cfg.OptStartSeq = jetstream.DeliverByStartSequencePolicy, in.from.after+1
	}
	var cons jetstream.Consumer
	err := limited(ctx, func(ctx context.Context) (err error) {
		if cons, err = in.c.stream.OrderedConsumer(ctx, cfg); err != nil {
			return &logError{"read the log", err}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	cc, err := cons.Consume(func(m jetstream.Msg) {
		select {
		case msgs <- m:
		case <-ctx.Done():
		}
	}, jetstream.PullMaxMessagesWithBytesLimit(maxBatch, maxPullBytes), jetstream.ConsumeErrHandler(func(_ jetstream.ConsumeContext, err error) {
		in.c.log.Debug("reader of the log", "err", err)
	}))
	if err != nil {
		return nil, &logError{"read the log", err}
	}
	return cc, nil
}

// batch takes what is there already; it never waits for more, since one message
// alone must be accepted at once.
func batch(first jetstream.Msg, msgs <-chan jetstream.Msg) []jetstream.Msg {
	all := []jetstream.Msg{first}
	for len(all) < maxBatch {
		select {
		case m := <-msgs:
			all = append(all, m)
		default:
			return all
		}
	}
	return all
}

// item is one message on its way in.
type item struct {
	subject string
	sub     store.Submission
	refusal *events.Refusal
	last    bool // nothing was behind it in the log when it was sent
}

func (in *intake) item(m jetstream.Msg) (item, error) {
	md, err := m.Metadata()
	if err != nil {
		return item{}, &logError{"read the log", err}
	}
	subject := m.Subject()
	it := item{subject: subject, last: md.NumPending == 0}
	it.sub, it.refusal = logged{
		Type: subject[strings.LastIndexByte(subject, '.')+1:], Header: m.Headers(), Script: m.Data(),
		Stream: md.Stream, Sequence: md.Sequence.Stream, Time: md.Timestamp,
	}.submission()
	return it, nil
}

// take accepts a batch and tells what came of it, in the order of the log.
func (in *intake) take(ctx context.Context, msgs []jetstream.Msg) error {
	items := make([]item, len(msgs))
	for i, m := range msgs {
		it, err := in.item(m)
		if err != nil {
			return err
		}
		items[i] = it
	}
	repeated := false
	for len(items) > 0 {
		n, err := in.accept(ctx, items, repeated)
		items = items[n:]
		if len(items) == 0 {
			break
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

// accept makes one pipeline of what is not refused, and returns how many items,
// refused ones included, are done with.
func (in *intake) accept(ctx context.Context, items []item, repeated bool) (done int, err error) {
	var subs []store.Submission
	for _, it := range items {
		if it.refusal == nil {
			subs = append(subs, it.sub)
		}
	}
	var answers []store.Accepted
	err = limited(ctx, func(ctx context.Context) (err error) {
		answers, err = in.c.d().Accept(ctx, in.from.after, subs)
		return err
	})
	for _, it := range items {
		if it.refusal != nil {
			in.refused(it, it.refusal)
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
			in.accepted(it, a, repeated)
		}
		done++
		in.c.told.set(it.sub.Sequence)
		if f := in.from.refill; f != nil && (it.sub.Sequence >= f.until || it.last) {
			in.refilled()
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
		if it.refusal != nil {
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
	switch {
	case a.Code == store.Conflict:
		in.refused(it, &events.Refusal{
			Status: http.StatusConflict, Code: "conflict", Job: s.ID, Sequence: s.Sequence,
			Reason: fmt.Sprintf("job id %s is taken by a job with another script or type", s.ID), Hint: "choose another id; the same job again would be no fault",
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
		c.publish(events.JobQueued{
			Type: s.Type, Job: s.ID, Sequence: s.Sequence, Ready: a.Ready, DelayedUntil: a.Due, CallerID: s.Caller,
		})
	}
	if !a.Due.IsZero() {
		kick(c.delayedNow)
	}
	if a.Status.Ended() {
		kick(c.endedNow)
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

func (in *intake) later(sequence uint64) {
	if len(in.discards) < maxDiscards {
		in.discards = append(in.discards, sequence)
	}
}

// discard deletes what is no job. What fails is tried again with the next batch.
func (in *intake) discard(ctx context.Context) {
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
func (in *intake) refilled() {
	f, c := in.from.refill, in.c
	in.from.refill = nil
	for _, k := range []chan struct{}{c.measureNow, c.delayedNow, c.endedNow, c.lookNow, c.sweepNow} {
		kick(k)
	}
	if f.first && f.jobs == 0 {
		return // nothing was lost and nothing was filled
	}
	c.log.Info("redis refilled", "event", "RedisRefilled", "depth", f.jobs, "reason", f.reason)
	c.publish(events.RedisRefilled{Epoch: int64(f.epoch), Jobs: f.jobs, Reason: f.reason})
	select {
	case c.orders <- ringAll{}: // those that were deaf the first time
	default:
	}
}
