package dispatch

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"herosup/dispatch/store"
	"herosup/events"
)

const (
	// listStd and listMost bound the answer of job.list, listWalk and listTime the
	// search for it: of a million jobs one request looks at no more than that.
	listStd  = 100
	listMost = 1000
	listWalk = 5000
	listTime = time.Second
	// listStep is how many ids are looked at in one go.
	listStep = 500
)

// JobPage is the answer of job.list. Jobs are in the order of the search: what runs,
// what waits (the next to be served first), what is delayed (by its time), what has
// ended (the latest first), the rest. A job that moves on meanwhile may come in two
// pages; the last pages, of a walk over all records, may hold some hundred more than
// the limit.
type JobPage struct {
	Jobs []JobView `json:"jobs"`
	// Next is the cursor of the next page; absent: this was the last.
	Next string `json:"next,omitempty"`
	// Looked is how many jobs were looked at for this page.
	Looked int `json:"looked"`
}

// place is where a search goes on: a part of the store, of a type or of none, and
// the cursor in it. As text "<part>.<type>.<cursor>".
type place struct {
	part   store.Part
	kind   string
	cursor uint64
}

func (p place) String() string {
	return string(p.part) + "." + p.kind + "." + strconv.FormatUint(p.cursor, 10)
}

// byState are the parts that are searched for a state. What the actors of the
// original protocol have in hand is in no structure of ours: only the walk over all
// records, which asks for no state, meets it.
var byState = map[string][]store.Part{
	"":            {store.PartRunning, store.PartAlone, store.PartLevels, store.PartReady, store.PartDelayed, store.PartEnded, store.PartDone, store.PartAll},
	StateRunning:  {store.PartRunning},
	StateWaiting:  {store.PartAlone, store.PartLevels, store.PartReady},
	StateDelayed:  {store.PartDelayed},
	StateDead:     {store.PartDead, partBuried},
	StateBlocked:  {store.PartAll},
	stateOfNoPart: {store.PartEnded, store.PartDone, store.PartAll},
}

// partBuried is the dead whose records Redis may have let go: the index of HERO_DEAD.
// Among all jobs one that was revived since would be shown as it was, so it is asked
// for the dead only.
const partBuried store.Part = "buried"

// stateOfNoPart stands for the states that have no structure of their own.
const stateOfNoPart = "*"

// places are the beginnings of all parts that can hold jobs of a state ("": any).
func places(state string, types []string) []place {
	parts, ok := byState[state]
	if !ok {
		parts = byState[stateOfNoPart]
	}
	var out []place
	for _, p := range parts {
		if !p.OfType() {
			out = append(out, place{part: p})
			continue
		}
		for _, t := range types {
			out = append(out, place{part: p, kind: t})
		}
	}
	return out
}

// from cuts the places before a cursor off; the error is a cursor that is none.
func from(all []place, cursor string) ([]place, error) {
	if cursor == "" {
		return all, nil
	}
	f := strings.Split(cursor, ".")
	if len(f) == 3 {
		n, err := strconv.ParseUint(f[2], 10, 62) // a place in a list or a walk of Redis
		i := slices.Index(all, place{part: store.Part(f[0]), kind: f[1]})
		if err == nil && i >= 0 {
			rest := slices.Clone(all[i:])
			rest[0].cursor = n
			return rest, nil
		}
	}
	return nil, fmt.Errorf("cursor %q is none of this search's", short(cursor))
}

// matches reports whether a job is one that was asked for.
func matches(v JobView, e events.JobList, now time.Time) bool {
	age := now.Sub(v.QueuedAt)
	return (e.State == "" || v.State == e.State) &&
		(e.Type == "" || strings.EqualFold(v.Type, e.Type)) &&
		(e.OlderThan == 0 || age >= e.OlderThan.Duration()) &&
		(e.NewerThan == 0 || age < e.NewerThan.Duration()) &&
		(e.Text == "" || holds(e.Text, v.ID, v.Script, v.Error, v.Reason))
}

func holds(text string, in ...string) bool {
	text = strings.ToLower(text)
	return slices.ContainsFunc(in, func(s string) bool { return strings.Contains(strings.ToLower(s), text) })
}

func checkList(e events.JobList) *events.Refusal {
	switch {
	case e.State != "" && !slices.Contains(States(), e.State):
		return bad("bad_state", fmt.Sprintf("state %q is not known", short(e.State)), "one of "+strings.Join(States(), ", "))
	case e.OlderThan < 0 || e.NewerThan < 0:
		return bad("bad_age", "an age is negative", "want seconds, 0 or more")
	case e.NewerThan != 0 && e.OlderThan >= e.NewerThan:
		return bad("bad_age", "no job is both older and newer than that", "want newer_than above older_than")
	case e.Limit < 0:
		return bad("bad_limit", fmt.Sprintf("limit %d is negative", e.Limit), fmt.Sprintf("want 1 to %d", listMost))
	}
	return nil
}

// listJobs answers with one page.
func (c *Component) listJobs(ctx context.Context, m events.Message, e events.JobList) {
	if r := checkList(e); r != nil {
		c.deny(m, r)
		return
	}
	types, err := c.queues(ctx, e.Type)
	if err != nil {
		c.deny(m, trouble(err))
		return
	}
	rest, err := from(places(e.State, types), e.Cursor)
	if err != nil {
		c.deny(m, bad("bad_cursor", err.Error(), "leave it out to begin anew"))
		return
	}
	if e.Limit = min(e.Limit, listMost); e.Limit == 0 {
		e.Limit = listStd
	}
	p, err := c.fill(ctx, e, rest)
	if err != nil {
		c.deny(m, trouble(err))
		return
	}
	c.answer(m, p)
}

// queues are the types whose queues are searched: the one, or all that there are by
// now; what a measure found last may be a second old.
func (c *Component) queues(ctx context.Context, one string) ([]string, error) {
	if one != "" {
		if events.CheckToken("", one) != nil {
			return nil, nil // no queue has that name
		}
		return []string{strings.ToLower(one)}, nil
	}
	var types []string
	err := limited(ctx, func(ctx context.Context) (err error) {
		types, err = c.store.Types(ctx)
		return err
	})
	types = slices.DeleteFunc(append(types, c.typesNow()...), func(t string) bool { return events.CheckToken("", t) != nil })
	slices.Sort(types)
	return slices.Compact(types), err
}

// fill makes one page from the places that are left.
func (c *Component) fill(ctx context.Context, e events.JobList, rest []place) (JobPage, error) {
	begun := time.Now()
	p := JobPage{Jobs: []JobView{}}
	seen := map[string]bool{} // in this page
	for len(rest) > 0 {
		if len(p.Jobs) >= e.Limit || p.Looked >= listWalk || time.Since(begun) > listTime {
			p.Next = rest[0].String()
			break
		}
		at := &rest[0]
		// With nothing else to narrow it, a limit of 10 is 10 reads.
		step := listStep
		if e.Text == "" && e.OlderThan == 0 && e.NewerThan == 0 {
			step = min(step, e.Limit-len(p.Jobs))
		}
		var page store.Page
		var found map[string]JobView
		if err := limited(ctx, func(ctx context.Context) (err error) {
			page, found, err = c.read(ctx, *at, step, e.Text != "")
			return err
		}); err != nil {
			return p, err
		}
		if at.part == store.PartAll {
			slices.SortFunc(page.IDs, func(a, b string) int { return found[b].QueuedAt.Compare(found[a].QueuedAt) })
		}
		for n, id := range page.IDs {
			if len(p.Jobs) >= e.Limit && at.part != store.PartAll { // of a walk the rest of a page has no name
				page.Next, page.More = at.cursor+uint64(n), true
				break
			}
			p.Looked++
			v, ok := found[id]
			if ok && !seen[id] && matches(v, e, begun) && !(at.part == store.PartAll && e.State == "" && inQueue(v)) {
				seen[id] = true
				v.Script = "" // of interest to the search only
				p.Jobs = append(p.Jobs, v)
			}
		}
		if at.cursor = page.Next; !page.More {
			rest = rest[1:]
		}
	}
	return p, nil
}

// inQueue are the jobs that the walk over all records would show a second time, of
// which there may be a million.
func inQueue(v JobView) bool { return v.State == StateWaiting || v.State == StateDelayed }

// read reads about step jobs of a place.
func (c *Component) read(ctx context.Context, at place, step int, scripts bool) (page store.Page, found map[string]JobView, err error) {
	found = map[string]JobView{}
	if at.part == partBuried {
		all := c.buried()
		all = all[min(at.cursor, uint64(len(all))):]
		for _, d := range all[:min(step, len(all))] {
			page.IDs = append(page.IDs, d.id)
			found[d.id] = d.view
		}
		page.Next, page.More = at.cursor+uint64(len(page.IDs)), len(all) > step
	} else if page, err = c.store.Page(ctx, at.part, at.kind, at.cursor, step); err != nil {
		return page, nil, err
	}
	recs, err := c.store.Records(ctx, page.IDs, scripts)
	now := time.Now()
	for _, r := range recs {
		found[r.ID] = viewOf(r, now)
	}
	if at.part == store.PartDead && len(found) < len(page.IDs) { // an id may have no record there
		bare := map[string]bool{}
		for _, id := range page.IDs {
			if _, ok := found[id]; !ok {
				bare[id] = true
				found[id] = JobView{ID: id, State: StateDead, Status: string(store.StatusError), Reason: store.ReasonNoRecord}
			}
		}
		for _, d := range c.buried() {
			if bare[d.id] {
				found[d.id] = d.view
			}
		}
	}
	return page, found, err
}
