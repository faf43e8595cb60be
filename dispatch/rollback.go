package dispatch

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"herosup/dispatch/store"
	"herosup/events"
)

// A log may come back without its end, of which Redis has more: a power cut takes up to the last second of it, or somebody restores a copy
// of its folder. What came then would get numbers that Redis has had already. It would be acknowledged and never read, since the
// intake goes on behind Redis' position; and who ended of those that the log has lost would take it out of the log.
//
// So the log is brought up to Redis' position by messages that are no jobs, which are taken out again at once, and it is read from its
// first message, since others may have come in between. Of those numbers that two messages may have had, the ids are compared
// before one is deleted, for good (the bucket keeps which). The jobs that the log has lost go on from Redis, which alone has them now.
const (
	// fillerType is the last token of the subject of what is no job: no type can be that.
	fillerType = "~"
	// fillerRound is how many are published before their answers are looked at, fillerMost how many at all: more says that the
	// log is not this Redis', and nobody would wait for it.
	fillerRound = 2000
	fillerMost  = 10_000_000
	// reusedKey stands in the bucket events.StateBucket for the numbers that two messages may have had: "<from> <to>".
	reusedKey = "reused"
)

// numbers is a range of sequences, both its ends in it; none in the zero one.
type numbers struct{ from, to uint64 }

func (s numbers) has(seq uint64) bool { return seq >= s.from && seq <= s.to && s.to > 0 }

// errNotLooked is why nothing is deleted for a moment: the intake looks, as soon as it can.
var errNotLooked = errors.New("the server is back, and it is not known yet whether with all of the log")

// looked reports whether the log was looked at since the connection is there.
func (c *Component) looked() bool { return c.lookedAt.Load() == c.bus.Conn().Stats().Reconnects }

// lostEnd is the reason of a refill from such a log.
const lostEnd = "the log of jobs came back without its end"

// mendLog looks whether the log has lost its end, and mends that. lost: it is to be read from its first message then, under the epoch.
func (c *Component) mendLog(ctx context.Context, r *reporter, epoch uint64) (lost bool, err error) {
	var behind, returns uint64
	ok := r.until(ctx, func(ctx context.Context) error {
		lost, behind, returns = false, 0, c.bus.Conn().Stats().Reconnects
		position, err := c.store.Daemon(epoch).Position(ctx)
		if err != nil {
			return err
		}
		info, err := c.stream.Info(ctx)
		if err != nil {
			return &logError{"look at the log", err}
		}
		last := info.State.LastSeq
		if last < position {
			lost, behind = true, position-last
		} else if lost, err = c.reusedAt(ctx, position); err != nil {
			return err
		}
		if !lost || behind > fillerMost {
			return nil
		}
		// From its first one on: how much of what it has came since it was rolled back nobody knows.
		if err := c.keepReused(ctx, numbers{info.State.FirstSeq, max(position, c.reused.Load().to)}); err != nil {
			return err
		}
		if err := c.keepRefill(ctx, epoch); err != nil { // first: should we die behind it, the next reads all of it too
			return err
		}
		return nil
	})
	switch {
	case !ok:
		return false, context.Cause(ctx)
	case behind > fillerMost:
		return false, &ServerError{
			Reason:   fmt.Sprintf("it has had %d messages more than this log of jobs", behind),
			HintText: "one of the two is an old copy, or another's: restore the newer log, or empty this Redis to have it filled from this log",
		}
	}
	c.lookedAt.Store(returns) // what is to be known of its numbers is written down
	if !lost {
		if c.reused.Load().to > 0 && !r.until(ctx, c.purgeFillers) { // who brought it forward may have died behind that
			return false, context.Cause(ctx)
		}
		return false, nil
	}
	c.log.Warn("the log of jobs has lost its end: what Redis has of it goes on", "depth", behind)
	for !r.told(ctx, c.advanceLog(ctx, c.reused.Load().to)) {
		if !r.pause(ctx) {
			return false, context.Cause(ctx)
		}
	}
	return true, nil
}

// reusedAt reports whether the log has another message at Redis' position than Redis has had: of a log that has lost its end, and got as
// many since. A message that is there has a job that is not settled, so Redis has it, under that number. One that was refused, or of a
// job that was there already, looks alike: the log is read once more than it has to be.
func (c *Component) reusedAt(ctx context.Context, position uint64) (bool, error) {
	if position == 0 {
		return false, nil
	}
	m, err := c.stream.GetMsg(ctx, position)
	if errors.Is(err, jetstream.ErrMsgNotFound) {
		return false, nil
	}
	if err != nil {
		return false, &logError{fmt.Sprintf("look at message %d", position), err}
	}
	sub := submissionOf(m)
	rec, err := c.store.Job(ctx, sub.ID)
	if errors.Is(err, store.ErrNoJob) {
		return true, nil
	}
	return err == nil && (rec.Sequence != position || rec.Script != sub.Script), err
}

// submissionOf is what a message of the log submits, as far as it says it.
func submissionOf(m *jetstream.RawStreamMsg) store.Submission {
	sub, _ := logged{
		Type: typeOf(m.Subject), Header: m.Header, Script: m.Data, Stream: events.JobsStream, Sequence: m.Sequence, Time: m.Time,
	}.submission(Defaults{})
	return sub
}

// checkLog is what a connection to a server that was away leads to: ok says that the log has lost its end, and is to be read anew.
func (c *Component) checkLog(ctx context.Context, r *reporter) (s start, ok bool, err error) {
	epoch := c.epoch.Load()
	lost, err := c.mendLog(ctx, r, epoch)
	if err != nil || !lost {
		return start{}, false, err
	}
	c.ending.Lock()
	defer c.ending.Unlock()
	c.told.set(0) // what is not in Redis may be in the log
	s, err = c.beginRefill(ctx, r, epoch, lostEnd)
	return s, true, err
}

// advanceLog publishes what is no job until the log has come so far, and takes it out.
func (c *Component) advanceLog(ctx context.Context, position uint64) error {
	js, err := jetstream.New(c.bus.Conn()) // one of its own: it waits for all its answers
	if err != nil {
		return &logError{"bring the log forward", err}
	}
	subject := submitSubject(c.bus.Prefix(), fillerType)
	for {
		var last uint64
		err := limited(ctx, func(ctx context.Context) (err error) {
			if last, err = c.everLogged(ctx); err != nil || last >= position {
				return err
			}
			var answers []jetstream.PubAckFuture
			for range min(position-last, fillerRound) {
				a, err := js.PublishMsgAsync(&nats.Msg{Subject: subject})
				if err != nil {
					return &logError{"bring the log forward", err}
				}
				answers = append(answers, a)
			}
			for _, a := range answers {
				select {
				case <-a.Ok():
				case err := <-a.Err():
					return &logError{"bring the log forward", err}
				case <-ctx.Done():
					return &logError{"bring the log forward", ctx.Err()}
				}
			}
			return nil
		})
		if err != nil {
			return err
		}
		if last >= position {
			break
		}
	}
	return limited(ctx, c.purgeFillers)
}

// purgeFillers takes out of the log what brought it forward.
func (c *Component) purgeFillers(ctx context.Context) error {
	if err := c.stream.Purge(ctx, jetstream.WithPurgeSubject(submitSubject(c.bus.Prefix(), fillerType))); err != nil {
		return &logError{"bring the log forward", err}
	}
	return nil
}

// loadReused reads which numbers two messages may have had.
func (c *Component) loadReused(ctx context.Context) error {
	kv, err := c.js.KeyValue(ctx, events.StateBucket)
	if err != nil {
		return &logError{"open bucket " + events.StateBucket, err}
	}
	e, err := kv.Get(ctx, reusedKey)
	var s numbers
	switch {
	case errors.Is(err, jetstream.ErrKeyNotFound):
	case err != nil:
		return &logError{"read " + reusedKey, err}
	default:
		if _, err := fmt.Sscanf(string(e.Value()), "%d %d", &s.from, &s.to); err != nil {
			return &logError{"read " + reusedKey, fmt.Errorf("%q in bucket %s is no range", e.Value(), events.StateBucket)}
		}
	}
	c.reused.Store(&s)
	return nil
}

// keepReused writes them down.
func (c *Component) keepReused(ctx context.Context, all numbers) error {
	kv, err := c.js.KeyValue(ctx, events.StateBucket)
	if err != nil {
		return &logError{"open bucket " + events.StateBucket, err}
	}
	if _, err := kv.PutString(ctx, reusedKey, fmt.Sprintf("%d %d", all.from, all.to)); err != nil {
		return &logError{"keep " + reusedKey, err}
	}
	c.reused.Store(&all)
	return nil
}

// endedOf reports whether the job of a message is known to have ended. Of a number that two may have had nothing is known.
func (c *Component) endedOf(seq uint64) bool { return !c.reused.Load().has(seq) && c.endings.has(seq) }

// inLogStill leaves out those whose message the log has lost, and perhaps another's in its place.
func (c *Component) inLogStill(ctx context.Context, page []store.EndedEntry) (seqs []uint64, err error) {
	for _, p := range page {
		switch theirs, err := c.anothers(ctx, p.ID, p.Sequence); {
		case err != nil:
			return nil, err
		case !theirs:
			seqs = append(seqs, p.Sequence)
		}
	}
	return seqs, nil
}

// anothers reports whether the log has another job's message under the number of a job.
func (c *Component) anothers(ctx context.Context, id string, seq uint64) (theirs bool, err error) {
	if !c.reused.Load().has(seq) {
		return false, nil
	}
	err = limited(ctx, func(ctx context.Context) error {
		m, err := c.stream.GetMsg(ctx, seq)
		if errors.Is(err, jetstream.ErrMsgNotFound) {
			return nil
		}
		if err != nil {
			return &logError{fmt.Sprintf("look at message %d", seq), err}
		}
		sub := submissionOf(m)
		if theirs = sub.ID != id; !theirs {
			theirs, err = c.namesake(ctx, sub)
		}
		return err
	})
	return theirs, err
}

// namesake reports whether Redis has another job by the id of a message that names none: both are called by the number that they have had.
func (c *Component) namesake(ctx context.Context, sub store.Submission) (bool, error) {
	if !c.reused.Load().has(sub.Sequence) || sub.ID != numbered(events.JobsStream, sub.Sequence) {
		return false, nil
	}
	rec, err := c.store.Job(ctx, sub.ID)
	if errors.Is(err, store.ErrNoJob) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	at, failed := time.Parse(time.RFC3339, rec.CreatedAt)
	return failed == nil && rec.Sequence == sub.Sequence && !at.Equal(sub.CreatedAt.Truncate(time.Millisecond)), nil
}

// rename puts a message that is called as another job into the log again, by a name of its own, and marks it to be dropped. The
// name is always the same: should we die behind it, the next finds the same job.
func (in *intake) rename(ctx context.Context, it *item, m jetstream.Msg) error {
	for {
		err := limited(ctx, func(ctx context.Context) error {
			is, err := in.c.namesake(ctx, it.sub)
			if err != nil || !is {
				return err
			}
			h := nats.Header{}
			for name, values := range m.Headers() {
				h[name] = values
			}
			h[HeaderJobID] = []string{fmt.Sprintf("%s-%d", it.sub.ID, it.sub.CreatedAt.UnixMilli())}
			if _, err := in.c.js.PublishMsg(ctx, &nats.Msg{Subject: it.subject, Header: h, Data: m.Data()}); err != nil {
				return &logError{"name a message anew", err}
			}
			it.twice = true
			return nil
		})
		if in.r.told(ctx, err) {
			return nil
		}
		if !in.r.pause(ctx) {
			return context.Cause(ctx)
		}
	}
}
