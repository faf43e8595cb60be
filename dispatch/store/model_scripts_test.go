package store

import (
	"fmt"
	"slices"
	"strconv"
)

// The scripts. Each answers as the Go side prints its answer; "" stands for ErrNoEpoch.

func (w *world) hello(typ, name, inc string, slots int) string {
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
	w.leaveUnread(name)
	delete(w.wake, name)
	if a != nil {
		drop(w.idle, typ, without(w.idle[typ], name+" "+a.inc))
	}
	w.actors[name] = &wactor{inc: inc, typ: typ, open: true, slots: slots}
	w.lease[typ] = append(without(w.lease[typ], inc), inc)
	w.reg[inc] = name + " " + typ
	w.fact("hello", "", name, 0)
	return fmt.Sprint("OK true ", len(w.held[inc]))
}

func (w *world) accept(epoch, after, seq uint64, id, typ, script string, delay bool, retries int, again bool) string {
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
		w.jobs[id] = &wjob{typ: typ, script: script, status: "dispatched", logged: true, seq: seq, retries: retries}
		delete(w.dead, id)
		if delay {
			w.delayed[typ] = append(without(w.delayed[typ], id), id)
		} else {
			w.queue[typ] = slices.Insert(slices.Clone(w.queue[typ]), 0, id)
			w.serve(typ)
		}
	case again && j.isEnded() && j.script == script && j.typ == typ && j.seq < seq:
		*j = wjob{typ: j.typ, script: j.script, status: "dispatched", logged: true, seq: seq, retries: j.retries, attempt: j.attempt, epoch: w.epoch, actor: j.actor}
		delete(w.dead, id)
		w.queue[typ] = slices.Insert(slices.Clone(w.queue[typ]), 0, id)
		w.serve(typ)
	case j.script == script && j.typ == typ:
		code = "SAME"
		if (!j.logged || j.seq == 0) && seq != 0 {
			j.logged, j.seq = true, seq
			if j.asserted != "" {
				j.retries = retries
				if j.asserted == "failed" && j.status == "dispatched" {
					code = "OK"
					w.queue[typ] = slices.Insert(slices.Clone(w.queue[typ]), 0, id)
					w.serve(typ)
				}
				j.asserted = ""
			}
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

// assert keeps what is in a hand since an earlier epoch. script: the job's as its holder knows it.
func (w *world) assert(epoch uint64, typ, name, inc, id, script string, tok Token) string {
	if epoch != w.epoch || epoch == 0 {
		return ""
	}
	a := w.actors[name]
	if a == nil || a.inc != inc {
		return "UNREGISTERED"
	}
	j := w.jobs[id]
	held := slices.Contains(w.held[inc], id)
	room := len(w.held[inc]) < a.slots || held
	switch {
	case j != nil && j.status == "started" && j.epoch == epoch && j.attempt == tok.Attempt && j.holder == inc:
		return "OK OK"
	case !a.open || !room || tok.Epoch >= epoch || j != nil && !j.older(inc, script, epoch, tok):
		return "OK STALE"
	case j == nil:
		j = &wjob{typ: typ, script: script, asserted: "1"}
		w.jobs[id] = j
		delete(w.dead, id)
	case j.status == "dispatched":
		drop(w.delayed, typ, without(w.delayed[typ], id))
		drop(w.queue, typ, slices.DeleteFunc(slices.Clone(w.queue[typ]), func(v string) bool { return v == id }))
		delete(w.due, id)
	}
	j.status, j.epoch, j.attempt, j.holder, j.actor = "started", epoch, tok.Attempt, inc, name
	if !held {
		w.held[inc] = append(w.held[inc], id)
	}
	w.lease[typ] = append(without(w.lease[typ], inc), inc)
	drop(w.idle, typ, without(w.idle[typ], name+" "+inc))
	return "OK OK"
}

// older reports whether a record is of a time before the hand-out that a claim speaks of, or of that one itself.
func (j *wjob) older(inc, script string, epoch uint64, tok Token) bool {
	the := j.epoch == tok.Epoch && j.attempt == tok.Attempt
	switch {
	case j.isEnded(), j.script != script, j.epoch >= epoch, j.epoch > tok.Epoch, j.epoch == tok.Epoch && j.attempt > tok.Attempt:
		return false
	case j.status == "started":
		return j.holder == inc || j.holder != "" && !the
	}
	return j.status == "dispatched" && !the
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

func (w *world) renew(inc, id string, tok Token) string {
	if tok.Epoch != w.epoch || w.epoch == 0 {
		return ""
	}
	code := w.holds(inc, id, tok)
	switch {
	case code == "OK" && w.jobs[id].status != "started":
		code = "STALE"
	case code == "OK" && w.jobs[id].cancel:
		code = "CANCELLED"
	}
	return code
}

func (w *world) group(inc, id string, tok Token, pgid int) string {
	code := w.renew(inc, id, tok)
	if code == "OK" {
		w.groups[inc+" "+id] = fmt.Sprint(pgid, " 7 ", tok.Attempt)
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
	if a := w.actors[name]; a != nil && a.inc == inc {
		w.leaveUnread(name)
	}
	ids := w.held[inc]
	for _, id := range slices.Backward(ids) {
		j := w.jobs[id]
		if j == nil || j.script == "" {
			w.buryUnusable(id)
			continue
		}
		if j.status != "started" || j.holder != inc {
			continue
		}
		counts := !interrupted && !j.cancel && j.unread != fmt.Sprint(j.attempt, " ", inc)
		if counts {
			j.crashes++
		}
		j.status, j.holder = "dispatched", ""
		switch {
		case j.cancel:
			w.end(id, "ended", "error", ReasonCancelled)
		case counts && j.crashes >= limit:
			w.end(id, "dead", "error", ReasonCrashes)
			w.dead[id] = true
		default: // pauses are drawn as none here
			w.queue[typ] = append(w.queue[typ], id)
			w.fact("retried", id, name, j.attempt)
		}
		back = slices.Insert(back, 0, id)
	}
	for _, id := range ids {
		delete(w.groups, inc+" "+id)
	}
	delete(w.held, inc)
	delete(w.reg, inc)
	drop(w.lease, typ, without(w.lease[typ], inc))
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

// leaveUnread notes the jobs whose messages the actor leaves behind.
func (w *world) leaveUnread(name string) {
	for _, m := range w.wake[name] {
		var kind, id string
		var attempt int
		_, _ = fmt.Sscan(m, &kind, &id, &attempt)
		if j := w.jobs[id]; kind == "job" && j != nil && j.attempt == attempt && j.holder != "" {
			j.unread = fmt.Sprint(attempt, " ", j.holder)
		}
	}
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
		if j.holder != "" && !j.cancel {
			j.cancel = true
			w.wake[j.actor] = append(w.wake[j.actor], "cancel")
		}
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
