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
	began              time.Time // of the cancel
}

// same tells whether two cancels are of one attempt.
func (c cancelling) same(o cancelling) bool {
	return c.id == o.id && c.incarnation == o.incarnation && c.attempt == o.attempt
}

// cancelStep is what is done about a cancelled job next.
type cancelStep int

const (
	cancelTerm   cancelStep = iota // at once: TERM to its script's group
	cancelKill                     // after the grace: KILL to it
	cancelActor                    // it did not help: the actor is given up, by JobOverran
	cancelNoMore                   // who asked waits on; the keeper acts, or the job ends
)

// giveUp is how long after the KILL the actor has to tell the job's end.
const giveUp = 250 * time.Millisecond

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
	return time.Hour
}

// underWay is one cancel in the loop's hand.
type underWay struct {
	cancelling
	next cancelStep
	due  time.Time
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
	var groups []store.Group
	stillHeld := false
	err := limited(ctx, func(ctx context.Context) error {
		rec, err := c.store.Job(ctx, one.id)
		if errors.Is(err, store.ErrNoJob) {
			return nil
		}
		if err != nil {
			return err
		}
		stillHeld = rec.Status == store.StatusStarted && rec.Token.Incarnation == one.incarnation.String() && rec.Token.Attempt == one.attempt
		if stillHeld {
			groups, err = c.groupsOf(ctx, one)
		}
		return err
	})
	if !r.told(ctx, err) {
		one.due = now.Add(one.pace.next())
		return true
	}
	if !stillHeld {
		return false
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
		return false // from here on the keeper sees to it, and recovery ends the job
	case cancelNoMore:
		return false
	}
	one.next++
	one.due = one.began.Add(cancelDue(one.next, c.cfg.CancelGrace))
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

// cancelJob takes a job out, whatever its state.
func (c *Component) cancelJob(ctx context.Context, m events.Message, e events.JobCancel) {
	a, err := c.cancel(ctx, e.Job)
	if err != nil {
		c.refuse(m, c.endTrouble(e.Job, err))
		return
	}
	switch {
	case a.Code == store.Unknown:
		c.refuse(m, unknownJob(e.Job))
	case a.Code == store.Running:
		c.cancelRunning(m, e.Job, a)
	case a.Code == store.EndedCode && a.Reason != store.ReasonCancelled:
		c.refuse(m, &events.Refusal{
			Status: http.StatusConflict, Code: "ended", Job: e.Job, Reason: fmt.Sprintf("job %s has ended already (%s)", e.Job, a.Status),
			Hint: "there is nothing left to cancel",
		})
	default: // now, or before
		rec, _, err := c.find(ctx, e.Job)
		if err != nil {
			rec = store.Record{ID: e.Job, Status: a.Status, Reason: a.Reason, Sequence: a.Sequence}
		}
		c.answer(m, viewOf(rec, time.Now()))
	}
}

// cancel marks or ends the job in Redis; one that is not there yet may lie in the log.
func (c *Component) cancel(ctx context.Context, id string) (a store.Cancelled, err error) {
	cancel := func() error {
		return limited(ctx, func(ctx context.Context) (err error) {
			a, err = c.d().Cancel(ctx, id)
			return err
		})
	}
	if err = cancel(); err != nil || a.Code != store.Unknown {
		return a, err
	}
	switch _, _, err = c.look(ctx, id); {
	case err == nil:
		err = cancel()
	case errors.Is(err, store.ErrNoJob):
		err = nil
	}
	return a, err
}

// cancelRunning sees to the end of a running job; the request is answered then.
func (c *Component) cancelRunning(m events.Message, id string, a store.Cancelled) {
	inc, err := events.ParseIncarnation(a.Incarnation)
	if err != nil {
		c.refuse(m, &events.Refusal{
			Status: http.StatusConflict, Code: "running_elsewhere", Job: id, Actor: a.Actor,
			Reason: fmt.Sprintf("job %s runs on an actor that this daemon can not end", id), Hint: "end that actor's process",
		})
		return
	}
	if m.WantsAnswer() {
		c.toWaiters(waiter{id: id, m: m, cancel: true})
	}
	select {
	case c.cancels <- cancelling{id: id, jobType: a.Type, actor: a.Actor, incarnation: inc, attempt: a.Attempt, began: time.Now()}:
	case <-c.stopping:
	}
}

// answerCancelled tells who cancelled a running job how it ended: it may have been faster.
func (c *Component) answerCancelled(m events.Message, rec store.Record) {
	if rec.Status == store.StatusError && rec.Reason == store.ReasonCancelled {
		c.answer(m, viewOf(rec, time.Now()))
		return
	}
	c.refuse(m, &events.Refusal{
		Status: http.StatusConflict, Code: "ended", Job: rec.ID,
		Reason: fmt.Sprintf("job %s ended (%s) before its cancel took hold", rec.ID, rec.Status), Hint: "there is nothing left to cancel",
	})
}
