package dispatch

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"

	"herosup/dispatch/store"
	"herosup/events"
)

// report is one loop's word about Redis: "" means that it answers.
type report struct{ who, trouble string }

// reporter passes on what the calls of one loop say about Redis. A loop that
// reported trouble goes on trying until it can take that back; only such loops
// report.
type reporter struct {
	c       *Component
	who     string
	failing bool
	warned  bool
	deaf    bool // the log does not answer, and that was said
	pace    pace
}

// wrongType is the kind of a refusal because of one key that others use.
const wrongType = "WRONGTYPE"

func isWrongType(err error) bool {
	var refused *store.RefusedError
	return errors.As(err, &refused) && refused.Kind == wrongType
}

func (c *Component) reporter(who string) *reporter { return &reporter{c: c, who: who} }

// told takes the outcome of a call and reports whether it was good. A missing
// epoch is not trouble with Redis but asks for a refill.
func (r *reporter) told(ctx context.Context, err error) bool {
	var onLog *logError
	switch {
	case err == nil:
		r.warned = false
		r.pace.reset()
		if r.deaf {
			r.deaf = false
			r.c.log.Info("the log answers again", "reason", r.who)
		}
		if r.failing {
			r.failing = false
			r.c.report(report{who: r.who})
		}
		return true
	case ctx.Err() != nil:
	case errors.Is(err, store.ErrNoEpoch):
		r.c.askRebuild()
	case errors.As(err, &onLog):
		level := slog.LevelWarn
		if r.deaf { // it may be away for a night
			level = slog.LevelDebug
		}
		r.deaf = true
		r.c.log.Log(ctx, level, "the log does not answer", "reason", r.who, "err", err)
	case isWrongType(err) && r.who != "intake":
		// One key is another program's. The rest works: Redis is not lost for it.
		if !r.warned {
			r.warned = true
			r.c.log.Warn("redis key of another kind", "reason", r.who, "err", err)
		}
	default:
		r.failing = true
		r.c.report(report{who: r.who, trouble: err.Error()})
	}
	return false
}

// pause waits before the next try.
func (r *reporter) pause(ctx context.Context) bool { return pause(ctx, r.pace.next()) }

// until repeats a call until it is good or ctx ends. A refusal is repeated as well:
// somebody will free memory or give the rights.
func (r *reporter) until(ctx context.Context, call func(context.Context) error) bool {
	for {
		err := limited(ctx, call)
		if r.told(ctx, err) {
			return true
		}
		if !r.pause(ctx) {
			return false
		}
	}
}

func limited(ctx context.Context, call func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	err := call(ctx)
	var onLog *logError
	if errors.Is(err, context.DeadlineExceeded) && !errors.As(err, &onLog) {
		err = fmt.Errorf("%w: no answer within %s", store.ErrAway, callTimeout)
	}
	return err
}

func (c *Component) report(r report) {
	select {
	case c.reports <- r:
	case <-c.stopping:
	}
}

// runHealth tells RedisLost when the first loop is in trouble and RedisBack when
// the last one is out of it, each once.
func (c *Component) runHealth(ctx context.Context) error {
	trouble := map[string]string{} // by loop: bounded by the number of loops
	for {
		var r report
		select {
		case r = <-c.reports:
		case <-ctx.Done():
			return nil
		}
		before := len(trouble)
		if r.trouble == "" {
			delete(trouble, r.who)
		} else {
			trouble[r.who] = r.trouble
		}
		switch now := len(trouble); {
		case before == 0 && now > 0:
			c.log.Warn("redis lost", "event", "RedisLost", "reason", r.trouble)
			c.publish(events.RedisLost{Reason: r.trouble})
		case before > 0 && now == 0:
			c.log.Info("redis back", "event", "RedisBack")
			c.publish(events.RedisBack{})
			kick(c.sweepNow)
			kick(c.measureNow)
		case now > 0:
			c.log.Debug("redis away", "reason", r.who, "err", r.trouble,
				"state", strings.Join(slices.Sorted(maps.Keys(trouble)), " "))
		}
	}
}

// runPing asks Redis each PingEvery, so that a loss is told also when nobody has
// anything to do; what it asks is the epoch, so that a flush is noticed too.
func (c *Component) runPing(ctx context.Context) error {
	r := c.reporter("ping")
	for {
		var epoch uint64
		ok := r.told(ctx, limited(ctx, func(ctx context.Context) (err error) {
			epoch, err = c.store.Bare().Epoch(ctx)
			return err
		}))
		if ok && c.isReady() && epoch != c.epoch.Load() {
			c.askRebuild()
		}
		wait := c.cfg.PingEvery
		if !ok {
			wait = min(wait, longestPause)
		}
		if !pause(ctx, wait) {
			return nil
		}
	}
}
