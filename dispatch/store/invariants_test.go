package store

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/redis/go-redis/v9"
)

// wakeText prints a message as world does.
func wakeText(text string) string {
	var w struct{ Kind, ID, Attempt, Nonce string }
	if err := json.Unmarshal([]byte(text), &w); err != nil {
		return err.Error()
	}
	switch w.Kind {
	case "job":
		return "job " + w.ID + " " + w.Attempt
	case "ping":
		return "ping " + w.Nonce
	}
	return w.Kind
}

// seen is Redis read into the model's form.
type seen struct {
	w     *world
	facts []redis.XMessage // new ones
}

// read fetches everything in one pipeline.
func (m *machine) read() seen {
	m.Helper()
	k, p := m.s.keys, m.s.rdb.Pipeline()
	lists, zsets := map[string]*redis.StringSliceCmd{}, map[string]*redis.StringSliceCmd{}
	list := func(k key) { lists[k.name] = p.LRange(m.ctx, k.name, 0, -1) }
	zset := func(k key) { zsets[k.name] = p.ZRange(m.ctx, k.name, 0, -1) }
	for _, t := range typeNames {
		list(k.queue(t))
		list(k.alone(t))
		zset(k.idle(t))
		zset(k.lease(t))
		zset(k.delayed(t))
		zset(k.startby(t))
		zset(k.prio(t))
	}
	actors := map[string]*redis.MapStringStringCmd{}
	for n := range actorTypes {
		list(k.wake(n))
		actors[n] = p.HGetAll(m.ctx, k.actor(n).name)
	}
	for i := range m.lives {
		list(k.held(fmt.Sprint("life", i+1)))
	}
	list(k.ended())
	zset(k.dead())
	reg, groups := p.HGetAll(m.ctx, k.incarnations().name), p.HGetAll(m.ctx, k.groups().name)
	jobs, lasting, needs := map[string]*redis.MapStringStringCmd{}, map[string]*redis.DurationCmd{}, map[string]*redis.MapStringStringCmd{}
	unlocks := map[string]*redis.ZSliceCmd{}
	for _, id := range m.ids {
		jobs[id] = p.HGetAll(m.ctx, k.job(id).name)
		lasting[id] = p.TTL(m.ctx, k.job(id).name)
		needs[id] = p.HGetAll(m.ctx, k.need(id).name)
		unlocks[id] = p.ZRangeWithScores(m.ctx, k.unlocks(id).name, 0, -1)
	}
	clearing := map[string]*redis.StringCmd{}
	for _, t := range typeNames {
		clearing[t] = p.Get(m.ctx, k.clearing(t).name)
	}
	epoch, position := p.Get(m.ctx, k.epoch().name), p.Get(m.ctx, k.position().name)
	facts := p.XRange(m.ctx, k.facts().name, "("+m.lastFact, "+")
	if _, err := p.Exec(m.ctx); err != nil && !isAnswer(err) {
		m.Fatal(err)
	}

	w := newWorld()
	w.epoch, w.position = laxUint(epoch.Val()), laxUint(position.Val())
	for _, t := range typeNames {
		drop(w.queue, t, lists[k.queue(t).name].Val())
		drop(w.alone, t, lists[k.alone(t).name].Val())
		if who := clearing[t].Val(); who != "" {
			w.clearing[t] = who
		}
		drop(w.idle, t, zsets[k.idle(t).name].Val())
		drop(w.lease, t, sorted(zsets[k.lease(t).name].Val()))
		drop(w.delayed, t, sorted(zsets[k.delayed(t).name].Val()))
		drop(w.startBy, t, sorted(zsets[k.startby(t).name].Val()))
		for _, member := range zsets[k.prio(t).name].Val() {
			order, id, _ := strings.Cut(member, " ")
			w.prio[t] = append(w.prio[t], wplace{id: id, order: order})
		}
	}
	for n := range actorTypes {
		var msgs []string
		for _, text := range lists[k.wake(n).name].Val() {
			msgs = append(msgs, wakeText(text))
		}
		drop(w.wake, n, msgs)
		if a := actors[n].Val(); len(a) > 0 {
			w.actors[n] = &wactor{
				inc: a["incarnation"], typ: a["type"], ping: a["ping"], pong: a["pong"], open: a["gate"] == "open", slots: laxInt(a["slots"]), alone: a["alone"],
			}
		}
	}
	for i := range m.lives {
		inc := fmt.Sprint("life", i+1)
		drop(w.held, inc, lists[k.held(inc).name].Val())
	}
	w.ended = lists[k.ended().name].Val()
	for _, id := range zsets[k.dead().name].Val() {
		w.dead[id] = true
	}
	for inc, v := range reg.Val() {
		w.reg[inc] = v
	}
	for inc, v := range groups.Val() {
		w.groups[inc] = v
	}
	for id, c := range jobs {
		f := c.Val()
		if len(f) == 0 {
			continue
		}
		_, logged := f["sequence"]
		tok, _, actor := readToken(f["token"])
		w.jobs[id] = &wjob{
			typ: strings.ToLower(f["script_type"]), script: f["script"], status: f["status"], reason: f["reason"],
			attempt: tok.Attempt, crashes: laxInt(f["crashes"]), epoch: tok.Epoch,
			retries: laxInt(f["retries"]), retried: laxInt(f["retried"]), cancel: f["cancel"] != "", gaveBack: f["gave_back"], unread: f["unread"], dead: f["dead_ms"] != "",
			holder: tok.Incarnation, actor: actor, logged: logged, seq: laxUint(f["sequence"]),
			asserted: f["asserted"], settled: f["settled"] != "", expires: lasting[id].Val() > 0,
		}
		readRare(w.jobs[id], f["opts"])
	}
	for _, id := range m.ids {
		for by, rule := range needs[id].Val() {
			if w.need[id] == nil {
				w.need[id] = map[string]Rule{}
			}
			w.need[id][by] = Rule(rule)
		}
		for _, z := range unlocks[id].Val() {
			order, who, _ := strings.Cut(fmt.Sprint(z.Member), " ")
			w.unlocks[id] = append(w.unlocks[id], wwait{who, order, z.Score == 1})
		}
	}
	return seen{w: w, facts: facts.Val()}
}

// readRare reads the field opts.
func readRare(j *wjob, opts string) {
	for word := range strings.FieldsSeq(opts) {
		switch rest := word[1:]; word[0] {
		case 'o':
			j.order = rest
		case 'p':
			j.level = laxInt(rest)
		case 'b':
			j.startBy = startByAhead
			if time.UnixMilli(int64(laxUint(rest))).Before(time.Now()) {
				j.startBy = startByPast
			}
		case 'n':
			j.needs = true
		case 'd':
			j.delayed = true
		case 'u':
			j.awaited = true
		case 'a':
			j.alone = true
		}
	}
}

// check compares Redis with the model, then looks at the invariants in Redis itself.
func (m *machine) check() {
	m.Helper()
	m.syncIdle()
	got := m.read()
	want := *m.w
	want.due, want.times, want.touched, want.now = map[string]bool{}, map[string]wtimes{}, nil, 0
	want.delayed, want.lease, want.startBy, want.prio = map[string][]string{}, map[string][]string{}, map[string][]string{}, map[string][]wplace{}
	for _, t := range typeNames {
		drop(want.delayed, t, sorted(m.w.delayed[t]))
		drop(want.lease, t, sorted(m.w.lease[t]))
		drop(want.startBy, t, sorted(m.w.startBy[t]))
		for _, p := range m.w.prio[t] { // compared by its place
			want.prio[t] = append(want.prio[t], wplace{id: p.id, order: p.order})
		}
	}
	for _, f := range got.facts {
		for _, x := range readEntry(f) {
			if x.Kind == FactStale { // told by the clock, which the model has not: staleCases
				continue
			}
			got.w.fact(string(x.Kind), x.Job, x.Actor, x.Attempt)
			if x.Reason != ReasonNoRecord { // says of an id, not of a job: the log may still submit one under it
				m.history(x.Kind, x.Job, x.Attempt)
			}
		}
		m.lastFact = f.ID
	}
	m.w.facts = nil // compared once
	if d := cmp.Diff(want, *got.w, cmp.AllowUnexported(world{}, wjob{}, wactor{}, wplace{}, wwait{}), cmp.Transformer("empty", nilEmpty)); d != "" {
		m.Fatalf("redis is not what the model says (-model +redis):\n%s", d)
	}
	if m.w.epoch == m.epoch {
		m.invariants(got.w)
	}
}

// history looks at what was ever said of a job: it ends once, and each hand-out is a higher attempt.
func (m *machine) history(kind FactKind, job string, attempt int) {
	m.Helper()
	m.Logf("fact %s %s %d", kind, job, attempt)
	switch kind {
	case FactEnded, FactDead, FactCancelled:
		if kind == FactCancelled && m.revivable[job] && m.ends[job] == 1 { // revived, and cancelled before it began
			m.ends[job] = 0
			delete(m.revivable, job)
		}
		if m.ends[job]++; m.ends[job] > 1 {
			m.Fatalf("%s ended twice", job)
		}
	case FactStarted:
		if m.revivable[job] && m.ends[job] == 1 {
			m.ends[job] = 0
			delete(m.revivable, job)
		}
		if attempt <= m.tries[job] || m.ends[job] > 0 {
			m.Fatalf("%s started as attempt %d after %d, ended %d times", job, attempt, m.tries[job], m.ends[job])
		}
		m.tries[job] = attempt
	}
}

// nilEmpty makes empty and nil lists equal.
func nilEmpty(l []string) []any {
	out := []any{}
	for _, v := range l {
		out = append(out, v)
	}
	return out
}

// invariants of Redis alone.
func (m *machine) invariants(w *world) {
	m.Helper()
	holders := map[string][]string{}
	for inc, ids := range w.held {
		for _, id := range ids {
			holders[id] = append(holders[id], inc)
		}
		name, _ := splitMember(w.reg[inc])
		if slots := actorSlots[name]; w.reg[inc] != "" && len(ids) > slots {
			m.Fatalf("%s holds %v: it has %d slots", inc, ids, slots)
		}
	}
	for name, a := range w.actors {
		if held := w.held[a.inc]; a.alone != "" && slices.Contains(held, a.alone) && len(held) > 1 {
			m.Fatalf("%s runs %s alone, and holds %v", name, a.alone, held)
		}
	}
	closed := map[string]int{}
	for name, a := range w.actors {
		if a.open {
			continue
		}
		had, was := m.closed[name+a.inc]
		if was && len(w.held[a.inc]) > had {
			m.Fatalf("%s is closed and got %v", name, w.held[a.inc])
		}
		closed[name+a.inc] = len(w.held[a.inc])
	}
	m.closed = closed
	for id, j := range w.jobs {
		queued, delayed, leased := slices.Contains(w.queue[j.typ], id) || slices.Contains(w.alone[j.typ], id), slices.Contains(w.delayed[j.typ], id), slices.Contains(w.lease[j.typ], j.holder)
		switch {
		case j.isEnded():
			if len(holders[id]) > 0 {
				m.Fatalf("%s has ended, held by %v", id, holders[id])
			}
		case j.status == "started":
			if len(holders[id]) != 1 || holders[id][0] != j.holder || !leased {
				m.Fatalf("%s is started by %q, held by %v, leased %v", id, j.holder, holders[id], leased)
			}
			if delayed && !m.pushed[id] {
				m.Fatalf("%s is started and delayed", id)
			}
		case j.status == "waiting_for_prerequisites":
			if len(holders[id]) > 0 || len(w.need[id]) == 0 {
				m.Fatalf("%s waits for %v, held by %v", id, w.need[id], holders[id])
			}
		case j.logged: // dispatched by us
			levelled := slices.ContainsFunc(w.prio[j.typ], func(p wplace) bool { return p.id == id })
			if len(holders[id]) > 0 || !queued && !delayed && !levelled {
				m.Fatalf("%s waits: queued %v, delayed %v, at its level %v, held by %v", id, queued, delayed, levelled, holders[id])
			}
		}
	}
	m.edges(w)
	for _, t := range typeNames {
		for _, member := range w.idle[t] {
			name, inc := splitMember(member)
			a := w.actors[name]
			if a == nil || a.inc != inc {
				continue // a dead life's, dropped when met
			}
			if !a.open {
				m.Fatalf("%s is closed and idle", name)
			}
			if len(w.held[inc]) >= a.slots {
				m.Fatalf("%s is idle and holds %v", name, w.held[inc])
			}
			if (len(w.queue[t])+len(w.prio[t]) > 0 || len(w.alone[t]) > 0 && len(w.held[inc]) == 0) && !m.dirty[t] {
				m.Fatalf("%s is idle and open while %v %v %v wait", name, w.queue[t], w.prio[t], w.alone[t])
			}
		}
	}
}

// edges: whatever a job needs will end, or has ended badly and holds it; its record stays as long; and nobody has begun before.
func (m *machine) edges(w *world) {
	m.Helper()
	for id, needs := range w.need {
		if w.jobs[id].status != "waiting_for_prerequisites" {
			m.Fatalf("%s is %s and needs %v", id, w.jobs[id].status, needs)
		}
		for by, rule := range needs {
			j := w.jobs[by]
			i := slices.IndexFunc(w.unlocks[by], func(e wwait) bool { return e.id == id })
			switch {
			case j == nil, i < 0, !j.awaited, j.expires:
				m.Fatalf("%s waits for %s: %+v, whose end unlocks %v", id, by, j, w.unlocks[by])
			case j.isEnded() && (j.status != "error" || rule != RuleHold || !w.unlocks[by][i].held):
				m.Fatalf("%s waits for %s (%s), which has ended: %s", id, by, rule, j.status)
			}
		}
	}
}
