package dispatch

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"herosup/events"
)

const (
	// markKey is the key in the bucket events.StateBucket; its value is "<epoch> <fact> <position>".
	markKey = "mark"
	// keepMarkEvery is the pace at which a mark that moved is kept: what a daemon knows that died with Redis.
	keepMarkEvery = time.Second
)

// mark is how far Redis was known to have come in an epoch: both parts only grow. A Redis whose state is behind it has
// an old copy.
type mark struct {
	epoch    uint64
	fact     string // id of the newest fact read
	position uint64 // sequence of the last message accepted
}

// freshMark is what is known of an epoch that just began.
func freshMark(epoch uint64) mark { return mark{epoch: epoch, fact: "0-0"} }

func (m mark) String() string { return fmt.Sprintf("%d %s %d", m.epoch, m.fact, m.position) }

func parseMark(text string) (mark, error) {
	f := strings.Fields(text)
	if len(f) != 3 {
		return mark{}, fmt.Errorf("mark %q: want epoch, fact and position", text)
	}
	epoch, err := strconv.ParseUint(f[0], 10, 64)
	position, err2 := strconv.ParseUint(f[2], 10, 64)
	return mark{epoch: epoch, fact: f[1], position: position}, errors.Join(err, err2)
}

// behind says what of a state is older than this mark, or "".
func (m mark) behind(fact string, position uint64) string {
	switch {
	case position < m.position:
		return fmt.Sprintf("it has the log up to %d, and had it up to %d", position, m.position)
	case compareIDs(fact, m.fact) < 0:
		return fmt.Sprintf("its newest fact is %s, and was %s", fact, m.fact)
	}
	return ""
}

// reached moves the mark; what is of an earlier epoch does not count.
func (c *Component) reached(epoch uint64, move func(*mark)) {
	c.markLock.Lock()
	defer c.markLock.Unlock()
	if epoch != c.mark.epoch {
		return
	}
	move(&c.mark)
}

func (c *Component) knownMark() mark {
	c.markLock.Lock()
	defer c.markLock.Unlock()
	return c.mark
}

func (c *Component) newMark(m mark) {
	c.markLock.Lock()
	defer c.markLock.Unlock()
	c.mark = m
}

// settleCopy is the first look, before anything is done with Redis: what the last daemon knew is in the bucket.
func (c *Component) settleCopy(ctx context.Context, r *reporter) error {
	if !r.until(ctx, func(ctx context.Context) error {
		epoch, _, err := c.keptEpoch(ctx)
		if err != nil {
			return err
		}
		m, err := c.keptMark(ctx, epoch)
		if err != nil {
			return err
		}
		c.newMark(m)
		return c.judgeCopy(ctx, true)
	}) {
		return context.Cause(ctx)
	}
	return nil
}

// runCopies looks at each server process that answers for the first time: every other call, the actors' and ours, waits
// for its word, or what is compared would move meanwhile.
func (c *Component) runCopies(ctx context.Context) error {
	r := c.reporter("copies")
	keep := time.NewTicker(keepMarkEvery)
	defer keep.Stop()
	var kept mark
	for {
		select {
		case <-c.store.Unvouched():
			if !r.until(ctx, func(ctx context.Context) error { return c.judgeCopy(ctx, false) }) {
				return nil
			}
		case <-keep.C:
			m := c.knownMark()
			if m == kept || m.epoch == 0 {
				continue
			}
			if err := limited(ctx, func(ctx context.Context) error { return c.keepMark(ctx, m) }); err != nil {
				c.log.Debug("keep the mark", "err", err)
				continue
			}
			kept = m
		case <-ctx.Done():
			return nil
		}
	}
}

// judgeCopy compares what answers with the mark. One with an old copy, or of another epoch, loses its epoch: every
// script then answers NO_EPOCH until it is filled from the log. always: also one that was vouched for, by the last daemon.
func (c *Component) judgeCopy(ctx context.Context, always bool) error {
	m, s := c.knownMark(), c.store.Bare()
	ok, run, err := s.Vouched(ctx)
	if ok && !always || err != nil {
		return err
	}
	epoch, err := s.Epoch(ctx)
	if err != nil {
		return err
	}
	d := s.Daemon(epoch)
	why := ""
	switch {
	case epoch == 0:
	case epoch != m.epoch:
		why = fmt.Sprintf("it carries epoch %d, this daemon's is %d", epoch, m.epoch)
	default:
		fact, err := s.LastFact(ctx)
		if err != nil {
			return err
		}
		position, err := d.Position(ctx)
		if err != nil {
			return err
		}
		why = m.behind(fact, position)
	}
	if why != "" {
		c.voided.Store(epoch)
		if _, err := d.Void(ctx); err != nil {
			return err
		}
		c.log.Warn("redis came back with an old copy", "reason", why)
		c.oldCopy.Store(&why)
	}
	if run != "" {
		if err := s.Vouch(ctx, run); err != nil {
			return err
		}
	}
	if why != "" {
		c.askRebuild()
	}
	return nil
}

// vouchFilled vouches for a server that has no state of ours, before it gets some: who emptied it took the word about it as well.
func (c *Component) vouchFilled(ctx context.Context) error {
	s := c.store.Bare()
	ok, run, err := s.Vouched(ctx)
	if ok || err != nil {
		return err
	}
	return s.Vouch(ctx, run)
}

func (c *Component) keepMark(ctx context.Context, m mark) error {
	kv, err := c.js.KeyValue(ctx, events.StateBucket)
	if err != nil {
		return &logError{"open bucket " + events.StateBucket, err}
	}
	if _, err := kv.PutString(ctx, markKey, m.String()); err != nil {
		return &logError{"keep the mark", err}
	}
	return nil
}

// keptMark reads what the last daemon knew in this epoch; empty if it says nothing of it.
func (c *Component) keptMark(ctx context.Context, epoch uint64) (mark, error) {
	none := freshMark(epoch)
	kv, err := c.js.KeyValue(ctx, events.StateBucket)
	if err != nil {
		return none, &logError{"open bucket " + events.StateBucket, err}
	}
	e, err := kv.Get(ctx, markKey)
	if errors.Is(err, jetstream.ErrKeyNotFound) {
		return none, nil
	}
	if err != nil {
		return none, &logError{"read the mark", err}
	}
	m, err := parseMark(string(e.Value()))
	if err != nil {
		return none, &logError{"read the mark", err}
	}
	if m.epoch != epoch {
		return none, nil
	}
	return m, nil
}
