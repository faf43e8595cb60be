package dispatch

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"herosup/dispatch/store"
	"herosup/events"
)

// Explanation is the answer of job.explain: why a job is not running, or what it does
// instead.
type Explanation struct {
	Job   string `json:"job"`
	State string `json:"state"`
	// Reasons begin with the one that has the last word. Never empty.
	Reasons []Reason `json:"reasons"`
}

// Reason is one cause, with its numbers.
type Reason struct {
	// Code is a stable word: "no_pool".
	Code string `json:"code"`
	Text string `json:"text"`
	// Hint says what would change it, where somebody can.
	Hint string `json:"hint,omitempty"`
}

// Facts are what Explain goes by.
type Facts struct {
	Now time.Time
	Job JobView
	// Ahead is how many jobs of its level are served before it; -1: nobody counted.
	Ahead int
	// Pools are those that run its type, Actors theirs; nil Pools: the monitor did not
	// answer, and nothing is said about them.
	Pools  []PoolState
	Actors []ActorState
}

// PoolState is what matters here of an element of pool.list.
type PoolState struct {
	Name     string   `json:"name"`
	Types    []string `json:"types"`
	Have     int      `json:"have"`
	Want     int      `json:"want"`
	Max      int      `json:"max"`
	Reason   string   `json:"reason"`
	Degraded string   `json:"degraded"`
	Paused   bool     `json:"paused"`
	Override *struct {
		Count int `json:"count"`
	} `json:"override"`
}

// most is how many actors the pool may have now.
func (p PoolState) most() int {
	if p.Override != nil {
		return min(p.Max, p.Override.Count)
	}
	return p.Max
}

// ActorState is what matters here of an element of actor.list.
type ActorState struct {
	Name   string `json:"name"`
	Pool   string `json:"pool"`
	State  string `json:"state"`
	Job    string `json:"job"`
	Reason string `json:"reason"`
}

// Explain says why a job is not running. It is pure; the reason that has the last
// word comes first.
func Explain(f Facts) []Reason {
	j := f.Job
	switch j.State {
	case StateRunning:
		return whyRunning(f)
	case StateBlocked:
		return append(whyBlocked(j), deadline(f)...)
	case StateDelayed:
		return append(whyDelayed(f), deadline(f)...)
	case StateWaiting:
		return append(whyWaiting(f), deadline(f)...)
	}
	r := Reason{Code: "ended", Text: "it has ended: " + j.State}
	if j.Reason != "" {
		r.Text += ", " + j.Reason
	}
	if j.Cause != "" && j.Cause != j.Reason {
		r.Text += " (" + j.Cause + ")"
	}
	if j.State == StateDead || j.State == StateError {
		r.Hint = "herosup describe job " + j.ID + " shows its attempts, herosup retry " + j.ID + " runs it again"
	}
	return []Reason{r}
}

func whyRunning(f Facts) []Reason {
	r := Reason{Code: "running", Text: fmt.Sprintf("it runs on %s for %s, attempt %d", f.Job.Actor, span(f.Now.Sub(f.Job.StartedAt)), f.Job.Attempts)}
	if f.Job.Cancelling {
		r = Reason{Code: "cancelling", Text: "it is cancelled, and " + f.Job.Actor + " is ending it"}
	}
	return []Reason{r}
}

func whyBlocked(j JobView) []Reason {
	var out []Reason
	for _, n := range j.Waits {
		switch {
		case n.Reason != "":
			out = append(out, Reason{
				Code: "held", Text: fmt.Sprintf("it holds because job %s did not finish: %s", n.ID, n.Reason),
				Hint: "herosup retry " + n.ID + ", or herosup cancel " + j.ID,
			})
		case n.Status == "":
			out = append(out, Reason{Code: "prerequisite", Text: fmt.Sprintf("it waits for job %s, which is not known any more", n.ID), Hint: "herosup cancel " + j.ID})
		default:
			out = append(out, Reason{Code: "prerequisite", Text: fmt.Sprintf("it waits for job %s (%s)", n.ID, n.Status), Hint: "herosup explain job " + n.ID})
		}
	}
	if len(out) == 0 {
		out = append(out, Reason{Code: "released", Text: "what it waited for has ended; it is released at this moment"})
	}
	return out
}

func whyDelayed(f Facts) []Reason {
	at := fmt.Sprintf("%s, in %s", f.Job.ReadyAt.UTC().Format(time.RFC3339), span(f.Job.ReadyAt.Sub(f.Now)))
	if f.Job.Attempts > 0 {
		why := "its script failed"
		last := AttemptView{}
		if n := len(f.Job.History); n > 0 {
			last = f.Job.History[n-1]
		}
		switch {
		case last.Outcome == store.AttemptFailed && last.Reason != "":
			why += ": " + last.Reason
		case last.Outcome != store.AttemptFailed && f.Job.Crashes > 0: // they count for 72 hours, whatever came after
			why = fmt.Sprintf("%d of its actors died", f.Job.Crashes)
		}
		return []Reason{{Code: "retry_later", Text: fmt.Sprintf("attempt %d is over (%s), the next is due at %s", f.Job.Attempts, why, at)}}
	}
	return []Reason{{Code: "delayed", Text: "it is not to begin before " + at}}
}

// whyWaiting looks for what keeps actors from it: no pool, no room, nobody free.
func whyWaiting(f Facts) []Reason {
	var out []Reason
	if f.Job.Alone {
		out = append(out, Reason{Code: "alone", Text: "it runs alone, because it was in the hand of an actor that died with several jobs: it waits for an empty one"})
	}
	if f.Ahead > 0 {
		out = append(out, Reason{Code: "behind", Text: fmt.Sprintf("%d jobs of its type and level are served before it", f.Ahead)})
	}
	if f.Pools == nil {
		return append(out, Reason{Code: "pools_unknown", Text: "nobody says now which pools there are", Hint: "see herosup status"})
	}
	return append(poolReasons(f), out...)
}

func poolReasons(f Facts) []Reason {
	if len(f.Pools) == 0 {
		return []Reason{{Code: "no_pool", Text: "no pool runs jobs of type " + f.Job.Type, Hint: "give the configuration a pool of that type, and start the daemon anew"}}
	}
	var out []Reason
	for _, p := range f.Pools {
		out = append(out, poolReason(p, of(p.Name, f.Actors))...)
	}
	return out
}

func of(pool string, all []ActorState) []ActorState {
	var out []ActorState
	for _, a := range all {
		if a.Pool == pool {
			out = append(out, a)
		}
	}
	return out
}

// poolReason says what one pool does about it.
func poolReason(p PoolState, actors []ActorState) []Reason {
	n := map[string]int{}
	for _, a := range actors {
		n[a.State]++
	}
	free := n["idle"] + n["pinging"]
	var out []Reason
	say := func(code, hint, format string, a ...any) {
		out = append(out, Reason{Code: code, Text: "pool " + p.Name + ": " + fmt.Sprintf(format, a...), Hint: hint})
	}
	switch {
	case free > 0:
		say("soon", "", "%d of its actors are free: one takes it at this moment, or has another job of its type", free)
		return out
	case p.Degraded != "":
		say("degraded", "see herosup status", "%s", p.Degraded)
	case p.most() == 0:
		say("no_room", "herosup scale "+p.Name+" auto, or raise max", "it may have no actor now (max %d)", p.Max)
	case p.Paused && p.Have < p.most():
		say("paused", "herosup resume "+p.Name, "it is paused and has %d actors, %d of them busy", p.Have, n["running"])
	case n["starting"]+n["restarting"] > 0:
		say("starting", "", "%d of its actors come up", n["starting"]+n["restarting"])
	case n["running"] > 0 && p.Have >= p.most():
		say("all_busy", "wait, or raise max", "all of its %d actors are busy, and it may not have more (max %d)", n["running"], p.most())
	case n["running"] > 0:
		say("all_busy", "", "all of its %d actors are busy; it wants %d: %s", n["running"], p.Want, p.Reason)
	case p.Have == 0 && n["quarantined"] == 0:
		say("asleep", "", "it has no actor yet and wants %d", p.Want)
	}
	if closed := n["draining"] + n["recycling"]; closed > 0 {
		say("closed", "", "%d of its actors are being stopped or replaced and take no more jobs", closed)
	}
	for _, a := range actors {
		if a.State == "quarantined" {
			say("quarantined", "herosup reset "+a.Name, "%s is held down: %s", a.Name, a.Reason)
		}
	}
	if len(out) == 0 {
		say("none_free", "herosup get actors --pool "+p.Name, "none of its actors is free")
	}
	return out
}

// deadline tells of an end that comes by itself.
func deadline(f Facts) []Reason {
	if f.Job.StartBy.IsZero() {
		return nil
	}
	return []Reason{{Code: "start_by", Text: fmt.Sprintf("it ends unrun, as expired, if it has not begun by %s, in %s",
		f.Job.StartBy.UTC().Format(time.RFC3339), span(f.Job.StartBy.Sub(f.Now)))}}
}

func span(d time.Duration) string { return max(d, 0).Round(100 * time.Millisecond).String() }

// poolsWithin bounds the question to the monitor: without its answer there is still
// something to say.
const poolsWithin = time.Second

// explainJob collects the facts: the record and its place here, pools and actors from
// whoever answers for them on the bus.
func (c *Component) explainJob(ctx context.Context, m events.Message, e events.JobExplain) {
	rec, _, err := c.lookEnded(ctx, e.Job)
	switch {
	case errors.Is(err, store.ErrNoJob):
		c.deny(m, unknownJob(e.Job))
		return
	case err != nil: // Redis away or being filled: that is why, and the refusal says it
		c.deny(m, trouble(err))
		return
	}
	f := Facts{Now: time.Now(), Ahead: -1}
	f.Job = viewOf(rec, f.Now)
	switch f.Job.State {
	case StateBlocked:
		f.Job.Waits, err = c.needs(ctx, e.Job)
	case StateWaiting:
		err = limited(ctx, func(ctx context.Context) (err error) {
			f.Ahead, err = c.store.Ahead(ctx, rec)
			return err
		})
		c.askPools(ctx, &f)
	}
	if err != nil {
		c.deny(m, trouble(err))
		return
	}
	c.answer(m, Explanation{Job: e.Job, State: f.Job.State, Reasons: Explain(f)})
}

func (c *Component) askPools(ctx context.Context, f *Facts) {
	ctx, cancel := context.WithTimeout(ctx, poolsWithin)
	defer cancel()
	pools := []PoolState{}
	if err := c.bus.Request(ctx, events.PoolList{}, &pools); err != nil {
		return
	}
	f.Pools = []PoolState{}
	for _, p := range pools {
		if slices.Contains(p.Types, f.Job.Type) {
			f.Pools = append(f.Pools, p)
		}
	}
	if err := c.bus.Request(ctx, events.ActorList{}, &f.Actors); err != nil {
		f.Actors = nil
	}
}
