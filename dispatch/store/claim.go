package store

import "context"

// Claim and Finish are Exchange for an actor of one slot.

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
	r, err := a.Exchange(ctx, nil, 0, 1)
	res := ClaimResult{Code: r.Code}
	if len(r.Jobs) > 0 {
		res.Code, res.Job, res.Held = GotJob, &r.Jobs[0].Claimed, r.Jobs[0].Held
	}
	return res, err
}

// FinishResult is the answer of Finish.
type FinishResult struct {
	Code Code     // OK; Stale or Unknown: drop the result
	Next Code     // GotJob, Idle, Again, Closed, Unregistered, NotWanted
	Job  *Claimed // with Next == GotJob
}

// Finish ends the job held under its token, or, if it failed and has retries left, lets it wait for its next try, and, if next is set, takes the next one in
// the same round trip. Repeat it after ErrAway until it answers.
func (a *Actor) Finish(ctx context.Context, job Claimed, out Outcome, next bool) (FinishResult, error) {
	want := 0
	if next {
		want = 1
	}
	r, err := a.Exchange(ctx, []Ended{{Job: job, Outcome: out}}, 0, want)
	if err != nil {
		return FinishResult{}, err
	}
	res := FinishResult{Code: r.Told[0], Next: r.Code}
	if len(r.Jobs) > 0 {
		res.Next, res.Job = GotJob, &r.Jobs[0].Claimed
	}
	return res, nil
}
