package fsm

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"herosup/events"
)

// maxStrangers bounds the pools that a warning was given about.
const maxStrangers = 100

// about finds the actor that a fact is about, or makes its record. nil: the fact
// is about none, or about none of ours.
func (k *Keeper) about(e events.Event) *slot {
	var id string
	switch e := e.(type) {
	case events.ProcessStarted:
		id = e.Actor
	case events.ProcessReady:
		id = e.Actor
	case events.ProcessExited:
		id = e.Actor
	case events.ProcessBlocked:
		id = e.Actor
	case events.ProcessStartFailed:
		id = e.Actor
	case events.ProcessObserved:
		id = e.Actor
	case events.JobStarted:
		id = e.Actor
	case events.JobEnded:
		id = e.Actor
	case events.JobRetried:
		id = e.Actor
	case events.JobDead:
		id = e.Actor
	case events.JobOverran:
		id = e.Actor
	case events.ActorPonged:
		id = e.Actor
	case events.ActorUnresponsive:
		id = e.Actor
	case events.ActorDrained:
		id = e.Actor
	case events.ActorRegistered:
		id = e.Actor
	}
	if kind := events.KindOf(e); kind.Entity == "process" {
		k.observe.heard = true
	}
	if id == "" {
		return nil
	}
	if s := k.slots[id]; s != nil {
		return s
	}
	pool, _, err := SplitID(id)
	if err != nil {
		k.ignored.Add(1)
		return nil
	}
	settings, ours := k.cfg.Pools[pool]
	if !ours {
		k.ignored.Add(1)
		k.warnStranger(pool, id)
		return nil
	}
	return k.add(id, settings)
}

// warnStranger says once per pool that something runs which nobody configured.
func (k *Keeper) warnStranger(pool, id string) {
	if !k.strangers[pool] && len(k.strangers) < maxStrangers {
		k.strangers[pool] = true
		k.log.Warn("actor of a pool that is not configured", "pool", pool, "actor", id)
	}
}

func (k *Keeper) add(id string, settings PoolConfig) *slot {
	s := &slot{actor: NewActor(k.cfg.Node, id, settings, k.salt), at: -1}
	s.actor.RedisLost, s.actor.ZinitLost = k.redisLost, k.zinitLost
	k.slots[id] = s
	return s
}

// command takes one intent to its machine, or refuses it.
func (k *Keeper) command(ctx context.Context, m events.Message) error {
	id := target(m.Event)
	pool, n, err := SplitID(id)
	if err != nil {
		k.reject(m, &events.Refusal{
			Status: 400, Code: "bad_actor", Reason: err.Error(), Actor: id,
			Hint: "an actor is named <pool>_<n>, the first one of the pool bash is bash_1",
		})
		return nil
	}
	settings, ok := k.cfg.Pools[pool]
	if !ok {
		k.reject(m, &events.Refusal{
			Status: 404, Code: "unknown_pool", Reason: fmt.Sprintf("no pool %q for actor %s", pool, id), Actor: id, Pool: pool,
			Hint: "pools: " + strings.Join(slices.Sorted(maps.Keys(k.cfg.Pools)), ", "),
		})
		return nil
	}
	s := k.slots[id]
	if n > settings.Max && (s == nil || raises(m.Event)) {
		hint := fmt.Sprintf("actors of pool %s are %s_1 to %s_%d (max: %d)", pool, pool, pool, settings.Max, settings.Max)
		if settings.Max == 0 {
			hint = fmt.Sprintf("pool %s may have none (max: 0)", pool)
		}
		k.reject(m, &events.Refusal{
			Status: 404, Code: "unknown_actor", Actor: id, Pool: pool,
			Reason: fmt.Sprintf("actor %s is above the maximum %d of its pool", id, settings.Max), Hint: hint,
		})
		return nil
	}
	if s == nil {
		s = k.add(id, settings)
	}
	return k.fold(ctx, s, m)
}

// raises reports whether a command may bring a process up. Above the maximum
// none may, while what runs there from earlier can still be stopped.
func raises(e events.Event) bool {
	switch e.(type) {
	case events.ActorStart, events.ActorReset, events.ActorRestart:
		return true
	}
	return false
}

func target(e events.Event) string {
	switch e := e.(type) {
	case events.ActorStart:
		return e.Actor
	case events.ActorStop:
		return e.Actor
	case events.ActorRestart:
		return e.Actor
	case events.ActorPing:
		return e.Actor
	case events.ActorReset:
		return e.Actor
	}
	return ""
}

func (k *Keeper) reject(m events.Message, r *events.Refusal) {
	k.log.Info("refused", "event", m.On, "actor", r.Actor, "reason", r.Reason)
	if err := k.bus.Reject(m, r); err != nil {
		k.log.Warn("reject", "event", m.On, "err", err)
	}
}
