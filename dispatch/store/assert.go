package store

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

const (
	// assertJobs and assertBytes bound one call of the script.
	assertJobs  = 100
	assertBytes = 4 << 20
)

// InHand is a job that an actor has in its hand from an earlier epoch.
type InHand struct {
	Claimed
	Ran time.Duration // since it began
}

// Assert says, after a Hello to a new epoch, which jobs the actor has in its hand from an earlier one; call it with none too:
// the daemon waits a moment for it before it fills Redis. A code for each: OK, it stays in the hand, and its token is the one it had with the
// epoch of the Hello; or Stale: another has it, or it has ended. Unregistered: say hello again. It may be repeated.
func (a *Actor) Assert(ctx context.Context, jobs []InHand) ([]Code, Code, error) {
	codes := make([]Code, len(jobs))
	jobs, places := a.byType(jobs)
	for {
		n := a.assertable(jobs)
		some, code, err := a.assert(ctx, jobs[:n], n == len(jobs))
		if err != nil || code != OK {
			return nil, code, err
		}
		for i, c := range some {
			codes[places[i]] = c
		}
		if jobs, places = jobs[n:], places[n:]; len(jobs) == 0 {
			return codes, OK, nil
		}
	}
}

// byType puts jobs of one type together, or each change of the type would cost a call. places are where they were.
func (a *Actor) byType(jobs []InHand) (sorted []InHand, places []int) {
	for i := range jobs {
		places = append(places, i)
	}
	slices.SortStableFunc(places, func(i, j int) int { return strings.Compare(a.typeOf(jobs[i]), a.typeOf(jobs[j])) })
	for _, i := range places {
		sorted = append(sorted, jobs[i])
	}
	return sorted, places
}

// assertable is how many of the jobs go into one call: all of them of one type.
func (a *Actor) assertable(jobs []InHand) int {
	size := 0
	for i, j := range jobs {
		size += len(j.Script) + len(j.EnvJSON)
		if i > 0 && (size > assertBytes || a.typeOf(j) != a.typeOf(jobs[0])) || i == assertJobs {
			return i
		}
	}
	return len(jobs)
}

func (a *Actor) typeOf(j InHand) string {
	if a.serves == "" {
		return a.jobType
	}
	return j.Type
}

func (a *Actor) assert(ctx context.Context, jobs []InHand, done bool) ([]Code, Code, error) {
	k := a.s.keys
	jobType := a.jobType
	if len(jobs) > 0 {
		jobType = a.typeOf(jobs[0])
	}
	args := []any{dec(a.epoch.Load()), jobType, a.name, a.incarnation, a.slots, boolArg(done)}
	for _, j := range jobs {
		head := fmt.Sprintf("%d %d %d %d %s", j.Token.Epoch, j.Token.Attempt, max(0, j.Ran.Milliseconds()), int64(j.Timeout/time.Second), j.ID)
		args = append(args, head, j.Script, j.EnvJSON, j.Caller, j.Context)
	}
	r, err := a.s.run(ctx, "assert", []key{
		k.epoch(), k.actor(a.name), k.held(a.incarnation), k.idle(a.jobType), k.lease(a.jobType), k.types(), k.dead(), k.asserted(), k.queue(jobType), k.delayed(jobType),
	}, args...)
	if err != nil || r.code() != OK {
		return nil, r.code(), err
	}
	var codes []Code
	for _, letter := range r.str(1) {
		codes = append(codes, toldCodes[letter])
	}
	if len(codes) != len(jobs) {
		r.fail(1, fmt.Sprintf("answer to %d jobs", len(jobs)))
	}
	return codes, OK, r.err
}

// Asserted is who has said all of what it keeps in this epoch, by incarnation, and how many jobs were kept in all.
func (d *Daemon) Asserted(ctx context.Context) (done map[string]bool, jobs int, err error) {
	k := d.s.keys.asserted()
	all, err := d.s.rdb.HGetAll(ctx, k.name).Result()
	if err != nil {
		return nil, 0, d.s.fault(ctx, err, []key{k})
	}
	done = map[string]bool{}
	for field, v := range all {
		rest, mine := strings.CutPrefix(field, strconv.FormatUint(d.epoch, 10)+" ")
		if !mine {
			continue
		}
		if inc, ended := strings.CutSuffix(rest, " done"); ended {
			done[inc] = true
		} else {
			jobs += laxInt(v)
		}
	}
	return done, jobs, nil
}
