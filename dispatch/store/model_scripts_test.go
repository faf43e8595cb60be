package store

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
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

// submitted is a submission as the model wants it told.
type submitted struct {
	Submission
	due     int // virtual; 0: at once
	startBy int
}

// accept answers "<code> <status> <sequence> <ready> <actor>|<what it waits for, or misses>".
func (w *world) accept(epoch, after uint64, sub submitted) string {
	if epoch != w.epoch {
		return ""
	}
	if after != 0 && w.position < after {
		return "GAP"
	}
	id, typ, seq := sub.ID, sub.Type, sub.Sequence
	w.begin(typ)
	w.position = max(w.position, seq)
	j, handed := w.jobs[id], map[string]string{}
	if j == nil {
		open, failed, unknown := w.lookAtNeeds(sub.Prerequisites, sub.Refilled)
		if unknown != "" {
			return fmt.Sprint("NO_PREREQUISITE  0 0 |", unknown)
		}
		j = w.create(sub)
		switch {
		case failed != "":
			w.end(id, "ended", "error", "prerequisite "+failed)
		case len(open) > 0:
			j.status = "waiting_for_prerequisites"
			w.waitFor(id, open)
			names := make([]string, len(open))
			for i, p := range open {
				names[i] = p.ID
			}
			return fmt.Sprint("OK ", j.status, " ", j.seq, " ", w.waiting(typ), " |", strings.Join(names, " "))
		case sub.due != 0:
			w.delayed[typ] = append(without(w.delayed[typ], id), id)
		default:
			handed = w.readyNow(id)
		}
		if failed != "" || sub.due != 0 {
			return fmt.Sprint("OK ", j.status, " ", j.seq, " ", w.waiting(typ), " |")
		}
	} else {
		alike := j.script == sub.Script && j.typ == typ
		switch {
		case sub.Again && j.isEnded() && alike && j.seq < seq:
			*j = wjob{
				typ: j.typ, script: j.script, status: "dispatched", logged: true, seq: seq, retries: j.retries, attempt: j.attempt, epoch: w.epoch, actor: j.actor,
				level: j.level, order: j.order, needs: j.needs, delayed: j.delayed, awaited: j.awaited, alone: j.alone,
			}
			delete(w.dead, id)
			w.times[id] = wtimes{ready: w.at(w.now)}
			handed = w.readyNow(id)
		case alike && w.completes(id, sub):
			handed = w.readyNow(id)
		default:
			if alike && sub.Refilled && j.isEnded() && j.seq == seq && (j.settled || j.expires) { // its message is there all the same
				j.settled, j.expires = false, false
				outcome := j.status
				if j.dead {
					outcome = "dead"
				}
				w.ended = append(w.ended, fmt.Sprint(seq, " ", id, " ", outcome))
			}
			code := map[bool]string{true: "SAME", false: "CONFLICT"}[alike]
			if j.holder != "" && !j.isEnded() {
				handed[id] = j.actor
			}
			return fmt.Sprint(code, " ", j.status, " ", j.seq, " ", w.waiting(typ), " ", handed[id], "|")
		}
	}
	status := "dispatched" // unless it was handed over; also if nobody could begin it in time
	if handed[id] != "" {
		status = "started"
	}
	return fmt.Sprint("OK ", status, " ", j.seq, " ", w.waiting(typ), " ", handed[id], "|")
}

func (w *world) readyNow(id string) map[string]string {
	w.enqueue(id, w.at(w.now), false)
	return w.serve(w.jobs[id].typ)
}

// create makes the record.
func (w *world) create(sub submitted) *wjob {
	id := sub.ID
	j := &wjob{
		typ: sub.Type, script: sub.Script, status: "dispatched", logged: true, seq: sub.Sequence, retries: sub.Retries,
	}
	w.jobs[id] = j
	w.rare(j, sub)
	delete(w.dead, id)
	w.times[id] = wtimes{ready: w.at(w.now), due: sub.due}
	if sub.due != 0 {
		w.times[id] = wtimes{ready: w.at(sub.due), due: sub.due}
	}
	if j.startBy = sub.startBy; j.startBy != startByNone {
		w.startBy[sub.Type] = append(without(w.startBy[sub.Type], id), id)
	}
	return j
}

// rare is what the field opts says of a job for all its life.
func (w *world) rare(j *wjob, sub submitted) {
	j.level, j.needs = sub.Priority, len(sub.Prerequisites) > 0
	j.delayed = j.needs && sub.due != 0
	j.order = ""
	if j.level != 0 || j.needs || sub.startBy != startByNone {
		j.order = fmt.Sprintf("%020d", sub.Sequence)
	}
}

// completes is what the log adds to a record that is in no log yet; true: the job failed before that, and is ready again.
func (w *world) completes(id string, sub submitted) bool {
	j := w.jobs[id]
	if j.logged && j.seq != 0 || sub.Sequence == 0 {
		return false
	}
	j.logged, j.seq = true, sub.Sequence
	asserted := j.asserted
	if j.asserted = ""; asserted != "" {
		j.retries = sub.Retries
		w.rare(j, sub) // but for the start-by: it has begun
		if asserted == "failed" && j.status == "dispatched" {
			return true
		}
	}
	if j.isEnded() {
		w.ended = append(w.ended, fmt.Sprint(sub.Sequence, " ", id, " ", j.status))
		j.expires = false
	}
	return false
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
		w.setReady(id)
		delete(w.dead, id)
	case j.status == "dispatched":
		w.leaveQueue(id)
	}
	w.begun(id)
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
	w.begin(typ)
	var back []string
	if a := w.actors[name]; a != nil && a.inc == inc {
		w.leaveUnread(name)
	}
	ids := w.held[inc]
	counts := func(id string) bool {
		j := w.jobs[id]
		return j != nil && j.script != "" && j.status == "started" && j.holder == inc &&
			!interrupted && !j.cancel && j.unread != fmt.Sprint(j.attempt, " ", inc)
	}
	accused := 0
	for _, id := range ids {
		if counts(id) {
			accused++
		}
	}
	for _, id := range slices.Backward(ids) {
		j := w.jobs[id]
		if j == nil || j.script == "" {
			w.buryUnusable(id)
			continue
		}
		if j.status != "started" || j.holder != inc {
			continue
		}
		counted := counts(id)
		if counted && accused > 1 && !j.alone {
			j.alone, counted = true, false
		}
		if counted {
			j.crashes++
		}
		j.status, j.holder = "dispatched", ""
		switch {
		case j.cancel:
			w.end(id, "ended", "error", ReasonCancelled)
		case counted && j.crashes >= limit:
			w.end(id, "dead", "error", ReasonCrashes)
			w.dead[id] = true
		default: // pauses are drawn as none here
			was := w.times[id].ready
			w.setReady(id)
			w.enqueue(id, was, true)
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
	w.serveOthers(typ)
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
	w.begin(typ)
	var late, due []string
	for _, id := range w.startBy[typ] {
		if w.jobs[id].startBy == startByPast {
			late = append(late, id)
		}
	}
	slices.Sort(late) // all became late at once: then by id
	for _, id := range late {
		if j := w.jobs[id]; !j.isEnded() && j.holder == "" {
			w.end(id, "ended", "error", ReasonExpired)
			drop(w.delayed, typ, without(w.delayed[typ], id))
			delete(w.due, id)
		}
		drop(w.startBy, typ, without(w.startBy[typ], id))
	}
	for _, id := range w.delayed[typ] {
		if w.due[id] {
			due = append(due, id)
		}
	}
	slices.Sort(due)
	moved := 0
	for _, id := range due {
		if w.mayRun(id) {
			w.enqueue(id, w.times[id].ready, false)
			moved++
		}
		drop(w.delayed, typ, without(w.delayed[typ], id))
		delete(w.due, id)
	}
	w.serve(typ)
	if len(late) > 0 {
		w.nextReady(typ) // nobody may come to claim: what is spent goes now
	}
	w.serveOthers(typ)
	return fmt.Sprint("OK ", moved, " ", w.waiting(typ))
}

// cancel is one call for jobs of one type.
func (w *world) cancel(epoch uint64, ids ...string) string {
	if epoch != w.epoch {
		return ""
	}
	typ, rare := "", false
	if j := w.jobs[ids[0]]; j != nil {
		typ = j.typ
		w.begin(typ)
	}
	said := make([]string, len(ids))
	for i, id := range ids {
		said[i] = strings.TrimRight(w.cancelOne(id, &rare), " ")
	}
	if rare {
		w.serve(typ)
		w.serveOthers(typ)
	}
	return strings.Join(said, ", ")
}

func (w *world) cancelOne(id string, rare *bool) string {
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
	*rare = *rare || j.order != "" || j.awaited || j.alone
	w.end(id, "cancelled", "error", ReasonCancelled)
	w.leaveQueue(id)
	return "OK error " + ReasonCancelled
}

func (w *world) adopt(epoch uint64, typ string) string {
	if epoch != w.epoch {
		return ""
	}
	w.begin(typ)
	out := fmt.Sprint("OK ", len(w.queue[typ]))
	for _, id := range w.queue[typ] {
		if j := w.jobs[id]; j != nil && j.script != "" && !j.logged && !j.isEnded() && j.holder == "" {
			out += " " + id
			if w.times[id].ready == nil {
				w.setReady(id)
			}
		}
	}
	handed := 0
	if len(w.queue[typ]) > 0 {
		handed = len(w.serve(typ))
		w.serveOthers(typ)
	}
	return out + " handed " + strconv.Itoa(handed)
}

// settle: the log's message of an end is gone.
func (w *world) settle(e EndedEntry) {
	if len(w.ended) == 0 || w.ended[0] != e.String() {
		return
	}
	w.ended = w.ended[1:]
	if j := w.jobs[e.ID]; j != nil && j.isEnded() && e.Sequence != 0 && j.seq == e.Sequence {
		if j.awaited {
			j.settled = true
		} else {
			j.expires = true
		}
	}
}
