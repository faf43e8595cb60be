package store

import (
	"fmt"
	"slices"
)

// world is what the scripts should make of Redis, in plain Go: the oracle of the model test.
// It has no clock; what depends on time is set from outside (due, the order of the idle).
type world struct {
	epoch    uint64
	position uint64
	jobs     map[string]*wjob
	queue    map[string][]string // by type; the right end is served next
	delayed  map[string][]string // by type
	due      map[string]bool     // of the delayed
	idle     map[string][]string // by type, longest first: "<actor> <incarnation>"
	lease    map[string][]string // by type
	actors   map[string]*wactor
	wake     map[string][]string // by actor: "job id attempt", "ring", "ping nonce"
	held     map[string][]string
	reg      map[string]string // incarnation -> "<actor> <type>"
	groups   map[string]string
	ended    []string
	dead     map[string]bool
	facts    []string
}

type wjob struct {
	typ, script    string // typ: as a record tells it
	status, reason string
	attempt        int
	crashes        int
	epoch          uint64
	holder, actor  string
	logged         bool // has the field sequence
	seq            uint64
}

type wactor struct {
	inc, typ, ping, pong string
	open                 bool
}

func newWorld() *world {
	return &world{
		jobs: map[string]*wjob{}, queue: map[string][]string{}, delayed: map[string][]string{}, due: map[string]bool{},
		idle: map[string][]string{}, lease: map[string][]string{}, actors: map[string]*wactor{}, wake: map[string][]string{},
		held: map[string][]string{}, reg: map[string]string{}, groups: map[string]string{}, dead: map[string]bool{},
	}
}

func (j *wjob) isEnded() bool { return j.status == "finished" || j.status == "error" }

func without(list []string, v string) []string {
	if i := slices.Index(list, v); i >= 0 {
		return slices.Delete(slices.Clone(list), i, i+1)
	}
	return list
}

func drop(m map[string][]string, k string, list []string) {
	m[k] = list
	if len(list) == 0 {
		delete(m, k)
	}
}

func (w *world) fact(kind, job, actor string, attempt int) {
	w.facts = append(w.facts, fmt.Sprint(kind, " ", job, " ", actor, " ", attempt))
}

func (w *world) end(id string, kind, status, reason string) {
	j := w.jobs[id]
	j.status = status
	if reason != "" {
		j.reason = reason
	}
	if j.logged && j.seq != 0 {
		w.ended = append(w.ended, fmt.Sprint(j.seq, " ", id, " ", status))
	}
	actor := j.actor
	if kind == "cancelled" || reason == "no script" {
		actor = "" // nobody had it
	}
	w.fact(kind, id, actor, j.attempt)
}

func (w *world) buryUnusable(id string) {
	if j := w.jobs[id]; j != nil && j.isEnded() {
		return
	}
	if w.jobs[id] != nil {
		w.end(id, "dead", "error", "no script")
	} else {
		w.fact("dead", id, "", 0)
	}
	w.dead[id] = true
}

func (w *world) start(id, typ, name, inc string) {
	j := w.jobs[id]
	j.attempt++
	j.status, j.epoch, j.holder, j.actor = "started", w.epoch, inc, name
	w.held[inc] = append(w.held[inc], id)
	if !slices.Contains(w.lease[typ], id) {
		w.lease[typ] = append(w.lease[typ], id)
	}
	w.fact("started", id, name, j.attempt)
}

func (w *world) popQueue(typ string) { drop(w.queue, typ, w.queue[typ][:len(w.queue[typ])-1]) }

func (w *world) nextReady(typ string) string {
	for len(w.queue[typ]) > 0 {
		q := w.queue[typ]
		id := q[len(q)-1]
		j := w.jobs[id]
		switch {
		case j == nil || j.script == "":
			w.buryUnusable(id)
		case !j.isEnded() && j.holder == "":
			return id
		}
		w.popQueue(typ)
	}
	return ""
}

func splitMember(m string) (name, inc string) {
	_, _ = fmt.Sscan(m, &name, &inc)
	return name, inc
}

// serve hands over; it returns id -> actor.
func (w *world) serve(typ string) map[string]string {
	handed := map[string]string{}
	for len(w.idle[typ]) > 0 {
		id := w.nextReady(typ)
		if id == "" {
			break
		}
		var name, inc, member string
		for len(w.idle[typ]) > 0 {
			m := w.idle[typ][0]
			n, i := splitMember(m)
			if a := w.actors[n]; a != nil && a.open && a.inc == i && a.typ == typ {
				name, inc, member = n, i, m
				break
			}
			drop(w.idle, typ, w.idle[typ][1:])
		}
		if name == "" {
			break
		}
		w.start(id, typ, name, inc)
		w.popQueue(typ)
		drop(w.idle, typ, without(w.idle[typ], member))
		w.wake[name] = append(w.wake[name], fmt.Sprint("job ", id, " ", w.jobs[id].attempt))
		handed[id] = name
	}
	return handed
}

// take is claim's and finish's next: "JOB id attempt held" or a code.
func (w *world) take(typ, name, inc string, open bool) string {
	dropped := false
	for len(w.held[inc]) > 0 {
		id := w.held[inc][0]
		j := w.jobs[id]
		if j != nil && j.script != "" && j.status == "started" && j.holder == inc {
			if j.epoch != w.epoch {
				w.start(id, typ, name, inc)
				w.held[inc] = w.held[inc][1:]
			}
			w.wake[name] = slices.DeleteFunc(w.wake[name], func(m string) bool { return m[:3] == "job" })
			drop(w.wake, name, w.wake[name])
			return fmt.Sprint("JOB ", id, " ", j.attempt, " true")
		}
		if j == nil || j.script == "" {
			w.buryUnusable(id)
		}
		drop(w.held, inc, w.held[inc][1:])
		dropped = true
		if j == nil || j.holder == "" {
			drop(w.lease, typ, without(w.lease[typ], id))
		}
	}
	if !open {
		if dropped {
			w.fact("drained", "", name, 0)
		}
		return "CLOSED"
	}
	me := name + " " + inc
	if id := w.nextReady(typ); id != "" {
		w.start(id, typ, name, inc)
		w.popQueue(typ)
		drop(w.idle, typ, without(w.idle[typ], me))
		return fmt.Sprint("JOB ", id, " ", w.jobs[id].attempt, " false")
	}
	if !slices.Contains(w.idle[typ], me) {
		w.idle[typ] = append(w.idle[typ], me)
	}
	return "IDLE"
}
