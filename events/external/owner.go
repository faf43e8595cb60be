package external

import (
	"context"
	"errors"
	"fmt"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"herosup/events"
)

// ownerKey holds, in the state bucket, the id of the state folder whose daemon keeps the
// streams. That folder has one daemon at a time by its lock.
const ownerKey = "owner"

// TakenError says that the streams are kept by another state folder's daemon: two
// would give each job to both.
type TakenError struct{ State string }

func (e *TakenError) Error() string {
	return fmt.Sprintf("this NATS holds the jobs of another herosup (state %s): use another account of it, "+
		"or, if that one is gone for good, take them over: nats kv del %s %s", e.State, events.StateBucket, ownerKey)
}

// Claim makes the streams those of the daemon of a state folder. The error is a *TakenError
// if they are another's. ctx must have a deadline.
func Claim(ctx context.Context, b *events.Bus, state string) error {
	js, err := jetstream.New(b.Conn())
	if err != nil {
		return fmt.Errorf("jetstream: %w", err)
	}
	kv, err := js.KeyValue(ctx, events.StateBucket)
	if err != nil {
		return fmt.Errorf("bucket %s: %w", events.StateBucket, err)
	}
	_, err = kv.Create(ctx, ownerKey, []byte(state))
	if !errors.Is(err, jetstream.ErrKeyExists) {
		return err
	}
	e, err := kv.Get(ctx, ownerKey)
	if err != nil {
		return fmt.Errorf("owner of the streams: %w", err)
	}
	if owner := string(e.Value()); owner != state {
		return &TakenError{State: owner}
	}
	return nil
}

// Explain adds to an error of making the streams what its keeper can do.
func Explain(err error) error {
	switch {
	case errors.Is(err, jetstream.ErrJetStreamNotEnabled), errors.Is(err, jetstream.ErrJetStreamNotEnabledForAccount),
		errors.Is(err, nats.ErrNoResponders):
		return fmt.Errorf("%w: start the server with -js, and let the account have it", err)
	case errors.Is(err, context.DeadlineExceeded):
		return fmt.Errorf("%w: no answer: is JetStream on for this user, and may it publish on $JS.API.>?", err)
	}
	return err
}
