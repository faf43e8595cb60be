package store

import (
	"context"
	"strconv"
)

// ClaimResult is the answer of Claim.
type ClaimResult struct {
	Code Code     // GotJob, Idle, Again, Closed, Unregistered
	Job  *Claimed // with GotJob
	Held bool     // with GotJob: it was in hand before this call (a lost answer or wake message)
}

// Claim takes the next job. A job already in hand comes first, with the same token,
// also through a closed gate. With Idle the actor is marked idle: call WaitWake. With Closed
// call WaitWake too: opening rings.
func (a *Actor) Claim(ctx context.Context) (ClaimResult, error) {
	k, epoch := a.s.keys, a.epoch.Load()
	r, err := a.s.run(ctx, "claim", a.s.jobKeys(a.jobType, k.actor(a.name), k.held(a.incarnation), k.wake(a.name)),
		a.s.jobArgs(epoch, a.jobType, a.name, a.incarnation)...)
	if err != nil {
		return ClaimResult{}, err
	}
	res := ClaimResult{Code: r.code()}
	if res.Code == GotJob {
		res.Job, res.Held = a.job(&r, 1, epoch)
	}
	return res, r.err
}

// FinishResult is the answer of Finish.
type FinishResult struct {
	Code Code     // OK; Stale or Unknown: drop the result, then Claim
	Next Code     // with OK: GotJob, Idle, Again, Closed, Unregistered, NotWanted
	Job  *Claimed // with Next == GotJob
}

// Finish ends the job held under its token and, if next is set, takes the next one in
// the same round trip. Repeat it after ErrAway until it answers.
func (a *Actor) Finish(ctx context.Context, job Claimed, out Outcome, next bool) (FinishResult, error) {
	k := a.s.keys
	status, want := StatusFinished, "0"
	if out.Failed {
		status = StatusError
	}
	if next {
		want = "1"
	}
	r, err := a.s.run(ctx, "finish",
		a.s.jobKeys(a.jobType, k.actor(a.name), k.held(a.incarnation), k.wake(a.name), k.job(job.ID), k.groups()),
		a.s.jobArgs(job.Token.Epoch, a.jobType, a.name, a.incarnation, job.ID, strconv.Itoa(job.Token.Attempt),
			string(status), out.Output, out.Error, out.Reason, out.ExitCode, want)...)
	if err != nil {
		return FinishResult{}, err
	}
	res := FinishResult{Code: r.code()}
	if res.Code == OK {
		res.Next = Code(r.str(1))
		if res.Next == GotJob {
			res.Job, _ = a.job(&r, 2, job.Token.Epoch)
		}
	}
	return res, r.err
}

// job reads the fields of a job in hand: held id script env timeout caller context attempt.
func (a *Actor) job(r *reply, at int, epoch uint64) (job *Claimed, held bool) {
	held = r.str(at) == "1"
	return &Claimed{
		ID: r.str(at + 1), Type: a.jobType, Script: r.str(at + 2), EnvJSON: r.str(at + 3),
		Timeout: laxSeconds(r.str(at + 4)), Caller: r.str(at + 5), Context: r.str(at + 6),
		Token: Token{Epoch: epoch, Attempt: r.num(at + 7), Incarnation: a.incarnation},
	}, held
}
