package store

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
)

// Returned is a job that recover took from a dead actor.
type Returned struct {
	ID      string
	Crashes int
	Dead    bool   // it ended: at the limit with ReasonCrashes, or with ReasonCancelled
	Handed  string // actor it was handed to at once; "": it is at the front of its queue
}

// Recovered is the answer of Recover.
type Recovered struct {
	Code  Code // OK, or Gone: was recovered before
	Actor string
	Type  string
	Jobs  []Returned
}

// recoverRounds bounds the rounds of 100 jobs that one Recover makes. One is the rule: an actor has one job.
const recoverRounds = 20

// Death is how an actor's process ended, as far as it is known.
type Death struct {
	// ByUs: an order of ours ended it. It is nobody's crash: interrupted.
	ByUs        bool
	Signal      string // "SIGSEGV"; "" if none ended it
	ExitCode    string // decimal; "" if there was none, or nobody saw it
	OutOfMemory bool
	// Ago is how long ago the process was seen to have ended; 0: nobody saw it. A job
	// that was put into its hand after that is no crash either.
	Ago time.Duration
}

// Cause is the death in a few words, for people.
func (d Death) Cause() string {
	switch {
	case d.ByUs:
		return "ended by us"
	case d.OutOfMemory:
		return "out of memory"
	case d.Signal != "":
		return "signal " + d.Signal
	case d.ExitCode != "":
		return "exit " + d.ExitCode
	}
	return "not known"
}

// ago is in milliseconds, as the script takes it: rounded down, so that a job is not let off by it.
func (d Death) ago() string {
	if d.Ago <= 0 {
		return ""
	}
	return strconv.FormatInt(d.Ago.Milliseconds(), 10)
}

// Recover is RecoverFrom with a death of unknown cause.
func (d *Daemon) Recover(ctx context.Context, incarnation string, interrupted bool, maxCrashes int) (Recovered, error) {
	return d.RecoverFrom(ctx, incarnation, Death{ByUs: interrupted}, maxCrashes)
}

// RecoverFrom takes back what a dead incarnation held: to the front of its queue or straight to an idle
// actor, with a pause from its second crash on; at maxCrashes crashes within 72 hours it is dead. A death that
// we caused is not counted. The
// caller has made sure that neither the incarnation nor its script group lives. Facts: retried, dead, or ended for one
// whose cancel was on; they, not the answer, are the record of it, since an answer may be lost and the next is Gone.
func (d *Daemon) RecoverFrom(ctx context.Context, incarnation string, death Death, maxCrashes int) (Recovered, error) {
	if err := bad("incarnation", incarnation); err != nil {
		return Recovered{}, err
	}
	k := d.s.keys
	reg, err := d.s.rdb.HGet(ctx, k.incarnations().name, incarnation).Result()
	if errors.Is(err, redis.Nil) {
		reg, err = "", d.checkEpoch(ctx)
	}
	if err != nil {
		return Recovered{}, d.s.fault(ctx, err, []key{k.incarnations()})
	}
	name, types, ok := strings.Cut(reg, " ")
	if !ok {
		return Recovered{Code: Gone}, nil
	}
	jobType, _ := served(types)
	out := Recovered{Code: Again, Actor: name, Type: jobType}
	for range recoverRounds {
		r, err := d.s.run(ctx, "recover",
			d.s.jobKeys(jobType, k.actor(name), k.held(incarnation), k.wake(name), k.incarnations(), k.groups()),
			d.s.jobArgs(d.epoch, jobType, name, incarnation, boolArg(death.ByUs), strconv.Itoa(maxCrashes),
				death.Cause(), death.ExitCode, death.Signal, boolArg(death.OutOfMemory), d.s.draw(), death.ago(), strconv.Itoa(len(out.Jobs)))...)
		if err != nil {
			return out, err
		}
		out.Code = r.code()
		for i := 1; i < len(r.fields); i++ {
			j := r.sub(i)
			out.Jobs = append(out.Jobs, Returned{ID: j.str(0), Crashes: j.num(1), Dead: j.str(2) == "1", Handed: j.str(3)})
			r.err = errors.Join(r.err, j.err)
		}
		if r.err != nil || out.Code != Again {
			return out, r.err
		}
	}
	return out, fmt.Errorf("recover %s: more than %d jobs in hand", incarnation, 100*recoverRounds)
}

// draw is a number from 0 to 1 for a script: Redis' own random numbers are the same in each run.
func (s *Store) draw() string { return strconv.FormatFloat(s.jitter(), 'f', 6, 64) }
