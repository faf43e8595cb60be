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

// heroLeft counts the queue and the actors that have something in hand, whose held lists exist then. It reads the keys
// and not store.Depths: it is called five hundred times a second, and a script would weigh. Held lists are looked for
// only when the queue is empty.
func heroLeft(ctx context.Context, s *server) (int, error) {
	waiting, err := s.LLen(ctx, "hero:q:work:type:noop").Result()
	if err != nil || waiting > 0 {
		return int(waiting), err
	}
	actors, err := s.ZRange(ctx, "hero:lease:noop", 0, -1).Result()
	if err != nil || len(actors) == 0 {
		return 0, err
	}
	for i, inc := range actors {
		actors[i] = "hero:held:" + inc
	}
	held, err := s.Exists(ctx, actors...).Result()
	return int(held), err
}

// heroEnded counts the list for the log, which nobody empties without the daemon.
func heroEnded(ctx context.Context, s *server) (int, error) {
	n, err := s.LLen(ctx, "hero:ended").Result()
	return int(n), err
}
