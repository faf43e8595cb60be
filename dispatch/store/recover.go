package store

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/redis/go-redis/v9"
)

// Returned is a job that recover took from a dead actor.
type Returned struct {
	ID      string
	Crashes int
	Dead    bool   // at the limit: ended with ReasonCrashes
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

// Recover takes back what a dead incarnation held: to the front of its queue or straight to an idle
// actor; at maxCrashes deaths it is dead. interrupted: a death that we caused, not counted. The
// caller has made sure that neither the incarnation nor its script group lives. Facts: retried or dead;
// they, not the answer, are the record of it, since an answer may be lost and the next is Gone.
func (d *Daemon) Recover(ctx context.Context, incarnation string, interrupted bool, maxCrashes int) (Recovered, error) {
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
	name, jobType, ok := strings.Cut(reg, " ")
	if !ok {
		return Recovered{Code: Gone}, nil
	}
	out := Recovered{Code: Again, Actor: name, Type: jobType}
	by := "0"
	if interrupted {
		by = "1"
	}
	for range recoverRounds {
		r, err := d.s.run(ctx, "recover",
			d.s.jobKeys(jobType, k.actor(name), k.held(incarnation), k.wake(name), k.incarnations(), k.groups()),
			d.s.jobArgs(d.epoch, jobType, name, incarnation, by, strconv.Itoa(maxCrashes))...)
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
