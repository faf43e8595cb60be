package store

import (
	"slices"
	"strings"
)

// wwait is one in unlocks:<id>: who waits for it. held: a bad end came, and it holds.
type wwait struct {
	id, order string
	held      bool
}

// lookAtNeeds says of a job to be what it has to wait for, the first that failed it, the first that nobody knows.
func (w *world) lookAtNeeds(needs []Prerequisite, refilled bool) (open []Prerequisite, failed, unknown string) {
	for _, p := range needs {
		j := w.jobs[p.ID]
		switch {
		case j == nil:
			if !refilled {
				return open, failed, p.ID
			}
		case j.status == "error" && p.Rule == RuleFail:
			if failed == "" {
				failed = p.ID
			}
		case j.status != "finished" && (j.status != "error" || p.Rule == RuleHold):
			open = append(open, p)
		}
	}
	return open, failed, ""
}

func (w *world) waitFor(id string, open []Prerequisite) {
	w.need[id] = map[string]Rule{}
	for _, p := range open {
		j := w.jobs[p.ID]
		w.need[id][p.ID] = p.Rule
		w.addWait(p.ID, wwait{id, w.jobs[id].order, j.status == "error"})
		j.awaited = true
		if j.status == "error" && j.expires {
			j.expires, j.settled = false, true
		}
	}
}

func (w *world) addWait(by string, e wwait) {
	l := append(slices.DeleteFunc(slices.Clone(w.unlocks[by]), func(o wwait) bool { return o.id == e.id }), e)
	slices.SortFunc(l, func(a, b wwait) int {
		if a.held != b.held {
			if b.held {
				return -1
			}
			return 1
		}
		return strings.Compare(a.order+" "+a.id, b.order+" "+b.id)
	})
	w.unlocks[by] = l
}

// leaveWait reports whether it stood there.
func (w *world) leaveWait(by, id string) bool {
	l := slices.DeleteFunc(slices.Clone(w.unlocks[by]), func(o wwait) bool { return o.id == id })
	was := len(l) < len(w.unlocks[by])
	if w.unlocks[by] = l; len(l) == 0 {
		delete(w.unlocks, by)
	}
	return was
}

// ending is one whose end is looked at.
type ending struct {
	id       string
	awaited  bool
	finished bool
}

// release is what a job's end means to those that wait for it, and the ends that this brings in their turn.
func (w *world) release(e ending) {
	if w.endings != nil {
		w.endings = append(w.endings, e)
		return
	}
	w.endings = []ending{e}
	for i := 0; i < len(w.endings); i++ {
		e := w.endings[i]
		for _, o := range slices.Clone(w.unlocks[e.id]) {
			if !o.held || e.finished {
				w.edge(o, e.id, e.finished)
			}
		}
		if len(w.unlocks[e.id]) == 0 && e.awaited {
			w.unlocked(e.id)
		}
	}
	w.endings = nil
}

func (w *world) edge(o wwait, by string, finished bool) {
	rule, j := w.need[o.id][by], w.jobs[o.id]
	waits := j != nil && j.status == "waiting_for_prerequisites"
	switch {
	case rule == RuleHold && !finished:
		w.addWait(by, wwait{o.id, o.order, true})
		return
	case rule == "":
	case finished || rule == RuleRun:
		delete(w.need[o.id], by)
		if len(w.need[o.id]) == 0 {
			delete(w.need, o.id)
			if waits {
				w.touched[j.typ] = true
				w.released(o.id)
			}
		}
	case waits:
		w.touched[j.typ] = true
		w.end(o.id, "ended", "error", "prerequisite "+by)
	}
	w.leaveWait(by, o.id)
}

func (w *world) released(id string) {
	j := w.jobs[id]
	j.status = "dispatched"
	t := w.times[id]
	if j.delayed {
		t.ready = w.at(t.due)
		w.delayed[j.typ] = append(w.delayed[j.typ], id)
	} else {
		t.ready = w.at(w.now)
	}
	w.times[id] = t
	if !j.delayed {
		w.enqueue(id, t.ready, false)
	}
	w.fact("released", id, "", 0)
}

// unlocked: nobody waits for it any more.
func (w *world) unlocked(id string) {
	j := w.jobs[id]
	j.awaited = false
	if j.isEnded() && (j.settled || !j.logged || j.seq == 0) {
		j.expires = true
	}
}

func (w *world) forgetNeeds(id string) {
	for by, rule := range w.need[id] {
		if rule == RuleHold && w.leaveWait(by, id) && len(w.unlocks[by]) == 0 && w.jobs[by] != nil && w.jobs[by].awaited {
			w.unlocked(by)
		}
	}
	delete(w.need, id)
}

// begin is how each script begins that may end jobs: for one type, with nothing given to others yet.
func (w *world) begin(typ string) { w.touched = map[string]bool{typ: false} }

// serveOthers is the script's type's leave: what its ends gave to others is handed over there, and what those ends give in
// their turn, the script's own type among them.
func (w *world) serveOthers(typ string) {
	for own := false; ; own = true {
		touched, served := w.touched, false
		w.touched = map[string]bool{}
		for _, t := range typeNames {
			if touched[t] && (own || t != typ) {
				w.serve(t)
				served = true
			}
		}
		if !served {
			return
		}
	}
}
