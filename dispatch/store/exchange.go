package store

import (
	"context"
	"fmt"
	"strconv"
	"strings"
)

// MaxExchange bounds the ends and the jobs of one Exchange.
const MaxExchange = 100

// MaxSlots bounds how many jobs one actor may hold.
const MaxSlots = 1000

// Ended is one job's end, as its actor tells it.
type Ended struct {
	Job     Claimed
	Outcome Outcome
}

// ExchangeResult is the answer of Exchange.
type ExchangeResult struct {
	// Told has a code for each end: OK (also when it was told before, and when the job waits for a retry), Stale or Unknown: drop the result.
	Told []Code
	// Code says why there are no more jobs: GotJob (all that was wanted, or the hand is full), Idle (the actor stands
	// among the idle: WaitWake), Again (ask again), Closed (WaitWake: opening rings), NotWanted, or Unregistered.
	Code Code
	// Jobs are those to run. First, with Held set, all that is in hand, if that is more than Known: an answer
	// or a message was lost, and the caller runs those that it does not know.
	Jobs []Taken
}

// Taken is a job that Exchange gives.
type Taken struct {
	Claimed
	Held bool // was in hand before this call
}

// Listening is Exchange's known while a WaitWake or another Exchange of the same actor is under way: jobs may have come by it.
const Listening = -1

// Exchange tells which jobs ended and takes at most want others, in one round trip; at most MaxExchange of each. known
// is how many jobs the caller runs beside the ended ones, or Listening. Never does the actor hold more
// than its Slots. Repeat it after ErrAway until it answers, with known and not with Listening: the answer that
// was lost may have given jobs.
func (a *Actor) Exchange(ctx context.Context, ended []Ended, known, want int) (ExchangeResult, error) {
	if len(ended) > MaxExchange || want > MaxExchange {
		return ExchangeResult{}, fmt.Errorf("exchange %d ends for %d jobs: want at most %d each", len(ended), want, MaxExchange)
	}
	epoch := a.epoch.Load()
	if len(ended) > 0 {
		epoch = ended[0].Job.Token.Epoch // the caller's, whatever another goroutine's Hello found since
	}
	args := make([]any, 7, 7+4*len(ended))
	args[0], args[1], args[2], args[3] = dec(epoch), a.jobType, a.name, a.incarnation
	args[4], args[5], args[6] = a.slots, known, want
	for _, e := range ended {
		args = a.appendEnd(args, e)
	}
	r, err := a.s.run(ctx, "exchange", a.keys, args...)
	if err != nil {
		return ExchangeResult{}, err
	}
	res := ExchangeResult{Code: r.code(), Told: make([]Code, 0, len(ended))}
	for _, letter := range r.str(1) {
		res.Told = append(res.Told, toldCodes[letter])
	}
	if len(res.Told) != len(ended) {
		r.fail(1, fmt.Sprintf("answer to %d ends", len(ended)))
	}
	for i := 2; i < len(r.fields) && r.err == nil; {
		var t Taken
		t, i = a.taken(&r, i, epoch)
		res.Jobs = append(res.Jobs, t)
	}
	return res, r.err
}

var toldCodes = map[rune]Code{'O': OK, 'S': Stale, 'U': Unknown, 'C': CancelCode}

// appendEnd adds what the script reads of an end.
func (a *Actor) appendEnd(args []any, e Ended) []any {
	status := string(StatusFinished)
	if e.Outcome.Failed {
		status = string(StatusError)
	}
	if a.serves != "" && e.Job.Type != a.jobType {
		status += ":" + e.Job.Type
	}
	code := e.Outcome.ExitCode
	if code == "" {
		code = "-"
	}
	head := strconv.Itoa(e.Job.Token.Attempt) + " " + status + " " + strings.ReplaceAll(code, " ", "_") + " " + e.Job.ID
	args = append(args, head, e.Outcome.Output)
	if e.Outcome.Failed {
		args = append(args, e.Outcome.Error, e.Outcome.Reason, a.s.draw())
	}
	return args
}

// taken reads a job: "<attempt> <held> <more> <timeout> <id>", the script, if more is 1 or 2 environment, caller and context, and
// if it is 2 the type.
func (a *Actor) taken(r *reply, at int, epoch uint64) (Taken, int) {
	head := strings.SplitN(r.str(at), " ", 5)
	if len(head) != 5 {
		r.fail(at, "head of a job")
		return Taken{}, at
	}
	t := Taken{Held: head[1] == "1", Claimed: Claimed{
		ID: head[4], Type: a.jobType, Script: r.str(at + 1), Timeout: laxSeconds(head[3]),
		Token: Token{Epoch: epoch, Attempt: laxInt(head[0]), Incarnation: a.incarnation},
	}}
	at += 2
	if head[2] != "0" {
		t.EnvJSON, t.Caller, t.Context = r.str(at), r.str(at+1), r.str(at+2)
		at += 3
	}
	if head[2] == "2" {
		t.Type = r.str(at)
		at++
	}
	return t, at
}
