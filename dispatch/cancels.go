package dispatch

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"syscall"
	"time"

	"herosup/dispatch/store"
	"herosup/events"
)

// maxCancels bounds the cancels of running jobs that are under way.
const maxCancels = 10_000

// cancelling is a running job whose cancel is on: it is marked in its record, so
// that however it ends now, unless well, it ends as cancelled. What is left is to
// see to it that it ends.
type cancelling struct {
	id, jobType, actor string
	incarnation        events.Incarnation
	attempt            int
	sequence           uint64    // of the submission that is meant
	epoch              uint64    // of the Redis that has the mark, or of an earlier one
	began              time.Time // of the cancel
}

// same tells whether two cancels are of one attempt.
func (c cancelling) same(o cancelling) bool {
	return c.id == o.id && c.incarnation == o.incarnation && c.attempt == o.attempt && c.epoch == o.epoch
}

// cancelStep is what is done about a cancelled job next.
type cancelStep int

const (
	cancelTerm   cancelStep = iota // at once: TERM to its script's group
	cancelKill                     // after the grace: KILL to it
	cancelActor                    // it did not help: the actor is given up, by JobOverran
	cancelNoMore                   // who asked waits on; the keeper acts, or the job ends
)

const (
	// giveUp is how long after the KILL the actor has to tell the job's end.
	giveUp = 250 * time.Millisecond
	// lookAgain is how often a cancel whose steps are all taken is looked at.
	lookAgain = time.Minute
)

// cancelDue is when a step is due, from the begin of the cancel on.
func cancelDue(s cancelStep, grace time.Duration) time.Duration {
	switch s {
	case cancelTerm:
		return 0
	case cancelKill:
		return grace
	case cancelActor:
		return grace + giveUp
	case cancelNoMore:
	}
	return grace + giveUp + lookAgain
}

// underWay is one cancel in the loop's hand.
type underWay struct {
	cancelling
	next cancelStep
	due  time.Time
	over bool // it runs no more
	pace pace // of a Redis that does not answer
}

// runCancels ends cancelled jobs: it never waits for a process, so one that does not end holds up no other.
func (c *Component) runCancels(ctx context.Context) error {
	r := c.reporter("cancels")
	open := map[string]*underWay{} // by job
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	for {
		select {
		case v := <-c.cancels:
			if was := open[v.id]; was != nil && was.same(v) {
				break // asked twice
			}
			if len(open) >= maxCancels {
				c.log.Error("too many cancels", "job", v.id) // it is marked: its actor learns of it at its next renewal
				break
			}
			open[v.id] = &underWay{cancelling: v, due: v.began}
		case <-timer.C:
		case <-c.cancelsNow:
			for _, one := range open {
				if one.epoch != c.epoch.Load() {
					one.due = time.Now()
				}
			}
		case <-ctx.Done():
			return nil
		}
		now, least := time.Now(), time.Hour
		for id, one := range open {
			if !one.due.After(now) && !c.carryOut(ctx, r, one, now) {
				delete(open, id)
				continue
			}
			least = min(least, one.due.Sub(now))
		}
		timer.Reset(max(least, time.Millisecond))
	}
}

// carryOut takes the next step; false when there is none left.
func (c *Component) carryOut(ctx context.Context, r *reporter, one *underWay, now time.Time) bool {
	if one.epoch != c.epoch.Load() {
		return c.cancelAgain(ctx, r, one, now)
	}
	var groups []store.Group
	rec, _, err := c.find(ctx, one.id)
	if errors.Is(err, store.ErrNoJob) {
		return false
	}
	stillHeld := rec.Status == store.StatusStarted && rec.Token.Incarnation == one.incarnation.String() && rec.Token.Attempt == one.attempt
	if err == nil && stillHeld {
		err = limited(ctx, func(ctx context.Context) (err error) {
			groups, err = c.groupsOf(ctx, one)
			return err
		})
	}
	if !r.told(ctx, err) {
		one.due = now.Add(one.pace.next())
		return true
	}
	if !stillHeld { // Redis may be emptied before anybody has read that
		before := one.over
		one.over, one.due = true, now.Add(unreadPatience)
		_ = c.step("over")
		return !before
	}
	switch one.next {
	case cancelTerm:
		c.signal(one, groups, syscall.SIGTERM, syscall.SIGCONT)
	case cancelKill:
		c.signal(one, groups, syscall.SIGKILL)
	case cancelActor:
		c.log.Warn("cancelled job does not end, its actor is given up", "job", one.id, "actor", one.actor, "event", "JobOverran")
		c.publish(events.JobOverran{
			Type: one.jobType, Job: one.id, Actor: one.actor, Incarnation: one.incarnation,
			Ran: events.SecondsOf(now.Sub(one.began)), Cancelled: true,
		})
		// From here on the keeper sees to it, and recovery ends the job.
	case cancelNoMore:
		one.due = now.Add(lookAgain)
		return true
	}
	one.next++
	one.due = one.began.Add(cancelDue(one.next, c.cfg.CancelGrace))
	return true
}

// cancelAgain cancels anew in a Redis that was filled again: the mark went with the other one. It is the job's if it came by the same message of the
// log. False when nothing is left to do.
func (c *Component) cancelAgain(ctx context.Context, r *reporter, one *underWay, now time.Time) bool {
	epoch := c.epoch.Load()
	if c.filled.Load() != epoch { // the log is read still
		one.due = now.Add(longestPause)
		return true
	}
	rec, _, err := c.find(ctx, one.id)
	switch {
	case errors.Is(err, store.ErrNoJob):
		return false // its end was read
	case err == nil && (rec.Sequence != one.sequence || rec.Status.Ended()):
		return false
	}
	var a store.Cancelled
	if err == nil {
		err = limited(ctx, func(ctx context.Context) (err error) {
			a, err = c.d().Cancel(ctx, one.id)
			return err
		})
	}
	if !r.told(ctx, err) {
		one.due = now.Add(one.pace.next())
		return true
	}
	if a.Code == store.OK {
		c.endings.answered(a.Sequence) // it will be, see noteCancelled
	}
	inc, err := events.ParseIncarnation(a.Incarnation)
	if a.Code != store.Running || err != nil {
		return false
	}
	*one = underWay{cancelling: cancelling{
		id: one.id, jobType: a.Type, actor: a.Actor, incarnation: inc, attempt: a.Attempt, sequence: a.Sequence, epoch: epoch, began: now,
	}, due: now}
	return true
}

// groupsOf are the script groups that are recorded for the attempt.
func (c *Component) groupsOf(ctx context.Context, one *underWay) ([]store.Group, error) {
	all, err := c.d().Groups(ctx, one.actor, one.incarnation.String())
	return slices.DeleteFunc(all, func(g store.Group) bool { return g.Job != one.id || g.Attempt != one.attempt }), err
}

// signal signals the script's group, if it is that one still and of this machine.
func (c *Component) signal(one *underWay, groups []store.Group, signals ...syscall.Signal) {
	if one.incarnation.Boot != c.boot {
		return
	}
	for _, g := range groups {
		if !scriptGroup(g, one.incarnation).Alive() {
			continue
		}
		for _, s := range signals {
			_ = syscall.Kill(-g.PGID, s) // ESRCH: it ended meanwhile, which is what we want
		}
	}
}

// cancelJobs takes jobs out, whatever their states: as many as asked for it at the same time go in the same round trips.
// One that Redis does not know may lie in the log; the others do not wait for that.
func (c *Component) cancelJobs(ctx context.Context, all []events.Message) {
	ids := make([]string, len(all))
	for i, m := range all {
		e, _ := m.Event.(events.JobCancel)
		ids[i] = e.Job
	}
	epoch := c.epoch.Load() // before the mark: of a Redis that is gone by then it is done again
	var out []store.CancelOutcome
	if err := limited(ctx, func(ctx context.Context) (err error) {
		out, err = c.d().CancelAll(ctx, ids)
		return err
	}); err != nil {
		out = slices.Repeat([]store.CancelOutcome{{Err: err}}, len(all))
	}
	c.noteCancelled(out)
	var over []string // now, or before
	for i, a := range out {
		if cancelled(a) {
			over = append(over, ids[i])
		}
	}
	recs := map[string]store.Record{} // without one it is answered all the same
	if len(over) > 0 {
		_ = limited(ctx, func(ctx context.Context) error {
			found, err := c.store.WholeRecords(ctx, over)
			for _, rec := range found {
				recs[rec.ID] = rec
			}
			return err
		})
	}
	for i, a := range out {
		if a.Err != nil || a.Code != store.Unknown {
			c.cancelOne(all[i], ids[i], a, recs, epoch)
		}
	}
	var unknown []int
	var in []string
	for i, a := range out {
		if a.Err == nil && a.Code == store.Unknown {
			unknown, in = append(unknown, i), append(in, ids[i])
		}
	}
	for n, a := range c.cancelLogged(ctx, in) {
		c.cancelOne(all[unknown[n]], in[n], a, nil, epoch)
	}
}

// noteCancelled remembers what has ended by a cancel before that is answered.
func (c *Component) noteCancelled(all []store.CancelOutcome) {
	for _, a := range all {
		if a.Err == nil && a.Code == store.OK {
			c.endings.answered(a.Sequence)
		}
	}
}

// cancelled tells whether a job has ended by a cancel, this one or an earlier.
func cancelled(a store.CancelOutcome) bool {
	return a.Err == nil && (a.Code == store.OK || a.Code == store.EndedCode && a.Reason == store.ReasonCancelled)
}

// cancelOne answers one cancel.
func (c *Component) cancelOne(m events.Message, id string, a store.CancelOutcome, recs map[string]store.Record, epoch uint64) {
	switch {
	case a.Err != nil:
		c.refuse(m, c.endTrouble(id, a.Err))
	case a.Code == store.Unknown:
		c.refuse(m, unknownJob(id))
	case a.Code == store.Running:
		c.cancelRunning(m, id, a.Cancelled, epoch)
	case !cancelled(a):
		c.refuse(m, &events.Refusal{
			Status: http.StatusConflict, Code: "ended", Job: id, Reason: fmt.Sprintf("job %s has ended already (%s)", id, a.Status),
			Hint: "there is nothing left to cancel",
		})
	default:
		rec, ok := recs[id]
		if !ok {
			rec = store.Record{ID: id, Status: a.Status, Reason: a.Reason, Sequence: a.Sequence}
		}
		c.answer(m, viewOf(rec, time.Now()))
	}
}

// cancelLogged cancels jobs that Redis did not know: they may lie in the log, which is waited for once for all of them.
func (c *Component) cancelLogged(ctx context.Context, ids []string) (out []store.CancelOutcome) {
	if len(ids) == 0 {
		return nil
	}
	upTo, err := c.catchUp(ctx)
	told := c.told.seq.Load() // before they are looked for
	if err == nil {
		err = limited(ctx, func(ctx context.Context) (err error) {
			out, err = c.d().CancelAll(ctx, ids)
			return err
		})
	}
	if err != nil {
		return slices.Repeat([]store.CancelOutcome{{Err: err}}, len(ids))
	}
	c.noteCancelled(out)
	for i, a := range out {
		switch {
		case errors.Is(a.Err, store.ErrNoEpoch):
			c.askRebuild()
		case a.Err == nil && a.Code == store.Unknown && told < upTo:
			out[i].Err = errUnread
		}
	}
	return out
}

// cancelRunning sees to the end of a running job; the request is answered then.
func (c *Component) cancelRunning(m events.Message, id string, a store.Cancelled, epoch uint64) {
	inc, err := events.ParseIncarnation(a.Incarnation)
	if err != nil {
		c.refuse(m, &events.Refusal{
			Status: http.StatusConflict, Code: "running_elsewhere", Job: id, Actor: a.Actor,
			Reason: fmt.Sprintf("job %s runs on an actor that this daemon can not end", id), Hint: "end that actor's process",
		})
		return
	}
	if m.WantsAnswer() {
		c.toWaiters(waiter{id: id, m: m, cancel: true, known: a.Sequence > 0, upTo: a.Sequence})
	}
	select {
	case c.cancels <- cancelling{id: id, jobType: a.Type, actor: a.Actor, incarnation: inc, attempt: a.Attempt, sequence: a.Sequence, epoch: epoch, began: time.Now()}:
	case <-c.stopping:
	}
}

// answerCancelled tells who cancelled a running job how it ended: it may have been faster.
func (c *Component) answerCancelled(m events.Message, rec store.Record) {
	if rec.Status == store.StatusError && rec.Reason == store.ReasonCancelled {
		c.endings.answered(rec.Sequence)
		c.answer(m, viewOf(rec, time.Now()))
		return
	}
	c.refuse(m, &events.Refusal{
		Status: http.StatusConflict, Code: "ended", Job: rec.ID,
		Reason: fmt.Sprintf("job %s ended (%s) before its cancel took hold", rec.ID, rec.Status), Hint: "there is nothing left to cancel",
	})
}
