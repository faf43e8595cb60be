package store

import (
	"fmt"
	"slices"
	"strconv"
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
	typ, script    string
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
	w.fact(kind, id, j.actor, j.attempt)
}

func (w *world) buryUnusable(id string) {
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
		if j == nil || j.holder == "" {
			drop(w.lease, typ, without(w.lease[typ], id))
		}
	}
	if !open {
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

// The scripts. Each answers as the Go side prints its answer; "" stands for ErrNoEpoch.

func (w *world) hello(typ, name, inc string) string {
	if w.epoch == 0 {
		return ""
	}
	a := w.actors[name]
	if a != nil && a.inc == inc {
		return fmt.Sprint("OK ", a.open, " ", len(w.held[inc]))
	}
	if _, known := w.reg[inc]; a != nil && known {
		return "SUPERSEDED"
	}
	delete(w.wake, name)
	if a != nil {
		drop(w.idle, typ, without(w.idle[typ], name+" "+a.inc))
	}
	w.actors[name] = &wactor{inc: inc, typ: typ, open: true}
	w.reg[inc] = name + " " + typ
	w.fact("hello", "", name, 0)
	return fmt.Sprint("OK true ", len(w.held[inc]))
}

func (w *world) accept(epoch, after, seq uint64, id, typ, script string, delay bool) string {
	if epoch != w.epoch {
		return ""
	}
	if after != 0 && w.position < after {
		return "GAP"
	}
	w.position = max(w.position, seq)
	code := "OK"
	j := w.jobs[id]
	switch {
	case j == nil:
		w.jobs[id] = &wjob{typ: typ, script: script, status: "dispatched", logged: true, seq: seq}
		delete(w.dead, id)
		if delay {
			w.delayed[typ] = append(w.delayed[typ], id)
		} else {
			w.queue[typ] = slices.Insert(slices.Clone(w.queue[typ]), 0, id)
			w.serve(typ)
		}
	case j.script == script && j.typ == typ:
		code = "SAME"
		if (!j.logged || j.seq == 0) && seq != 0 {
			j.logged, j.seq = true, seq
			if j.isEnded() {
				w.ended = append(w.ended, fmt.Sprint(seq, " ", id, " ", j.status))
			}
		}
	default:
		code = "CONFLICT"
	}
	j = w.jobs[id]
	handed := ""
	if j.holder != "" && !j.isEnded() {
		handed = j.actor
	}
	return fmt.Sprint(code, " ", j.status, " ", j.seq, " ", len(w.queue[typ]), " ", handed)
}

func (w *world) claim(epoch uint64, typ, name, inc string) string {
	if epoch != w.epoch || epoch == 0 {
		return ""
	}
	a := w.actors[name]
	if a == nil || a.inc != inc {
		return "UNREGISTERED"
	}
	got := w.take(typ, name, inc, a.open)
	if got[:3] == "JOB" {
		w.serve(typ)
	}
	return got
}

func (w *world) holds(inc, id string, tok Token) string {
	j := w.jobs[id]
	if j == nil {
		return "UNKNOWN"
	}
	if j.holder != inc || j.epoch != tok.Epoch || j.attempt != tok.Attempt {
		return "STALE"
	}
	return "OK"
}

func (w *world) finish(typ, name, inc, id string, tok Token, failed, next bool) string {
	if tok.Epoch != w.epoch || w.epoch == 0 {
		return ""
	}
	if code := w.holds(inc, id, tok); code != "OK" {
		return code
	}
	j := w.jobs[id]
	first := j.status == "started"
	if first {
		status, reason := "finished", ""
		if failed {
			status, reason = "error", "exit 1"
		}
		w.end(id, "ended", status, reason)
		drop(w.held, inc, without(w.held[inc], id))
		drop(w.lease, typ, without(w.lease[typ], id))
		delete(w.groups, inc)
	}
	a := w.actors[name]
	got := "NOT_WANTED"
	if a == nil || a.inc != inc {
		got = "UNREGISTERED"
	} else if next {
		got = w.take(typ, name, inc, a.open)
	}
	if first && a != nil && a.inc == inc && !a.open && len(w.held[inc]) == 0 {
		w.fact("drained", "", name, 0)
	}
	w.serve(typ)
	if got[:3] == "JOB" { // finish does not tell whether it was in hand
		var nid string
		var attempt int
		_, _ = fmt.Sscan(got[4:], &nid, &attempt)
		got = fmt.Sprint("JOB ", nid, " ", attempt)
	}
	return "OK " + got
}

func (w *world) renew(inc, id string, tok Token) string {
	if tok.Epoch != w.epoch || w.epoch == 0 {
		return ""
	}
	code := w.holds(inc, id, tok)
	if code == "OK" && w.jobs[id].status != "started" {
		code = "STALE"
	}
	return code
}

func (w *world) group(inc, id string, tok Token, pgid int) string {
	code := w.renew(inc, id, tok)
	if code == "OK" {
		w.groups[inc] = fmt.Sprint(pgid, " 7 ", id, " ", tok.Attempt)
	}
	return code
}

func (w *world) close(epoch uint64, name string) string {
	if epoch != w.epoch {
		return ""
	}
	a := w.actors[name]
	if a == nil {
		return "UNREGISTERED"
	}
	a.open = false
	drop(w.idle, a.typ, without(w.idle[a.typ], name+" "+a.inc))
	return fmt.Sprint("OK ", len(w.held[a.inc]), " ", a.inc)
}

func (w *world) ring(name string) {
	l := w.wake[name]
	if len(l) == 0 || l[len(l)-1] != "ring" {
		w.wake[name] = append(l, "ring")
	}
}

func (w *world) open(epoch uint64, name string) string {
	if epoch != w.epoch {
		return ""
	}
	a := w.actors[name]
	if a == nil {
		return "UNREGISTERED"
	}
	if !a.open {
		a.open = true
		w.ring(name)
	}
	return fmt.Sprint("OK ", len(w.held[a.inc]), " ", a.inc)
}

func (w *world) pingActor(epoch uint64, name, nonce string) string {
	if epoch != w.epoch {
		return ""
	}
	a := w.actors[name]
	if a == nil {
		return "UNREGISTERED"
	}
	if a.ping != nonce {
		a.ping = nonce
		w.wake[name] = append(w.wake[name], "ping "+nonce)
	}
	return "OK"
}

func (w *world) pongActor(epoch uint64, name, inc, nonce string) string {
	if epoch != w.epoch || epoch == 0 {
		return ""
	}
	a := w.actors[name]
	if a == nil || a.inc != inc {
		return "UNREGISTERED"
	}
	if a.pong != nonce {
		a.pong = nonce
		w.fact("pong", "", name, 0)
	}
	return "OK"
}

func (w *world) recover(epoch uint64, inc string, interrupted bool, limit int) string {
	if epoch != w.epoch {
		return ""
	}
	reg, ok := w.reg[inc]
	if !ok {
		return "GONE"
	}
	name, typ := splitMember(reg)
	var back []string
	ids := w.held[inc]
	for _, id := range slices.Backward(ids) {
		j := w.jobs[id]
		if j == nil || j.script == "" {
			w.buryUnusable(id)
			drop(w.lease, typ, without(w.lease[typ], id))
			continue
		}
		if j.status != "started" || j.holder != inc {
			continue
		}
		if !interrupted {
			j.crashes++
		}
		j.status, j.holder = "dispatched", ""
		if !interrupted && j.crashes >= limit {
			w.end(id, "dead", "error", ReasonCrashes)
			w.dead[id] = true
		} else {
			w.queue[typ] = append(w.queue[typ], id)
			w.fact("retried", id, name, j.attempt)
		}
		drop(w.lease, typ, without(w.lease[typ], id))
		back = slices.Insert(back, 0, id)
	}
	delete(w.held, inc)
	delete(w.reg, inc)
	delete(w.groups, inc)
	drop(w.idle, typ, without(w.idle[typ], name+" "+inc))
	if a := w.actors[name]; a != nil && a.inc == inc {
		delete(w.actors, name)
		delete(w.wake, name)
	}
	handed := w.serve(typ)
	out := "OK"
	for _, id := range back {
		j := w.jobs[id]
		out += fmt.Sprint(" [", id, " ", j.crashes, " ", j.isEnded(), " ", handed[id], "]")
	}
	return out
}

func (w *world) promote(epoch uint64, typ string) string {
	if epoch != w.epoch {
		return ""
	}
	var due []string
	for _, id := range w.delayed[typ] {
		if w.due[id] {
			due = append(due, id)
		}
	}
	slices.Sort(due) // all became due at once: then by id
	moved := 0
	for _, id := range due {
		if j := w.jobs[id]; !j.isEnded() && j.holder == "" {
			w.queue[typ] = slices.Insert(slices.Clone(w.queue[typ]), 0, id)
			moved++
		}
		drop(w.delayed, typ, without(w.delayed[typ], id))
		delete(w.due, id)
	}
	w.serve(typ)
	return fmt.Sprint("OK ", moved, " ", len(w.queue[typ]))
}

func (w *world) cancel(epoch uint64, id string) string {
	if epoch != w.epoch {
		return ""
	}
	j := w.jobs[id]
	switch {
	case j == nil:
		return "UNKNOWN"
	case j.isEnded():
		return fmt.Sprint("ENDED ", j.status, " ", j.reason)
	case j.status == "started":
		return fmt.Sprint("RUNNING started ", j.reason)
	}
	w.end(id, "cancelled", "error", ReasonCancelled)
	drop(w.delayed, j.typ, without(w.delayed[j.typ], id))
	drop(w.queue, j.typ, slices.DeleteFunc(slices.Clone(w.queue[j.typ]), func(v string) bool { return v == id }))
	delete(w.due, id)
	return "OK error " + ReasonCancelled
}

func (w *world) adopt(epoch uint64, typ string) string {
	if epoch != w.epoch {
		return ""
	}
	out := fmt.Sprint("OK ", len(w.queue[typ]))
	for _, id := range w.queue[typ] {
		if j := w.jobs[id]; j != nil && j.script != "" && !j.logged && !j.isEnded() && j.holder == "" {
			out += " " + id
		}
	}
	return out + " handed " + strconv.Itoa(len(w.serve(typ)))
}
