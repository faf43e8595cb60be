package store

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/redis/go-redis/v9"
)

// What is handed over to an idle actor is no call of its own, and what a promotion moves stands in no answer. Since one
// command is done at a time, both are seen by a look at Redis behind each: they are events of the history, of one instant.

// submit gives a new job if none waits, or one that is known again.
func (p *play) submit(c *client) {
	i, waiting := 0, must[int64](p.bed)(p.s.rdb.LLen(p.ctx(), p.s.keys.queue("sh").name).Result())
	if len(p.subs) > 0 && (waiting > 0 || p.rnd.IntN(4) == 0) {
		i = p.rnd.IntN(len(p.subs))
	} else {
		p.jobs++
		s := Submission{ID: fmt.Sprint("j", p.jobs), Type: "sh", Script: "x", Sequence: uint64(p.jobs), Retries: p.rnd.IntN(2)}
		if p.rnd.IntN(3) == 0 {
			s.Due = time.Now().Add(time.Hour)
		}
		p.subs = append(p.subs, s)
		i = len(p.subs) - 1
	}
	s := p.subs[i]
	p.call(c, asked{kind: "accept", job: s.ID, actor: -1, retries: s.Retries, delayed: !s.Due.IsZero()}, func(ctx context.Context) (answered, error) {
		r, err := p.d.Accept(ctx, 0, []Submission{s})
		if err != nil {
			return answered{}, err
		}
		if r[0].Handed != "" && p.moved[s.ID] == 0 && r[0].Code == OK {
			return answered{}, fmt.Errorf("%s was handed to %s, whose list has nothing", s.ID, r[0].Handed)
		}
		return answered{code: r[0].Code}, nil
	})
}

// promote is the timer, for all that is delayed when it begins.
func (p *play) promote(c *client) {
	p.allDue()
	p.call(c, asked{kind: "promote", actor: -1}, func(ctx context.Context) (answered, error) {
		_, err := p.d.Promote(ctx, "sh")
		return answered{code: OK}, err
	})
}

func (p *play) promoteAll() {
	if p.feeds == 0 {
		return
	}
	p.allDue()
	must[Promoted](p.bed)(p.d.Promote(p.ctx(), "sh"))
	p.look()
}

func (p *play) allDue() {
	k := p.s.keys.delayed("sh").name
	for _, id := range must[[]string](p.bed)(p.s.rdb.ZRange(p.ctx(), k, 0, -1).Result()) {
		p.s.rdb.ZAddXX(p.ctx(), k, redis.Z{Score: 1, Member: id})
	}
}

// listen takes the next message of an actor's wake list: BLPOP where there is something. Lost on the way, it is lost for good.
func (p *play) listen(c *client, h *part) {
	p.call(c, asked{kind: "listen", actor: -1}, func(ctx context.Context) (answered, error) {
		text, err := p.s.rdb.LPop(ctx, p.s.keys.wake(h.name).name).Result()
		switch {
		case err == redis.Nil: //nolint:errorlint // the very value
			return answered{}, nil
		case err != nil:
			return answered{}, ErrAway
		}
		if w := h.readWake(text); w.Kind == WakeJob {
			h.jobs = append(h.jobs, *w.Job)
			p.seen = append(p.seen, memory{slices.Index(p.hands[:], h), h.Actor, *w.Job})
		}
		return answered{}, nil
	})
}

// look writes into the history what the last command has handed over and promoted.
func (p *play) look() {
	if p.feeds == 0 {
		return
	}
	event := func(in asked) {
		in.client = -1
		p.history = append(p.history, entry{in, answered{start: p.tick(), end: p.tick()}})
	}
	delayed := map[string]bool{}
	for _, id := range must[[]string](p.bed)(p.s.rdb.ZRange(p.ctx(), p.s.keys.delayed("sh").name, 0, -1).Result()) {
		delayed[id] = true
	}
	for _, s := range p.subs {
		if p.late[s.ID] && !delayed[s.ID] && p.record(s.ID).Reason != ReasonCancelled {
			event(asked{kind: "due", job: s.ID, actor: -1})
		}
	}
	p.late = delayed
	for n := range linearActors {
		name := fmt.Sprint("p_", n)
		for _, text := range must[[]string](p.bed)(p.s.rdb.LRange(p.ctx(), p.s.keys.wake(name).name, 0, -1).Result()) {
			var m struct{ Kind, ID, Attempt, Incarnation string }
			if err := json.Unmarshal([]byte(text), &m); err != nil {
				p.Fatal(err)
			}
			key := m.ID + " " + m.Attempt + " " + m.Incarnation
			if m.Kind != "job" || p.given[key] {
				continue
			}
			p.given[key] = true
			p.moved[m.ID]++
			event(asked{kind: "hand", job: m.ID, actor: n, inc: m.Incarnation, try: laxInt(m.Attempt)})
			if held := must[int64](p.bed)(p.s.rdb.LLen(p.ctx(), p.s.keys.held(m.Incarnation).name).Result()); held > int64(p.slots) {
				p.overfull = fmt.Sprintf("%s has %d slots and was handed job %d", m.Incarnation, p.slots, held)
			}
		}
	}
}
