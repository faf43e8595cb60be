package zinit

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"herosup/events"
)

// sight is one service of ours as zinit shows it.
type sight struct {
	actor string
	state State
	up    bool
	life  events.Incarnation
	held  *heldBack // nil: nothing holds its start back
}

// look reads all our services and tells them anew. One look runs at a time; what
// asks meanwhile is answered by the next.
func (x *Executor) look(ctx context.Context) {
	if x.looking {
		return
	}
	x.looking = true
	asked, began, first := x.waiting, x.clock, x.server.IsZero()
	x.waiting = nil
	x.work(ctx, func(ctx context.Context) result {
		server := serverOf(x.cfg.Client) // before what it has: who takes its place later is seen by the next check
		all, err := x.sights(ctx)
		if refused, ok := errors.AsType[*Error](err); ok {
			err = errors.New(refused.Error()) // as good as away: it is asked again
		}
		return result{err: err, apply: func() {
			x.looking = false
			if err != nil {
				x.waiting = append(asked, x.waiting...)
				return
			}
			x.server = server
			if first {
				x.endEarlier(ctx, all)
			}
			x.sighted(ctx, all, asked, began)
		}}
	})
}

// endEarlier ends the actors that live beside those which zinit has: while nobody looked
// it was killed, and has started second ones. (When that is seen, onlyOne does it.)
func (x *Executor) endEarlier(ctx context.Context, all []sight) {
	x.work(ctx, func(ctx context.Context) result {
		now := map[string]sight{}
		for _, s := range all {
			now[marked(x.cfg.Prefix+s.actor, x.cfg.Folder)] = s
		}
		all, err := markedProcesses()
		if err != nil {
			x.log.Warn("no look at what zinit may have lost sight of", "err", err)
		}
		for life, m := range all {
			mark := m.mark
			s, ours := now[mark]
			if ours && isEarlier(life, s.life) {
				x.log.Warn("an actor that zinit has lost sight of is ended", "actor", s.actor, "process", life.String())
				grace := x.cfg.Pools[poolOf(s.actor)].service(s.actor).Grace()
				x.workers.Go(func() { _ = endEarlier(ctx, mark, s.life, grace) })
				delete(now, mark) // one for all of its processes
			}
		}
		return result{apply: func() {}}
	})
}

func (x *Executor) sights(ctx context.Context) ([]sight, error) {
	list, err := x.cfg.Client.List(ctx)
	if err != nil {
		return nil, err
	}
	var all []sight
	for name := range list {
		actor, ours := strings.CutPrefix(name, x.cfg.Prefix)
		if !ours || isStandIn(actor) || events.CheckToken("actor", actor) != nil {
			continue
		}
		if _, known := x.cfg.Pools[poolOf(actor)]; !known {
			continue // another service of ours, or an actor of a pool that is gone
		}
		st, err := x.cfg.Client.decided(ctx, name)
		if errors.Is(err, ServiceNotFound) {
			continue // went meanwhile
		}
		if err != nil {
			return nil, err
		}
		all = append(all, sight{actor: actor, state: st.State, up: st.Target == Up, life: lifeOf(st), held: x.held(ctx, st)})
	}
	slices.SortFunc(all, func(a, b sight) int { return strings.Compare(a.actor, b.actor) })
	return all, nil
}

// sighted tells what a look has shown. began is when it was begun: of an actor
// whose orders have changed something since, it says nothing certain, and the
// end of the order tells.
func (x *Executor) sighted(ctx context.Context, all []sight, asked []events.Message, began uint64) {
	if x.lost {
		x.lost = false
		x.publish(events.ZinitBack{})
	}
	there := map[string]bool{}
	for _, s := range all {
		there[s.actor] = true
		p := x.process(s.actor, poolOf(s.actor))
		if p.busy || p.touched > began {
			continue
		}
		p.wanted = s.up
		if !s.life.Alive() { // since it was seen: its end may have been told
			s.life = events.Incarnation{}
		}
		if !p.lives() && !s.life.IsZero() {
			p.life, p.ready, p.byUs, p.last = s.life, false, false, nil
			x.watch(ctx, p, s.life)
		} else {
			x.seen(ctx, p, s.life)
		}
		if p.lives() && p.life == s.life && !s.up && !p.burying {
			p.byUs = true // a stop is under way, of an executor before this one or of an operator
		}
		x.tellObserved(p, s.up, s.state.String())
		if p.blocked = ""; s.held != nil {
			x.tellBlocked(p, s.held)
		}
		if p.wanted && s.life.IsZero() {
			x.poll(ctx, p)
		}
	}
	for _, p := range x.actors {
		if !there[p.actor] && !p.busy && p.touched <= began {
			p.wanted = false
			x.tellObserved(p, false, absent)
		}
		x.next(ctx, p)
	}
	for _, m := range asked {
		if err := m.Respond(map[string]int{"services": len(all)}); err != nil {
			x.log.Warn("request not answered", "err", err)
		}
	}
	select {
	case <-x.ready:
	default:
		close(x.ready)
	}
	if len(x.waiting) > 0 {
		x.look(ctx)
	}
}

// tellObserved tells what is known of one actor; a process that said hello
// before is told as ready again, because who asks may have missed it.
func (x *Executor) tellObserved(p *process, up bool, state string) {
	x.publish(events.ProcessObserved{Pool: p.pool, Actor: p.actor, Incarnation: p.life, WantedUp: up, State: state})
	if p.ready && !p.burying {
		x.publish(events.ProcessReady{Pool: p.pool, Actor: p.actor, Incarnation: p.life})
	}
}

// poll waits for the next life of a service that zinit keeps up. A hello is
// usually faster; this is for actors that say none.
func (x *Executor) poll(ctx context.Context, p *process) {
	if p.polling {
		return
	}
	p.polling = true
	name, told := x.cfg.Prefix+p.actor, p.blocked
	x.work(ctx, func(ctx context.Context) result {
		var life events.Incarnation
		var st Status
		var held *heldBack
		var err, failed error
		for wait := firstPoll; life.IsZero(); wait = min(2*wait, x.cfg.PollEvery) {
			st, err = x.cfg.Client.Status(ctx, name)
			held = x.held(ctx, st)
			if err != nil || st.Target == Down {
				break
			}
			life = lifeOf(st)
			if !life.IsZero() || st.State.Kind == Failure || held != nil && held.certain && held.reason != told {
				break
			}
			select {
			case <-ctx.Done():
				return result{apply: func() {}}
			case <-time.After(wait):
			}
		}
		if errors.Is(err, ServiceNotFound) {
			err = nil
		}
		if life.IsZero() {
			failed = x.whyNoStart(p.actor, p.pool, st)
		}
		return result{err: err, apply: func() {
			p.polling = false
			switch {
			case err != nil:
			case life != p.life && life.Alive(): // else late news of one that is being buried
				x.seen(ctx, p, life)
			case p.busy: // the order that runs tells
			case held != nil:
				x.tellBlocked(p, held)
				x.poll(ctx, p)
			case life.IsZero() && (p.blocked != "" || st.State.Kind == Failure && !p.failed):
				// Nobody waits for its start any more, and no process came of it.
				p.blocked = ""
				x.tellFailed(p, failed)
			}
		}}
	})
}
