package actor

import (
	"context"
	"errors"
	"log/slog"
	"sync/atomic"

	"herosup/dispatch/store"
)

// link repeats calls while Redis does not answer, and tells the log once when that begins and ends.
type link struct {
	log  *slog.Logger
	away atomic.Bool
}

// repeat calls until it is answered. It ends with nil, ErrNoEpoch, a refusal that no waiting will change (if
// strict), or the cause of ctx.
func (l *link) repeat(ctx context.Context, strict bool, call func() error) error {
	for n := 0; ; n++ {
		err := call()
		if err == nil || errors.Is(err, store.ErrNoEpoch) {
			l.back()
			return err
		}
		if strict && needsPeople(err) {
			return err
		}
		l.gone(ctx, err)
		pause(ctx, n)
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
	}
}

// gone may be called for an error that is the context's own: that is no news.
func (l *link) gone(ctx context.Context, err error) {
	if ctx.Err() == nil && !l.away.Swap(true) {
		l.log.Warn("redis does not serve, trying again", "err", err)
	}
}

func (l *link) back() {
	if l.away.Swap(false) {
		l.log.Info("redis serves again")
	}
}

// needsPeople tells a refusal that is about who we are from one that passes.
func needsPeople(err error) bool {
	var refused *store.RefusedError
	if !errors.As(err, &refused) {
		return false
	}
	switch refused.Kind {
	case "NOAUTH", "WRONGPASS", "NOPERM":
		return true
	}
	return false
}
