package store

import (
	"fmt"
	"slices"
	"strings"
)

// world is what the scripts should make of Redis, in plain Go: the oracle of the model test.
// Its clock counts calls (model_levels_test.go); what depends on longer times is set from outside (due, startByPast, the
// order of the idle).
type world struct {
	epoch    uint64
	position uint64
	jobs     map[string]*wjob
	queue    map[string][]string // by type; the right end is served next
	prio     map[string][]wplace // by type; the first is served next
	alone    map[string][]string // by type; the right end is served next
	clearing map[string]string   // by type: "<actor> <incarnation>"
	delayed  map[string][]string // by type
	startBy  map[string][]string // by type
	need     map[string]map[string]Rule
	unlocks  map[string][]wwait
	due      map[string]bool     // of the delayed
	idle     map[string][]string // by type, who had work last is last: "<actor> <incarnation>"
	lease    map[string][]string // by type: incarnations
	actors   map[string]*wactor
	wake     map[string][]string // by actor: "job id attempt", "ring", "ping nonce"
	held     map[string][]string
	reg      map[string]string // incarnation -> "<actor> <type>"
	groups   map[string]string
	ended    []string
	dead     map[string]bool
	facts    []string

	now     int // of the script that runs
	times   map[string]wtimes
	touched map[string]bool // types that an end of this script's gave something to
	endings []ending        // being looked at
}

type wjob struct {
	typ, script    string // typ: as a record tells it
	status, reason string
	attempt        int
	crashes        int
	retries        int    // asked for
	retried        int    // used
	cancel         bool   // its cancel is on
	unread         string // the attempt and holder of a hand-over that the holder never read
	gaveBack       string // the token of the attempt that was retried last
	dead           bool
	epoch          uint64
	holder, actor  string
	logged         bool // has the field sequence
	asserted       string
	seq            uint64
	level          int
	order          string // by which it stands among those of equal score; "" if nothing about it was rare when it came
	startBy        int
	needs          bool // came with prerequisites
	delayed        bool // and with a delay beside them
	awaited        bool // others wait for it
	alone          bool // died with others: runs in an empty hand
	settled        bool // its message is out of the log, and its record stays for those
	expires        bool // its record goes by itself
}

type wactor struct {
	inc, typ, ping, pong string
	open                 bool
	slots                int
	alone                string // the job beside which it takes none
}

func newWorld() *world {
	return &world{
		jobs: map[string]*wjob{}, queue: map[string][]string{}, delayed: map[string][]string{}, due: map[string]bool{},
		idle: map[string][]string{}, lease: map[string][]string{}, actors: map[string]*wactor{}, wake: map[string][]string{},
		held: map[string][]string{}, reg: map[string]string{}, groups: map[string]string{}, dead: map[string]bool{},
		prio: map[string][]wplace{}, startBy: map[string][]string{}, need: map[string]map[string]Rule{}, unlocks: map[string][]wwait{},
		times: map[string]wtimes{}, alone: map[string][]string{}, clearing: map[string]string{},
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
	outcome := status
	if j.dead = kind == "dead"; j.dead {
		outcome = "dead"
	}
	logged := j.logged && j.seq != 0
	if logged || j.dead {
		w.ended = append(w.ended, fmt.Sprint(j.seq, " ", id, " ", outcome))
	}
	if !logged && !j.awaited {
		j.expires = true
	}
	actor := j.actor
	if kind == "cancelled" || reason == "no script" || reason == ReasonExpired || strings.HasPrefix(reason, "prerequisite ") {
		actor = "" // nobody had it
	}
	w.fact(kind, id, actor, j.attempt)
	if status == "finished" {
		j.alone = false
	}
	w.begun(id) // one that is run again by hand is not late
	if j.level != 0 {
		w.leaveLevel(id)
	}
	if j.needs {
		w.forgetNeeds(id)
	}
	if j.awaited {
		w.release(ending{id, true, status == "finished"})
	}
}

func (w *world) buryUnusable(id string) {
	if j := w.jobs[id]; j != nil && j.isEnded() {
		return
	}
	if w.jobs[id] != nil {
		w.end(id, "dead", "error", "no script")
	} else {
		w.fact("dead", id, "", 0)
		w.release(ending{id: id})
	}
	w.dead[id] = true
}

// start gives a job to a hand; the caller puts it into held.
func (w *world) start(id, name, inc string) {
	j := w.jobs[id]
	j.attempt++
	j.status, j.epoch, j.holder, j.actor = "started", w.epoch, inc, name
	w.begun(id)
	w.fact("started", id, name, j.attempt)
}

func splitMember(m string) (name, inc string) {
	_, _ = fmt.Sscan(m, &name, &inc)
	return name, inc
}

// serve hands over; it returns id -> actor.
func (w *world) serve(typ string) map[string]string {
	handed := map[string]string{}
	if len(w.idle[typ]) > 0 && len(w.alone[typ]) > 0 {
		w.giveAlone(typ, handed)
	}
	for len(w.idle[typ]) > 0 {
		id, listed := w.nextReady(typ)
		if id == "" {
			break
		}
		var name, inc, member string
		for len(w.idle[typ]) > 0 {
			last := len(w.idle[typ]) - 1
			m := w.idle[typ][last]
			n, i := splitMember(m)
			if a := w.actors[n]; a != nil && a.open && a.inc == i && a.typ == typ && len(w.held[i]) < a.slots {
				name, inc, member = n, i, m
				break
			}
			drop(w.idle, typ, w.idle[typ][:last])
		}
		if name == "" {
			break
		}
		w.hand(id, name, inc, handed)
		w.took(typ, listed)
		drop(w.idle, typ, without(w.idle[typ], member))
		if len(w.held[inc]) < w.actors[name].slots {
			w.idle[typ] = append(w.idle[typ], member)
		}
	}
	return handed
}

func wakeJob(id string, attempt int) string { return fmt.Sprint("job ", id, " ", attempt) }

// wend is an end as exchange is told it.
type wend struct {
	id     string
	token  Token
	failed bool
	unable bool // not run at all
}

// exchange answers "<code> <told> [<id> <attempt> <held>]...".
func (w *world) exchange(epoch uint64, typ, name, inc string, ends []wend, known, want int) string {
	if epoch != w.epoch || epoch == 0 {
		return ""
	}
	w.begin(typ)
	defer w.serveOthers(typ)
	told, had, counted := "", len(w.held[inc]), 0
	for _, e := range ends {
		code := w.holds(inc, e.id, e.token)
		if code == "STALE" && w.jobs[e.id].gaveBack == gaveBack(e.token, inc) { // told before, and gone on since
			told += "O"
			continue
		}
		told += code[:1]
		if code == "OK" && w.jobs[e.id].status == "started" {
			w.endHeld(e, typ, name, inc)
			counted++
		}
	}
	a := w.actors[name]
	if a == nil || a.inc != inc {
		w.serve(typ)
		return "UNREGISTERED " + told
	}
	var jobs string
	dropped := false
	if known >= 0 && len(w.held[inc]) > known {
		n := len(w.held[inc])
		jobs = w.inHand(name, inc)
		dropped = len(w.held[inc]) < n
	}
	room := min(want, a.slots-len(w.held[inc]))
	if a.alone != "" && len(w.held[inc]) > 0 {
		room = 0
	} else {
		a.alone = ""
	}
	code, me := "JOB", name+" "+inc
	switch {
	case want == 0:
		code = "NOT_WANTED"
	case !a.open:
		code = "CLOSED"
	case room > 0:
		id, full := w.takeAlone(typ, name, inc)
		if id != "" {
			jobs += fmt.Sprint(" [", id, " ", w.jobs[id].attempt, " false]")
		}
		if full {
			room = 0
		}
	}
	for ; code == "JOB" && room > 0; room-- {
		id, listed := w.nextReady(typ)
		if id == "" {
			code = "IDLE"
			break
		}
		w.start(id, name, inc)
		w.took(typ, listed)
		w.held[inc] = append(w.held[inc], id)
		jobs += fmt.Sprint(" [", id, " ", w.jobs[id].attempt, " false]")
	}
	switch {
	case code == "IDLE" && !slices.Contains(w.idle[typ], me):
		w.idle[typ] = append(w.idle[typ], me)
	case code != "IDLE" && had < a.slots:
		drop(w.idle, typ, without(w.idle[typ], me))
	}
	if !a.open && len(w.held[inc]) == 0 && (counted > 0 || dropped) {
		w.fact("drained", "", name, 0)
	}
	if code != "IDLE" {
		w.serve(typ)
	}
	return code + " " + told + jobs
}

func gaveBack(t Token, inc string) string { return fmt.Sprint(t.Epoch, " ", t.Attempt, " ", inc) }

func (w *world) endHeld(e wend, typ, name, inc string) {
	j := w.jobs[e.id]
	switch {
	case !e.failed:
		w.end(e.id, "ended", "finished", "")
	case j.cancel:
		w.end(e.id, "ended", "error", ReasonCancelled)
	case j.asserted != "":
		j.status, j.holder, j.gaveBack, j.asserted = "dispatched", "", gaveBack(e.token, inc), "failed"
	case e.unable:
		j.status, j.holder, j.gaveBack = "dispatched", "", gaveBack(e.token, inc)
		was := w.times[e.id].ready
		w.setReady(e.id)
		w.enqueue(e.id, was, true)
		w.fact("retried", e.id, name, j.attempt)
	case j.retried < j.retries:
		j.alone = false // its actor lives, so it is none that kills
		j.retried++
		j.status, j.holder, j.gaveBack = "dispatched", "", gaveBack(e.token, inc)
		w.delayed[typ] = append(without(w.delayed[typ], e.id), e.id) // others may have pushed it while it was delayed: a set has it once
		w.due[e.id] = true                                           // pauses are drawn as none here
		w.setReady(e.id)
		w.fact("retried", e.id, name, j.attempt)
	case j.retries > 0:
		j.alone = false
		w.end(e.id, "dead", "error", ReasonRetries)
		w.dead[e.id] = true
	default:
		j.alone = false
		w.end(e.id, "ended", "error", "exit 1")
	}
	drop(w.held, inc, without(w.held[inc], e.id))
	delete(w.groups, inc+" "+e.id)
}

// inHand tells all that is in hand, and drops what is its own no more.
func (w *world) inHand(name, inc string) (jobs string) {
	for _, id := range slices.Clone(w.held[inc]) {
		j := w.jobs[id]
		if j == nil || j.script == "" || j.status != "started" || j.holder != inc {
			if j == nil || j.script == "" {
				w.buryUnusable(id)
			}
			drop(w.held, inc, without(w.held[inc], id))
			continue
		}
		if j.epoch != w.epoch {
			w.start(id, name, inc)
		}
		jobs += fmt.Sprint(" [", id, " ", j.attempt, " true]")
	}
	if jobs != "" {
		drop(w.wake, name, slices.DeleteFunc(w.wake[name], func(m string) bool { return m[:3] == "job" }))
	}
	return jobs
}
