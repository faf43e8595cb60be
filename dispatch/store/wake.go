package store

import (
	"context"
	"encoding/json"
	"errors"
	"time"

	"github.com/redis/go-redis/v9"
)

// WakeKind says what woke an actor.
type WakeKind string

// What a wake list carries.
const (
	WakeNone WakeKind = ""     // the time was up: call Claim
	WakeJob  WakeKind = "job"  // a job was claimed on the actor's behalf: run it
	WakeRing WakeKind = "ring" // call Claim
	WakePing WakeKind = "ping" // call Pong with the nonce
	// WakeCancel: the job in hand is cancelled: end it and tell that it failed. Job has its ID and Token only.
	WakeCancel WakeKind = "cancel"
)

// Wake is one message of the wake list.
type Wake struct {
	Kind  WakeKind
	Job   *Claimed // with WakeJob
	Nonce string   // with WakePing
}

// WaitWake blocks until a message comes, timeout has passed (WakeNone; at least 10 ms,
// 5 min is the usual) or ctx ends (its cause). A message it can not read counts as a ring: Claim is
// always safe. It uses a connection of its own. After an error call Claim before waiting again: a
// message may have gone with the connection, a job it carried is in hand.
func (a *Actor) WaitWake(ctx context.Context, timeout time.Duration) (Wake, error) {
	k := a.s.keys.wake(a.name)
	timeout = max(timeout, 10*time.Millisecond)
	var text string
	err := a.s.blocking(ctx, func(ctx context.Context, c *redis.Client) error {
		var pair []string
		var err error
		if timeout < time.Second {
			pair, err = c.Do(ctx, "BLPOP", k.name, seconds(timeout)).StringSlice()
		} else {
			pair, err = c.BLPop(ctx, timeout.Truncate(time.Second), k.name).Result()
		}
		if len(pair) == 2 {
			text = pair[1]
		}
		return err
	})
	if errors.Is(err, redis.Nil) {
		return Wake{}, nil
	}
	if err != nil {
		return Wake{}, a.s.fault(ctx, err, []key{k})
	}
	return a.readWake(text), nil
}

func (a *Actor) readWake(text string) Wake {
	var m struct {
		Kind, Nonce                                     string
		ID, Type, Script, Env, Timeout, Caller, Context string
		Attempt, Epoch, Incarnation                     string
	}
	if err := json.Unmarshal([]byte(text), &m); err != nil {
		return Wake{Kind: WakeRing}
	}
	switch WakeKind(m.Kind) { //nolint:exhaustive // all else is a ring
	case WakePing:
		return Wake{Kind: WakePing, Nonce: m.Nonce}
	case WakeCancel:
		if m.Incarnation != a.incarnation {
			return Wake{Kind: WakeRing}
		}
		return Wake{Kind: WakeCancel, Job: &Claimed{
			ID: m.ID, Token: Token{Epoch: laxUint(m.Epoch), Attempt: laxInt(m.Attempt), Incarnation: m.Incarnation},
		}}
	case WakeJob:
		if m.Incarnation != a.incarnation { // an earlier life's: its held list has the job
			return Wake{Kind: WakeRing}
		}
		return Wake{Kind: WakeJob, Job: &Claimed{
			ID: m.ID, Type: m.Type, Script: m.Script, EnvJSON: m.Env, Timeout: laxSeconds(m.Timeout),
			Caller: m.Caller, Context: m.Context,
			Token: Token{Epoch: laxUint(m.Epoch), Attempt: laxInt(m.Attempt), Incarnation: m.Incarnation},
		}}
	}
	return Wake{Kind: WakeRing}
}
