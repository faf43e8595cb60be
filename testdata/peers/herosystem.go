package main

import (
	"context"
	"errors"
	"fmt"

	"herosup/dispatch/store"
)

// raiseEpoch does what the daemon does to an empty Redis.
func raiseEpoch(ctx context.Context, s *server) error {
	st, err := openStore(s.socket)
	if err != nil {
		return err
	}
	code, _, err := st.RaiseEpoch(ctx, storeEpoch)
	if err == nil && code != store.OK {
		err = fmt.Errorf("raise the epoch: %s", code)
	}
	return errors.Join(err, st.Close())
}

// heroLeft counts the queue and what is in hand. It reads the keys and not
// store.Depths: it is called five hundred times a second, and a script would weigh.
func heroLeft(ctx context.Context, s *server) (int, error) {
	p := s.Pipeline()
	waiting, held := p.LLen(ctx, "hero:q:work:type:noop"), p.ZCard(ctx, "hero:lease:noop")
	_, err := p.Exec(ctx)
	return int(waiting.Val() + held.Val()), err
}

// heroEnded counts the list for the log, which nobody empties without the daemon.
func heroEnded(ctx context.Context, s *server) (int, error) {
	n, err := s.LLen(ctx, "hero:ended").Result()
	return int(n), err
}
