package dispatch

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"log/slog"
	"strconv"

	"github.com/nats-io/nats.go/jetstream"

	"herosup/dispatch/store"
	"herosup/events"
)

// Keys in the bucket events.StateBucket; their values are epochs, decimal. refillKey stands while Redis, under that epoch, is
// filled from the log: who finds it at the start begins anew.
const (
	epochKey  = "epoch"
	refillKey = "refill"
)

// firstStart is the reason of a refill that has nothing to bring back.
const firstStart = "first start"

// start is where the reading of the log begins.
type start struct {
	after  uint64  // sequence of the last message that Redis has; 0: from the first
	refill *refill // not nil: Redis is filled again
}

// refill is one rebuild of Redis from the log.
type refill struct {
	epoch  uint64
	first  bool   // there was no epoch before: nothing can have been lost
	until  uint64 // done when this message is told; 0: the log is empty
	last   uint64 // of the last message that the log ever had: what it has no more has ended
	jobs   int
	kept   int // jobs that living actors had in hand
	silent int // living actors that did not say what they hold
	reason string
	ended  map[string][sha256.Size]byte // jobs that are known to have ended, of which it has read a message: their likeness
}

// settleEpoch finds out at the start whether Redis is the one that was left, and
// where to go on in the log.
func (c *Component) settleEpoch(ctx context.Context, r *reporter) (start, error) {
	var mine, filling, theirs uint64
	for {
		err := limited(ctx, func(ctx context.Context) (err error) {
			if mine, _, err = c.keptEpoch(ctx); err != nil {
				return err
			}
			if filling, _, err = c.keptNumber(ctx, refillKey); err != nil {
				return err
			}
			if err = c.loadReused(ctx); err != nil {
				return err
			}
			theirs, err = c.store.Epoch(ctx)
			return err
		})
		if r.told(ctx, err) {
			break
		}
		if !r.pause(ctx) {
			return start{}, context.Cause(ctx)
		}
	}
	lost, err := c.mendLog(ctx, r, mine)
	if err != nil {
		return start{}, err
	}
	if mine != theirs || mine == 0 {
		return c.rebuild(ctx, r, mine, theirs)
	}
	c.useEpoch(mine)
	switch {
	case lost:
		return c.beginRefill(ctx, r, mine, lostEnd)
	case filling == mine:
		return c.beginRefill(ctx, r, mine, fmt.Sprintf("the daemon before ended while it filled epoch %d", mine))
	}
	return c.resume(ctx, r)
}

// resume goes on behind the last message that Redis has.
func (c *Component) resume(ctx context.Context, r *reporter) (start, error) {
	var s start
	if !r.until(ctx, func(ctx context.Context) (err error) {
		if err := c.store.PublishScripts(ctx); err != nil { // an older program may have left others
			return err
		}
		s.after, err = c.d().Position(ctx)
		return err
	}) {
		return start{}, context.Cause(ctx)
	}
	c.filled.Store(c.epoch.Load())
	c.told.set(s.after)
	return s, nil
}

// checkEpoch is what a kick leads to: it rebuilds if Redis carries another epoch.
// ok is false if it does not.
func (c *Component) checkEpoch(ctx context.Context, r *reporter) (s start, ok bool, err error) {
	var theirs uint64
	if !r.until(ctx, func(ctx context.Context) (err error) {
		theirs, err = c.store.Epoch(ctx)
		return err
	}) {
		return start{}, false, context.Cause(ctx)
	}
	if theirs == c.epoch.Load() {
		return start{}, false, nil
	}
	c.ending.Lock()
	defer c.ending.Unlock()
	s, err = c.rebuild(ctx, r, c.epoch.Load(), theirs)
	return s, true, err
}

// rebuild raises the epoch, in the bucket first: should we die between the two,
// the next start sees that they differ and raises it once more, while an epoch
// that only Redis has could come again after the loss of both. From the moment
// Redis carries it, actors may register and work; the log is read from its first
// message, and the bucket says so before, or who starts after our death would take
// a Redis filled in part for a whole one.
func (c *Component) rebuild(ctx context.Context, r *reporter, mine, theirs uint64) (start, error) {
	reason := fmt.Sprintf("Redis carries epoch %d, this daemon's is %d", theirs, mine)
	switch {
	case c.oldCopy.Load() != nil:
		reason = "Redis came back with an old copy: " + *c.oldCopy.Swap(nil)
	case mine == 0 && theirs == 0:
		reason = firstStart
	case theirs == 0:
		reason = "Redis came without its data (no epoch)"
	}
	// The flush took the owner's key along, and somebody else may have it by now:
	// two daemons would raise the epoch against each other.
	if err := c.own(ctx, r, true); err != nil {
		return start{}, err
	}
	if theirs == 0 && mine > 0 {
		if err := c.forgetSettled(ctx, r); err != nil {
			return start{}, err
		}
	}
	if !r.until(ctx, c.vouchFilled) {
		return start{}, context.Cause(ctx)
	}
	c.told.set(0) // first: what is not in Redis then may be in the log
	next := max(mine, theirs, c.voided.Load()) + 1
	for {
		var kept uint64
		var code store.Code
		err := limited(ctx, func(ctx context.Context) (err error) {
			if kept, err = c.keepEpoch(ctx, next); err != nil || kept > next {
				return err
			}
			if reason != firstStart {
				if err := c.keepRefill(ctx, next); err != nil {
					return err
				}
			}
			code, theirs, err = c.store.RaiseEpoch(ctx, next)
			return err
		})
		switch ok := r.told(ctx, err); {
		case ok && kept <= next && code != store.Higher:
			c.useEpoch(next)
			return c.beginRefill(ctx, r, next, reason)
		case ok:
			next = max(kept, theirs) + 1
		}
		if !r.pause(ctx) {
			return start{}, context.Cause(ctx)
		}
	}
}

func (c *Component) beginRefill(ctx context.Context, r *reporter, epoch uint64, reason string) (start, error) {
	f := &refill{epoch: epoch, reason: reason, first: reason == firstStart}
	if !r.until(ctx, func(ctx context.Context) (err error) {
		if err := c.store.PublishScripts(ctx); err != nil {
			return err
		}
		if f.last, err = c.everLogged(ctx); err == nil {
			f.until, err = c.lastLogged(ctx)
		}
		return err
	}) {
		return start{}, context.Cause(ctx)
	}
	level := slog.LevelWarn
	if f.first {
		level = slog.LevelDebug
	}
	c.log.Log(ctx, level, "refill redis from the log", "event", "RedisRefilled", "reason", reason)
	c.toGates(ringAll{})
	f.kept, f.silent = c.collect(ctx, r)
	if !f.first {
		if err := c.restoreDead(ctx, r); err != nil {
			return start{}, err
		}
	}
	return start{refill: f}, c.step("refill")
}

func (c *Component) useEpoch(epoch uint64) {
	if c.knownMark().epoch != epoch {
		c.newMark(freshMark(epoch))
	}
	c.daemon.Store(c.store.Daemon(epoch))
	c.epoch.Store(epoch)
}

// keptEpoch reads the bucket: 0 for none.
func (c *Component) keptEpoch(ctx context.Context) (epoch, revision uint64, err error) {
	return c.keptNumber(ctx, epochKey)
}

func (c *Component) keptNumber(ctx context.Context, key string) (n, revision uint64, err error) {
	kv, err := c.js.KeyValue(ctx, events.StateBucket)
	if err != nil {
		return 0, 0, &logError{"open bucket " + events.StateBucket, err}
	}
	e, err := kv.Get(ctx, key)
	if errors.Is(err, jetstream.ErrKeyNotFound) {
		return 0, 0, nil
	}
	if err != nil {
		return 0, 0, &logError{"read " + key, err}
	}
	n, err = strconv.ParseUint(string(e.Value()), 10, 64)
	if err != nil {
		return 0, 0, &logError{"read " + key, fmt.Errorf("%q in bucket %s is no number", e.Value(), events.StateBucket)}
	}
	return n, e.Revision(), nil
}

// keepEpoch writes it, unless a higher one is there: that is returned then.
func (c *Component) keepEpoch(ctx context.Context, epoch uint64) (uint64, error) {
	have, revision, err := c.keptEpoch(ctx)
	if err != nil || have >= epoch {
		return have, err
	}
	kv, err := c.js.KeyValue(ctx, events.StateBucket)
	if err != nil {
		return 0, &logError{"open bucket " + events.StateBucket, err}
	}
	value := []byte(strconv.FormatUint(epoch, 10))
	if revision == 0 {
		_, err = kv.Create(ctx, epochKey, value)
	} else {
		_, err = kv.Update(ctx, epochKey, value, revision)
	}
	if err != nil {
		return 0, &logError{"keep epoch", err}
	}
	return epoch, nil
}

// keepRefill writes down that Redis is being filled under an epoch; 0: it is done.
func (c *Component) keepRefill(ctx context.Context, epoch uint64) error {
	kv, err := c.js.KeyValue(ctx, events.StateBucket)
	if err != nil {
		return &logError{"open bucket " + events.StateBucket, err}
	}
	if epoch == 0 {
		err = kv.Delete(ctx, refillKey)
	} else {
		_, err = kv.PutString(ctx, refillKey, strconv.FormatUint(epoch, 10))
	}
	if err != nil {
		return &logError{"keep refill", err}
	}
	return nil
}

// everLogged is the sequence of the last message that the log ever had.
func (c *Component) everLogged(ctx context.Context) (uint64, error) {
	info, err := c.stream.Info(ctx)
	if err != nil {
		return 0, &logError{"look at the log", err}
	}
	return info.State.LastSeq, nil
}

// lastLogged is the sequence of the last message that the log holds; 0 for none.
func (c *Component) lastLogged(ctx context.Context) (uint64, error) {
	m, err := c.stream.GetLastMsgForSubject(ctx, submitSubject(c.bus.Prefix(), "*"))
	if errors.Is(err, jetstream.ErrMsgNotFound) {
		return 0, nil
	}
	if err != nil {
		return 0, &logError{"read the log's end", err}
	}
	return m.Sequence, nil
}

// logError is trouble with the log or the bucket: the bus, not Redis.
type logError struct {
	doing string
	err   error
}

func (e *logError) Error() string { return e.doing + ": " + e.err.Error() }
func (e *logError) Unwrap() error { return e.err }
