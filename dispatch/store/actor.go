package store

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"sync/atomic"
)

// Actor is the store as one actor sees it: a number of slots, a job in each.
// It keeps the epoch that its last Hello read.
type Actor struct {
	s           *Store
	name        string
	jobType     string
	incarnation string
	slots       int
	serves      string        // several types: "<type>:<weight> ...", its own first
	host        string        // for people; "" if it is not to be told
	keys        []key         // of Exchange
	epoch       atomic.Uint64 // of the last Hello
}

// Actor gives the store's actor side to one incarnation of one actor, with one slot.
// Its error is a bad name (each must be a token).
func (s *Store) Actor(name, jobType, incarnation string) (*Actor, error) {
	for what, n := range map[string]string{"actor id": name, "script type": jobType, "incarnation": incarnation} {
		if err := bad(what, n); err != nil {
			return nil, err
		}
	}
	k := s.keys
	return &Actor{
		s: s, name: name, jobType: jobType, incarnation: incarnation, slots: 1,
		keys: []key{k.queue(jobType), k.idle(jobType), k.actor(name), k.held(incarnation), k.wake(name), k.lease(jobType)},
	}, nil
}

// SetSlots says, before the first Hello, how many jobs the actor may hold, 1 to MaxSlots.
func (a *Actor) SetSlots(n int) error {
	if n < 1 || n > MaxSlots {
		return fmt.Errorf("actor %s: %d slots, want 1 to %d", a.name, n, MaxSlots)
	}
	a.slots = n
	return nil
}

// OnHost says, before the first Hello, where the actor runs: shown with what became of its jobs. What is no host's name is not told.
func (a *Actor) OnHost(name string) {
	if !strings.ContainsFunc(name, func(r rune) bool { return !strings.ContainsRune(hostRunes, r) }) {
		a.host = name
	}
}

const hostRunes = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-_"

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
	args := []any{dec(epoch), a.jobType, a.name, a.incarnation, a.slots}
	if a.serves != "" || a.host != "" {
		args = append(args, a.serves, a.host)
	}
	r, err := a.s.run(ctx, "hello",
		[]key{k.epoch(), k.facts(), k.actor(a.name), k.wake(a.name), k.held(a.incarnation), k.idle(a.jobType), k.incarnations(), k.types(), k.lease(a.jobType)},
		args...)
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

// Epoch reads the epoch Redis carries now, which a Hello would take; 0 for none.
func (a *Actor) Epoch(ctx context.Context) (uint64, error) { return a.s.Epoch(ctx) }

// token is what fences a call that only the holder of the job may make.
func (a *Actor) token(job Claimed) (incarnation, id, attempt string) {
	return a.incarnation, job.ID, strconv.Itoa(job.Token.Attempt)
}

// Renew says that the actor lives, and asks whether the jobs in its hand, at most MaxSlots, are still its own: a code for each: OK;
// CancelCode: end the script and tell that it failed; Stale or Unknown: end it, its result counts for nothing. Call it every third of Options.Lease while running any.
func (a *Actor) Renew(ctx context.Context, jobs ...Claimed) ([]Code, error) {
	if len(jobs) == 0 || len(jobs) > MaxSlots {
		return nil, fmt.Errorf("renew %d jobs: want 1 to %d", len(jobs), MaxSlots)
	}
	k := a.s.keys
	args := []any{dec(jobs[0].Token.Epoch), a.incarnation}
	for _, j := range jobs {
		args = append(args, strconv.Itoa(j.Token.Attempt)+" "+j.ID)
	}
	r, err := a.s.run(ctx, "renew", []key{k.epoch(), k.lease(a.jobType), k.actor(a.name)}, args...)
	if err != nil {
		return nil, err
	}
	codes := make([]Code, 0, len(jobs))
	for _, letter := range r.str(1) {
		codes = append(codes, toldCodes[letter])
	}
	if len(codes) != len(jobs) {
		r.fail(1, fmt.Sprintf("answer to %d jobs", len(jobs)))
	}
	return codes, r.err
}

// RecordGroup records the process group of the job's script, before the script's
// first instruction; start is the start time of the group's leader (proc(5), field 22). OK, or
// Stale or Unknown: the job is no longer this actor's; CancelCode: it is cancelled. Do not let the script run then.
// The end of the job forgets the group.
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
