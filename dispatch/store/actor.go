package store

import (
	"context"
	"strconv"
	"sync/atomic"
)

// Actor is the store as one actor sees it: one slot, one job at a time.
// It keeps the epoch that its last Hello read.
type Actor struct {
	s           *Store
	name        string
	jobType     string
	incarnation string
	epoch       atomic.Uint64 // of the last Hello
}

// Actor gives the store's actor side to one incarnation of one actor.
// Its error is a bad name (each must be a token).
func (s *Store) Actor(name, jobType, incarnation string) (*Actor, error) {
	for what, n := range map[string]string{"actor id": name, "script type": jobType, "incarnation": incarnation} {
		if err := bad(what, n); err != nil {
			return nil, err
		}
	}
	return &Actor{s: s, name: name, jobType: jobType, incarnation: incarnation}, nil
}

// Hello is the answer to a registration.
type Hello struct {
	Code  Code // OK; Superseded; Conflict: this incarnation is registered as another actor or type
	Epoch uint64
	Open  bool // the gate
	Held  int  // jobs in hand already: Claim returns the first
}

// Hello registers the incarnation under its name and, for a new one, opens its
// gate and empties its wake list; jobs held by an earlier incarnation stay with
// that one until they are recovered. Call it at start, after ErrNoEpoch (until the daemon has
// raised the epoch it keeps answering ErrNoEpoch) and after Unregistered.
func (a *Actor) Hello(ctx context.Context) (Hello, error) {
	epoch, err := a.s.Epoch(ctx)
	if err != nil {
		return Hello{}, err
	}
	if epoch == 0 {
		return Hello{}, ErrNoEpoch
	}
	k := a.s.keys
	r, err := a.s.run(ctx, "hello",
		[]key{k.epoch(), k.facts(), k.actor(a.name), k.wake(a.name), k.held(a.incarnation), k.idle(a.jobType), k.incarnations(), k.types()},
		dec(epoch), a.jobType, a.name, a.incarnation)
	if err != nil {
		return Hello{}, err
	}
	a.epoch.Store(epoch)
	h := Hello{Code: r.code(), Epoch: epoch}
	if h.Code == OK {
		h.Open, h.Held = r.str(1) == "open", r.num(2)
	}
	return h, r.err
}

// token is what fences a call that only the holder of the job may make.
func (a *Actor) token(job Claimed) (incarnation, id, attempt string) {
	return a.incarnation, job.ID, strconv.Itoa(job.Token.Attempt)
}

// Renew extends the lease of the job in hand: OK, or Stale or Unknown if it is no longer
// this actor's: end the script then. Call it every third of Options.Lease while running.
func (a *Actor) Renew(ctx context.Context, job Claimed) (Code, error) {
	k := a.s.keys
	inc, id, attempt := a.token(job)
	r, err := a.s.run(ctx, "renew", []key{k.epoch(), k.job(job.ID), k.lease(a.jobType), k.actor(a.name)},
		dec(job.Token.Epoch), inc, id, attempt)
	if err != nil {
		return "", err
	}
	return r.code(), r.err
}

// RecordGroup records the process group of the job's script, before the script's
// first instruction; start is the start time of the group's leader (proc(5), field 22). OK, or
// Stale or Unknown: the job is no longer this actor's, do not let the script run.
// Finish forgets the group.
func (a *Actor) RecordGroup(ctx context.Context, job Claimed, pgid int, start uint64) (Code, error) {
	k := a.s.keys
	inc, id, attempt := a.token(job)
	r, err := a.s.run(ctx, "group", []key{k.epoch(), k.job(job.ID), k.groups()},
		dec(job.Token.Epoch), inc, id, attempt, strconv.Itoa(pgid), dec(start))
	if err != nil {
		return "", err
	}
	return r.code(), r.err
}

// Pong answers a ping: OK or Unregistered.
func (a *Actor) Pong(ctx context.Context, nonce string) (Code, error) {
	k := a.s.keys
	r, err := a.s.run(ctx, "pong", []key{k.epoch(), k.facts(), k.actor(a.name)},
		dec(a.epoch.Load()), a.jobType, a.name, a.incarnation, nonce)
	if err != nil {
		return "", err
	}
	return r.code(), r.err
}
