package store

import (
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
	"pgregory.net/rapid"
)

func (m *machine) startActor() {
	if m.lives > 3 && rapid.Bool().Draw(m.T, "enough") {
		m.Skip("enough lives")
	}
	name := m.pickName()
	m.lives++
	a, err := m.s.Actor(name, actorTypes[name], fmt.Sprint("life", m.lives))
	if err != nil {
		m.Fatal(err)
	}
	if err := a.SetSlots(actorSlots[name]); err != nil {
		m.Fatal(err)
	}
	h := &hand{Actor: a}
	m.hands = append(m.hands, h)
	m.sayHello(h)
}

func (m *machine) hello() { m.sayHello(m.pickHand()) }

func (m *machine) sayHello(h *hand) {
	m.twice("hello", func() string {
		r, err := h.Hello(m.ctx)
		if r.Code == Superseded {
			return "SUPERSEDED"
		}
		return m.text(err, r.Code, r.Open, r.Held)
	}, func() string { return m.w.hello(h.jobType, h.name, h.incarnation, h.slots) }, m.same)
}

func (m *machine) accept() {
	var id string
	if len(m.ids) > 0 && rapid.IntRange(0, 3).Draw(m.T, "known") == 0 {
		id = rapid.SampledFrom(m.ids).Draw(m.T, "id")
	} else {
		id = fmt.Sprint(rapid.SampledFrom([]string{"s", "s", "p"}).Draw(m.T, "type"), len(m.ids)+1)
		m.ids = append(m.ids, id)
	}
	script := "run " + id
	if j := m.w.jobs[id]; j != nil && j.script != "" {
		script = j.script // also what others pushed: that is how it comes into the log
	}
	sub := submitted{Submission: Submission{ID: id, Type: typeOf(id), Script: script, Sequence: m.seq + 1}}
	sub.Retries = rapid.SampledFrom([]int{0, 0, 1, 2}).Draw(m.T, "retries")
	sub.Again = rapid.Bool().Draw(m.T, "again")
	sub.Priority = rapid.SampledFrom([]int{0, 0, 0, 2, -2, 10}).Draw(m.T, "level")
	m.drawTimes(&sub)
	sub.Prerequisites = m.drawNeeds(id)
	after := m.w.position
	switch rapid.IntRange(0, 11).Draw(m.T, "kind") {
	case 0:
		sub.Script = "another"
	case 1:
		sub.Sequence, after = 0, 0 // in no log
	case 2:
		after = m.seq + 5 // the reader lost one
	}
	m.acceptOne(after, sub)
}

// drawTimes: at once, or beyond the test.
func (m *machine) drawTimes(sub *submitted) {
	if rapid.IntRange(0, 3).Draw(m.T, "delay") == 0 {
		m.nextTick()
		sub.Due, sub.due = time.Now().Add(time.Hour), m.w.now+vHour
	}
	sub.startBy = rapid.SampledFrom([]int{startByNone, startByNone, startByNone, startByNone, startByAhead, startByPast}).Draw(m.T, "start by")
	sub.StartBy = map[int]time.Time{startByAhead: time.Now().Add(time.Hour), startByPast: time.Now().Add(-time.Minute)}[sub.startBy]
}

// drawNeeds: prerequisites are known ones most often, and so come before in every order.
func (m *machine) drawNeeds(id string) (needs []Prerequisite) {
	known := slices.DeleteFunc(slices.Clone(m.ids), func(o string) bool { return o == id })
	if rapid.IntRange(0, 15).Draw(m.T, "needs a stranger") == 0 {
		known = append(known, "s0")
	}
	if len(known) == 0 || rapid.IntRange(0, 2).Draw(m.T, "needs none") > 0 {
		return nil
	}
	recent := known[max(0, len(known)-8):]
	for _, p := range rapid.SliceOfNDistinct(rapid.SampledFrom(recent), 1, min(3, len(recent)), rapid.ID).Draw(m.T, "needs") {
		needs = append(needs, Prerequisite{p, rapid.SampledFrom([]Rule{RuleFail, RuleRun, RuleHold}).Draw(m.T, "rule")})
	}
	return needs
}

func (m *machine) acceptOne(after uint64, sub submitted) {
	if j := m.w.jobs[sub.ID]; j != nil && sub.Again && j.isEnded() {
		m.revivable[sub.ID] = true // its facts may say a second end
	}
	gap := after != 0 && m.w.position < after
	typ := sub.Type
	if sub.due != 0 || len(sub.Prerequisites) > 0 || sub.startBy == startByPast {
		typ = "" // may go to no queue, and then hands nothing over
	}
	m.serving(typ, "accept", func() string {
		rs, err := m.d.Accept(m.ctx, after, []Submission{sub.Submission})
		if err != nil {
			return m.text(err)
		}
		r := rs[0]
		if r.Code == Gap {
			return "GAP"
		}
		return fmt.Sprint(r.Code, " ", r.Status, " ", r.Sequence, " ", r.Ready, " ", r.Handed, "|", strings.Join(r.Waits, " "), r.Missing)
	}, func() string { return m.w.accept(m.epoch, after, sub) }, func(first, second string) {
		if rest, fresh := strings.CutPrefix(first, "OK "); fresh { // what it says of the job may have changed: it was too late
			first, second = "SAME "+rest, second[:min(len(second), 5)]
			first = first[:5]
		}
		m.same(first, second)
	})
	if m.epoch == m.w.epoch && !gap && sub.Sequence > m.seq {
		m.seq = sub.Sequence
		if j := m.w.jobs[sub.ID]; j != nil && j.seq == sub.Sequence {
			m.log[sub.Sequence] = sub
		}
	}
}

// claim asks for one job, and for all that is in hand and not known.
func (m *machine) claim() { m.exchange(m.pickHand(), nil, 0, 1) }

// exchangeMany tells any number of ends, right and wrong ones, and asks for any number of jobs.
func (m *machine) exchangeMany() {
	h := m.pickHand()
	if rapid.Bool().Draw(m.T, "busy") {
		h, _ = m.rightToken()
	}
	var ends []Ended
	for _, j := range m.running(h) {
		if rapid.Bool().Draw(m.T, "ended") {
			ends = append(ends, m.endOf(j))
		}
	}
	if len(h.seen) > 0 && rapid.IntRange(0, 4).Draw(m.T, "wrong") == 0 {
		ends = append(ends, m.endOf(rapid.SampledFrom(h.seen).Draw(m.T, "seen")))
	}
	known := rapid.SampledFrom([]int{Listening, 0, len(m.running(h)) - len(ends)}).Draw(m.T, "known")
	m.exchange(h, ends, max(known, Listening), rapid.IntRange(0, h.slots+1).Draw(m.T, "want"))
}

// running are the jobs in an actor's hand that it knows of.
func (m *machine) running(h *hand) []Claimed {
	var out []Claimed
	for _, j := range h.seen {
		known := slices.ContainsFunc(out, func(o Claimed) bool { return o.ID == j.ID })
		if !known && m.w.holds(h.incarnation, j.ID, j.Token) == "OK" && m.w.jobs[j.ID].status == "started" {
			out = append(out, j)
		}
	}
	return out
}

func (m *machine) endOf(j Claimed) Ended {
	return Ended{Job: j, Outcome: rapid.SampledFrom([]Outcome{
		{Output: "o"},
		{Output: "o"},
		{Failed: true, Error: "e", Reason: "exit 1", ExitCode: "1"},
		{Failed: true, Error: "e", Reason: "exit 1", ExitCode: "1"},
		{Failed: true, Error: "no interpreter", Reason: ReasonUnable},
	}).Draw(m.T, "outcome")}
}

func (m *machine) exchange(h *hand, ends []Ended, known, want int) {
	epoch := h.epoch.Load()
	if len(ends) > 0 {
		epoch = ends[0].Job.Token.Epoch
	}
	var wends []wend
	for i := range ends {
		tok := ends[i].Job.Token
		tok.Epoch = epoch // the script compares all with the epoch of the call
		wends = append(wends, wend{ends[i].Job.ID, tok, ends[i].Outcome.Failed, ends[i].Outcome.Reason == ReasonUnable})
	}
	m.serving(h.jobType, "exchange", func() string {
		r, err := h.Exchange(m.ctx, ends, known, want)
		if err != nil {
			return m.text(err)
		}
		out := string(r.Code) + " "
		for _, c := range r.Told {
			out += string(c)[:1]
		}
		for _, j := range r.Jobs {
			h.seen = append(h.seen, j.Claimed)
			out += fmt.Sprint(" [", j.ID, " ", j.Token.Attempt, " ", j.Held, "]")
		}
		return out
	}, func() string {
		return m.w.exchange(epoch, h.jobType, h.name, h.incarnation, wends, known, want)
	}, func(first, second string) { m.sameHand(known, first, second) })
}

// sameHand wants a repeated exchange to tell the same of each end, and to give again what the first one gave.
func (m *machine) sameHand(known int, first, second string) {
	a, b := strings.Fields(first), strings.Fields(second)
	if len(a) > 2 && strings.ContainsAny(a[1], "SU") {
		return // a token that was made up may be the right one by the second time
	}
	if len(a) > 1 && a[1][0] != '[' && (len(b) < 2 || a[1] != b[1]) {
		m.Fatalf("told %q, repeated %q", first, second)
	}
	if known != 0 {
		return
	}
	for _, job := range regexp.MustCompile(`\[(\S+ \d+) `).FindAllStringSubmatch(first, -1) {
		if !strings.Contains(second, "["+job[1]+" true]") {
			m.Fatalf("gave %s, repeated %q", job[1], second)
		}
	}
}

// wake is the actor's BLPOP, without the wait.
func (m *machine) wake() {
	name := m.pickName()
	text, err := m.s.rdb.LPop(m.ctx, m.s.keys.wake(name).name).Result()
	if len(m.w.wake[name]) == 0 {
		if !errors.Is(err, redis.Nil) {
			m.Fatalf("wake list of %s has %q, the model none", name, text)
		}
		return
	}
	if err != nil {
		m.Fatal(err)
	}
	want := m.w.wake[name][0]
	drop(m.w.wake, name, m.w.wake[name][1:])
	for _, h := range m.hands {
		if h.name != name {
			continue
		}
		if wk := h.readWake(text); wk.Kind == WakeJob {
			h.seen = append(h.seen, *wk.Job)
			// What comes by message is in hand, with this token, unless the epoch went.
			if got := wakeText(text); got != want {
				m.Fatalf("message %q, want %q", got, want)
			}
		}
	}
}

// finishRight ends what the actor holds by the newest token it knows.
func (m *machine) finishRight() { m.finish(m.rightToken()) }

func (m *machine) rightToken() (*hand, Claimed) {
	var busy []*hand
	var in []Claimed
	for _, h := range m.hands {
		for _, j := range slices.Backward(h.seen) {
			if m.w.holds(h.incarnation, j.ID, j.Token) == "OK" && m.w.jobs[j.ID].status == "started" {
				busy, in = append(busy, h), append(in, j)
				break
			}
		}
	}
	if len(busy) == 0 {
		m.Skip("nothing in hand")
	}
	i := rapid.IntRange(0, len(busy)-1).Draw(m.T, "busy")
	return busy[i], in[i]
}

// finishAny uses any token there ever was, of any actor, or one made up.
func (m *machine) finishAny() { m.finish(m.anyToken()) }

func (m *machine) anyToken() (*hand, Claimed) {
	h, from := m.pickHand(), m.pickHand()
	j := Claimed{ID: m.pickID(), Token: Token{Epoch: m.epoch, Attempt: 1}}
	if len(from.seen) > 0 {
		j = rapid.SampledFrom(from.seen).Draw(m.T, "seen")
	}
	j.Token.Attempt += rapid.SampledFrom([]int{0, 0, 0, 1, -1}).Draw(m.T, "off")
	return h, j
}

func (m *machine) finish(h *hand, j Claimed) {
	known := rapid.SampledFrom([]int{0, len(m.w.held[h.incarnation]) - 1}).Draw(m.T, "known")
	m.exchange(h, []Ended{m.endOf(j)}, max(0, known), rapid.IntRange(0, 2).Draw(m.T, "want"))
}

// hold is what a holder does with its token short of ending the job.
func (m *machine) hold() {
	h, j := m.rightToken()
	if rapid.Bool().Draw(m.T, "any") {
		h, j = m.anyToken()
	}
	if rapid.Bool().Draw(m.T, "renew") {
		m.twice("renew", func() string {
			c, err := h.Renew(m.ctx, j)
			if err != nil {
				return m.text(err)
			}
			return m.text(nil, c[0])
		},
			func() string { return m.w.renew(h.incarnation, j.ID, j.Token) }, m.same)
		return
	}
	pgid := rapid.IntRange(2, 9).Draw(m.T, "pgid")
	m.twice("group", func() string { c, err := h.RecordGroup(m.ctx, j, pgid, 7); return m.text(err, c) },
		func() string { return m.w.group(h.incarnation, j.ID, j.Token, pgid) }, m.same)
}

// assert is what an actor does after its hello to a new epoch, with any job it was ever given: most often the last one.
func (m *machine) assert() {
	h := m.pickHand()
	if rapid.Bool().Draw(m.T, "hello") {
		m.sayHello(h)
	}
	if len(h.seen) == 0 {
		m.Skip("was given nothing")
	}
	j := h.seen[len(h.seen)-1]
	if rapid.IntRange(0, 3).Draw(m.T, "any") == 0 {
		j = rapid.SampledFrom(h.seen).Draw(m.T, "seen")
	}
	var kept bool
	m.twice("assert", func() string {
		codes, code, err := h.Assert(m.ctx, []InHand{{Claimed: j}})
		if err != nil || code != OK {
			return m.text(err, code)
		}
		kept = codes[0] == OK
		return m.text(nil, code, codes[0])
	}, func() string {
		return m.w.assert(h.epoch.Load(), h.jobType, h.name, h.incarnation, j.ID, j.Script, j.Token)
	}, m.same)
	if kept {
		m.tries[j.ID] = max(m.tries[j.ID], j.Token.Attempt)
		j.Token.Epoch = h.epoch.Load()
		h.seen = append(h.seen, j)
	}
}

func (m *machine) close() {
	name := m.pickName()
	m.twice("close", func() string { return m.gateText(m.d.CloseGate(m.ctx, name)) },
		func() string { return m.w.close(m.epoch, name) }, m.same)
}

func (m *machine) open() {
	name := m.pickName()
	m.twice("open", func() string { return m.gateText(m.d.OpenGate(m.ctx, name)) },
		func() string { return m.w.open(m.epoch, name) }, m.same)
}

func (m *machine) gateText(g Gate, err error) string {
	if g.Code == OK {
		return m.text(err, g.Code, g.Held, g.Incarnation)
	}
	return m.text(err, g.Code)
}

func (m *machine) recover() {
	h := m.pickHand()
	m.recoverOne(h.incarnation, rapid.Bool().Draw(m.T, "interrupted"), modelCrashes)
}

func (m *machine) recoverOne(inc string, interrupted bool, limit int) {
	_, typ := splitMember(m.w.reg[inc])
	m.serving(typ, "recover", func() string {
		r, err := m.d.Recover(m.ctx, inc, interrupted, limit)
		out := m.text(err, r.Code)
		for _, j := range r.Jobs {
			out += fmt.Sprint(" [", j.ID, " ", j.Crashes, " ", j.Dead, " ", j.Handed, "]")
		}
		return out
	}, func() string { return m.w.recover(m.epoch, inc, interrupted, limit) },
		func(_, second string) { m.same("GONE", second) })
}

func (m *machine) promote() {
	typ := m.pickType()
	if rapid.Bool().Draw(m.T, "time passes") {
		m.timePasses(typ)
	}
	m.promoteOne(typ)
}

// timePasses: what was ahead is due, or late.
func (m *machine) timePasses(typ string) {
	for _, id := range m.w.delayed[typ] {
		m.w.due[id] = true
	}
	for id, j := range m.w.jobs {
		if j.typ != typ || j.startBy != startByAhead {
			continue
		}
		k := m.s.keys.job(id).name
		opts := m.s.rdb.HGet(m.ctx, k, "opts").Val()
		m.s.rdb.HSet(m.ctx, k, "opts", regexp.MustCompile(` b\d+`).ReplaceAllString(opts, " b1"))
		j.startBy = startByPast
	}
}

// age lets a job look as if it had become ready earlier: by some halves of what a level is worth.
func (m *machine) age() {
	id := m.pickID()
	t := m.w.times[id]
	if m.w.jobs[id] == nil || t.ready == nil {
		m.Skip("not ready yet")
	}
	halves := rapid.IntRange(1, 8).Draw(m.T, "halves")
	j, ms := m.w.jobs[id], -int64(halves)*modelLevel.Milliseconds()/2
	older := func(field string, was *int) *int {
		if was == nil {
			return nil
		}
		m.s.rdb.HIncrBy(m.ctx, m.s.keys.job(id).name, field, ms)
		return m.w.at(*was - halves*vLevel/2)
	}
	t.ready, t.first = older("ready_ms", t.ready), older("first_ms", t.first)
	m.w.times[id] = t
	for _, p := range m.w.prio[j.typ] {
		if p.id == id {
			m.s.rdb.ZIncrBy(m.ctx, m.s.keys.prio(j.typ).name, float64(ms), p.order+" "+id)
			m.w.place(id, p.score-halves*vLevel/2)
		}
	}
}

func (m *machine) promoteOne(typ string) {
	for id := range m.w.due { // retries without a pause are due at the milliseconds they failed in: the model's all at once
		m.s.rdb.ZAddXX(m.ctx, m.s.keys.delayed(typ).name, redis.Z{Score: 1, Member: id})
	}
	for _, id := range m.w.startBy[typ] {
		if m.w.jobs[id].startBy == startByPast {
			m.s.rdb.ZAddXX(m.ctx, m.s.keys.startby(typ).name, redis.Z{Score: 1, Member: id})
		}
	}
	m.serving(typ, "promote", func() string {
		r, err := m.d.Promote(m.ctx, typ)
		return m.text(err, "OK", r.Moved, r.Ready)
	}, func() string { return m.w.promote(m.epoch, typ) }, func(_, _ string) {})
}

// cancel takes out a job, and up to three more of its type by the same call.
func (m *machine) cancel() {
	ids := []string{m.pickID()}
	for range rapid.IntRange(0, 3).Draw(m.T, "more") {
		id := m.pickID()
		if a, b := m.w.jobs[ids[0]], m.w.jobs[id]; a != nil && b != nil && a.typ == b.typ {
			ids = append(ids, id)
		}
	}
	m.cancelAll(ids...)
}

func (m *machine) cancelAll(ids ...string) {
	m.twice("cancel", func() string {
		all, err := m.d.CancelAll(m.ctx, ids)
		if err != nil {
			return m.text(err)
		}
		said := make([]string, len(all))
		for i, r := range all {
			if errors.Is(r.Err, ErrNoEpoch) {
				return m.text(r.Err)
			}
			said[i] = m.text(r.Err, r.Code, r.Status, r.Reason)
		}
		return strings.Join(said, ", ")
	}, func() string { return m.w.cancel(m.epoch, ids...) },
		func(first, second string) { m.same(strings.ReplaceAll(first, "OK", "ENDED"), second) })
}

// talk is what goes over wake lists beside jobs.
func (m *machine) talk() {
	nonce := rapid.SampledFrom([]string{"n1", "n2"}).Draw(m.T, "nonce")
	name := m.pickName()
	switch rapid.IntRange(0, 2).Draw(m.T, "what") {
	case 0:
		m.twice("ping", func() string { c, err := m.d.Ping(m.ctx, name, nonce); return m.text(err, c) },
			func() string { return m.w.pingActor(m.epoch, name, nonce) }, m.same)
	case 1:
		h := m.pickHand()
		m.twice("pong", func() string { c, err := h.Pong(m.ctx, nonce); return m.text(err, c) },
			func() string { return m.w.pongActor(h.epoch.Load(), h.name, h.incarnation, nonce) }, m.same)
	case 2:
		m.twice("ring", func() string { c, err := m.d.Ring(m.ctx, name); return m.text(err, c) }, func() string {
			if m.epoch != m.w.epoch {
				return ""
			}
			m.w.ring(name)
			return "OK"
		}, m.same)
	}
}

func (m *machine) adopt() {
	typ := m.pickType()
	m.serving(typ, "adopt", func() string {
		r, err := m.d.Adopt(m.ctx, typ, 0, adoptMax)
		out := m.text(err, "OK", r.Length)
		for _, id := range r.Foreign {
			out += " " + id
		}
		if out == "" {
			return ""
		}
		return out + " handed " + fmt.Sprint(r.Handed)
	}, func() string { return m.w.adopt(m.epoch, typ) }, func(_, _ string) {})
}

// foreign is a push by somebody else: a fresh Hero job, one without a record or without a script, a key
// of another type, or an id that is known already.
func (m *machine) foreign() {
	typ := m.pickType()
	q, rdb := m.s.keys.queue(typ).name, m.s.rdb
	id := fmt.Sprint(typ[:1], len(m.ids)+1)
	rec := m.s.keys.job(id).name
	switch rapid.IntRange(0, 7).Draw(m.T, "push") {
	default:
		m.ids = append(m.ids, id)
		rdb.HSet(m.ctx, rec, "id", id, "script", "theirs", "script_type", strings.ToUpper(typ), "status", "dispatched")
		m.w.jobs[id] = &wjob{typ: typ, script: "theirs", status: "dispatched"}
	case 1:
		id = "norecord"
	case 2:
		m.ids = append(m.ids, id)
		rdb.HSet(m.ctx, rec, "id", id, "script_type", typ, "status", "dispatched")
		m.w.jobs[id] = &wjob{typ: typ, status: "dispatched"}
	case 3:
		id = "notahash"
		rdb.Del(m.ctx, m.s.keys.job(id).name)
		rdb.LPush(m.ctx, m.s.keys.job(id).name, "x")
	case 4:
		known := slices.DeleteFunc(slices.Clone(m.ids), func(id string) bool { return typeOf(id) != typ })
		if len(known) == 0 {
			m.Skip("no job yet")
		}
		id = rapid.SampledFrom(known).Draw(m.T, "again")
		m.pushed[id] = true
	}
	rdb.LPush(m.ctx, q, id)
	m.w.queue[typ] = slices.Insert(slices.Clone(m.w.queue[typ]), 0, id)
	m.dirty[typ] = true
}

func (m *machine) settle() {
	es, _, err := m.d.Ended(m.ctx, rapid.IntRange(1, 3).Draw(m.T, "count"))
	if err != nil {
		m.Fatal(err)
	}
	for _, e := range es {
		delete(m.log, e.Sequence)
	}
	m.twice("settle", func() string { n, err := m.d.Settle(m.ctx, es); return m.text(err, n) }, func() string {
		if m.epoch != m.w.epoch {
			return ""
		}
		for _, e := range es {
			m.w.settle(e)
		}
		return fmt.Sprint(len(m.w.ended))
	}, func(_, _ string) {})
}

// lose is Redis losing everything, or its epoch alone.
func (m *machine) lose() {
	if rapid.IntRange(0, 3).Draw(m.T, "loss") > 0 {
		m.Skip("rare")
	}
	if rapid.Bool().Draw(m.T, "all") {
		m.s.rdb.FlushAll(m.ctx)
		now := m.w.now
		m.w, m.lastFact, m.dirty = newWorld(), noFact, map[string]bool{}
		m.w.now = now
		m.ends, m.tries, m.closed = map[string]int{}, map[string]int{}, map[string]int{}
		return
	}
	m.s.rdb.Del(m.ctx, m.s.keys.epoch().name)
	m.w.epoch = 0
}

// raise is the daemon's answer to it: a higher epoch, then all that the log holds, from its first message.
func (m *machine) raise() {
	m.epoch++
	m.d = m.s.Daemon(m.epoch)
	if code, _, err := m.s.RaiseEpoch(m.ctx, m.epoch); err != nil || code != OK {
		m.Fatal(code, err)
	}
	m.w.epoch = m.epoch
	var after uint64
	for _, seq := range slices.Sorted(maps.Keys(m.log)) {
		sub := m.log[seq]
		sub.Refilled = true
		m.acceptOne(after, sub)
		after = seq
	}
}

// drain plays everything to its end: whatever happened before, each job of the log ends, or holds for one that ended badly.
func (m *machine) drain() {
	m.raise()
	for _, inc := range slices.Sorted(maps.Keys(m.w.reg)) {
		m.recoverOne(inc, true, modelCrashes)
	}
	var hands []*hand
	for _, name := range slices.Sorted(maps.Keys(actorTypes)) {
		m.lives++
		a, err := m.s.Actor(name, actorTypes[name], fmt.Sprint("life", m.lives))
		if err != nil {
			m.Fatal(err)
		}
		h := &hand{Actor: a}
		hands = append(hands, h)
		m.sayHello(h)
	}
	m.workAll(hands)
	m.settleAll()
	m.check()
	waits := map[string]bool{}
	for seq, sub := range m.log {
		if r := m.record(sub.ID); r.Status == StatusWaiting {
			waits[sub.ID] = true
		} else if !r.Status.Ended() {
			m.Fatalf("job %s (%d) of the log: %s, want an end", sub.ID, seq, r.Status)
		}
	}
	for id := range waits {
		for _, n := range m.needs(id) {
			hold := n.Status == StatusError && n.Rule == RuleHold
			if j := m.w.jobs[n.ID]; !hold && n.Status != StatusWaiting && (j == nil || j.asserted == "") {
				m.Fatalf("job %s waits for %+v", id, n) // asserted: one of no log, about which nobody can say if it may be tried again
			}
		}
	}
	for _, id := range slices.Sorted(maps.Keys(waits)) { // an end that nobody needs to wait for
		m.cancelAll(id)
	}
	m.workAll(hands) // what that released
	m.settleAll()
	m.check()
	for id := range waits {
		if r := m.record(id); !r.Status.Ended() {
			m.Fatalf("job %s was cancelled or released by that, and is %s", id, r.Status)
		}
	}
	for id, j := range m.w.jobs {
		if j.isEnded() && !j.expires && len(m.w.unlocks[id]) == 0 {
			m.Fatalf("job %s has ended, nobody waits for it, and it stays for ever", id)
		}
	}
}

// workAll lets time pass and works until there is nothing to do.
func (m *machine) workAll(hands []*hand) {
	for again := true; again; {
		again = false
		for _, typ := range typeNames {
			again = again || len(m.w.delayed[typ]) > 0
			m.timePasses(typ)
			m.promoteOne(typ)
		}
		for _, typ := range typeNames { // an end that promote brought may have released one that is due later
			again = again || len(m.w.delayed[typ]) > 0
		}
		for _, h := range hands {
			for m.workOne(h) {
				again = true
			}
		}
		for _, h := range hands { // and what the last one ended may have gone to one before it
			again = again || len(m.w.held[h.incarnation]) > 0
		}
	}
}

// workOne takes what it gets and ends it well; false: it got nothing.
func (m *machine) workOne(h *hand) bool {
	m.exchange(h, nil, 0, 1)
	var ends []Ended
	for _, j := range m.running(h) {
		ends = append(ends, Ended{Job: j})
	}
	if len(ends) > 0 {
		m.exchange(h, ends, 0, 0)
	}
	return len(ends) > 0
}

func (m *machine) settleAll() {
	for len(m.w.ended) > 0 {
		es, _, err := m.d.Ended(m.ctx, pageMax)
		if err == nil {
			_, err = m.d.Settle(m.ctx, es)
		}
		if err != nil {
			m.Fatal(err)
		}
		for _, e := range es {
			m.w.settle(e)
		}
	}
}

func (m *machine) record(id string) Record {
	r, err := m.s.Job(m.ctx, id)
	if err != nil {
		m.Fatal(id, err)
	}
	return r
}

func (m *machine) needs(id string) []Need {
	ns, err := m.s.Needs(m.ctx, id)
	if err != nil {
		m.Fatal(err)
	}
	return ns
}
