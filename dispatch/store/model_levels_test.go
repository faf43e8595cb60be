package store

import (
	"fmt"
	"slices"
	"strings"
)

// The model's time: one tick for each call of a script, since the machine sees to it that no two calls have the same
// millisecond. What the test adds to that is so much longer than any run that the sums keep their order: an hour of
// delay is vHour, a level's head start vLevel.
const (
	vHour  = 1_000_000
	vLevel = 1_000_000_000
)

// wtimes are the two of a record that decide about its turn; nil: not set, or not a number.
type wtimes struct {
	ready, first *int
	unseen       bool // it ran before anybody saw it wait: nobody knows since when it was ready first, and it goes before all
	due          int  // of one that waits for others and is delayed too
}

// wplace is a place in prio:<type>.
type wplace struct {
	id, order string
	score     int
}

func (w *world) at(t int) *int { return &t }

func (w *world) setReady(id string) {
	t := w.times[id]
	t.ready = w.at(w.now)
	w.times[id] = t
}

// enqueue puts a job where it waits for a hand: behind the others of its level, or, back from a dead hand, before them.
func (w *world) enqueue(id string, ready *int, back bool) {
	j, t := w.jobs[id], w.times[id]
	typ := j.typ
	first := ready
	if back {
		if t.first == nil && !t.unseen {
			t.first, t.unseen = ready, ready == nil
			w.times[id] = t
		}
		first = t.first
	}
	in := w.queue
	if j.alone {
		in = w.alone
	}
	if j.level == 0 || j.alone {
		if back {
			in[typ] = append(in[typ], id)
		} else {
			in[typ] = slices.Insert(slices.Clone(in[typ]), 0, id)
		}
		return
	}
	score := w.now
	if first != nil {
		score = *first
	}
	w.place(id, score-j.level*vLevel)
}

func (w *world) place(id string, score int) {
	typ := w.jobs[id].typ
	w.leaveLevel(id)
	w.prio[typ] = append(w.prio[typ], wplace{id, w.jobs[id].order, score})
	slices.SortFunc(w.prio[typ], func(a, b wplace) int {
		if a.score != b.score {
			return a.score - b.score
		}
		return strings.Compare(a.order+" "+a.id, b.order+" "+b.id)
	})
}

func (w *world) leaveLevel(id string) {
	typ := w.jobs[id].typ
	if l := slices.DeleteFunc(slices.Clone(w.prio[typ]), func(p wplace) bool { return p.id == id }); len(l) > 0 {
		w.prio[typ] = l
	} else {
		delete(w.prio, typ)
	}
}

// leaveQueue takes a job from wherever it waits.
func (w *world) leaveQueue(id string) {
	typ := w.jobs[id].typ
	drop(w.delayed, typ, without(w.delayed[typ], id))
	lone := slices.Contains(w.alone[typ], id)
	for _, in := range []map[string][]string{w.queue, w.alone} {
		drop(in, typ, slices.DeleteFunc(slices.Clone(in[typ]), func(v string) bool { return v == id }))
	}
	if lone && len(w.alone[typ]) == 0 {
		w.noneAlone(typ)
	}
	delete(w.due, id)
	w.leaveLevel(id)
}

func (w *world) waiting(typ string) int {
	return len(w.queue[typ]) + len(w.prio[typ]) + len(w.alone[typ])
}

// turn is whose turn it is: the list's head, or one of another level that goes before it.
func (w *world) turn(typ string) (id string, listed bool) {
	q, p := w.queue[typ], w.prio[typ]
	if len(q) == 0 {
		if len(p) == 0 {
			return "", false
		}
		return p[0].id, false
	}
	head := q[len(q)-1]
	if len(p) == 0 || w.jobs[head] == nil || w.jobs[head].status != "dispatched" {
		return head, true
	}
	since := w.times[head].first
	if since == nil {
		since = w.times[head].ready
	}
	if w.times[head].unseen || since == nil || *since <= p[0].score {
		return head, true
	}
	return p[0].id, false
}

// took takes from its place what turn gave.
func (w *world) took(typ string, listed bool) {
	if listed {
		drop(w.queue, typ, w.queue[typ][:len(w.queue[typ])-1])
	} else if w.prio[typ] = w.prio[typ][1:]; len(w.prio[typ]) == 0 {
		delete(w.prio, typ)
	}
}

// nextReady ends and drops on its way what can not be run.
func (w *world) nextReady(typ string) (id string, listed bool) {
	for {
		id, listed := w.turn(typ)
		if id == "" {
			return "", false
		}
		j := w.jobs[id]
		switch {
		case j == nil || j.script == "":
			w.buryUnusable(id)
		case w.mayRun(id):
			return id, listed
		}
		if q, p := w.queue[typ], w.prio[typ]; listed && q[len(q)-1] == id || !listed && len(p) > 0 && p[0].id == id {
			w.took(typ, listed) // else its end took it
		}
	}
}

// mayRun ends one that is too late to begin.
func (w *world) mayRun(id string) bool {
	j := w.jobs[id]
	if j.isEnded() || j.holder != "" || j.status == "waiting_for_prerequisites" {
		return false
	}
	if j.startBy == startByPast {
		w.end(id, "ended", "error", ReasonExpired)
		return false
	}
	return true
}

// What a job's start-by is.
const (
	startByNone = iota
	startByAhead
	startByPast
)

// begun: its start-by is met, for all its attempts.
func (w *world) begun(id string) {
	j := w.jobs[id]
	if j.startBy != startByNone {
		j.startBy = startByNone
		drop(w.startBy, j.typ, without(w.startBy[j.typ], id))
	}
}

func (p wplace) String() string { return fmt.Sprint(p.id, "@", p.score) }
