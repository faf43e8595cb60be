package scaler

import (
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"
)

// maxTypes bounds the script types that are counted, those without a pool
// included: types come from whoever submits. Jobs of further types are not
// reported as unserved.
const maxTypes = 1024

// View is the picture of all pools that the facts add up to. It does no I/O; the
// time comes with each fact.
type View struct {
	pools  map[string]*pool
	names  []string            // of all pools, sorted
	byType map[string][]string // names of the pools of one type, sorted
	queues map[string]*queue
	// redisLost forbids to shrink.
	redisLost bool
	// facts numbers the facts about actors, so that an older answer to a
	// question does not overwrite them.
	facts uint64
}

type pool struct {
	Pool
	slots    map[int]*slot // at most MaxActors
	paused   bool
	override *Override
	blocked  string // why no actor can be started; "" when one can
}

// Pool is one pool to size.
type Pool struct {
	Name string
	// Types are the script types whose jobs its actors run, one at least; case does not matter.
	Types  []string
	Policy Policy
}

// NewView makes the picture of nothing heard yet. The pools must be valid.
func NewView(pools []Pool) *View {
	v := &View{pools: map[string]*pool{}, byType: map[string][]string{}, queues: map[string]*queue{}}
	for _, p := range pools {
		types := p.Types
		p.Types = nil
		for _, t := range types {
			t = strings.ToLower(t) // as dispatch tells it
			p.Types = append(p.Types, t)
			v.byType[t] = append(v.byType[t], p.Name)
			v.queues[t] = &queue{}
		}
		v.pools[p.Name] = &pool{Pool: p, slots: map[int]*slot{}}
	}
	v.names = slices.Sorted(maps.Keys(v.pools))
	for _, names := range v.byType {
		slices.Sort(names)
	}
	return v
}

// Names lists the pools in their order.
func (v *View) Names() []string { return v.names }

// Snapshot is what Decide needs of one pool.
func (v *View) Snapshot(name string, now time.Time) (Snapshot, Policy) {
	p := v.pools[name]
	left, alone, measured := map[string]int{}, 0, v.queues[p.Types[0]].measuredAt
	for _, t := range p.Types {
		q := v.queues[t]
		left[t], alone = q.ready, alone+q.alone
		if q.measuredAt.Before(measured) {
			measured = q.measuredAt
		}
	}
	others := slices.Clone(v.beside(p)) // those of the fewest types first: they have the least choice
	slices.SortStableFunc(others, func(a, b string) int { return len(v.pools[a].Types) - len(v.pools[b].Types) })
	for _, other := range others {
		if other != name {
			v.pools[other].eat(left, now)
		}
	}
	ready := 0
	for _, n := range left {
		ready += n
	}
	return Snapshot{
		Pool: name, Now: now, Ready: ready, Alone: min(alone, ready), MeasuredAt: measured, RedisLost: v.redisLost,
		Actors: p.actors(now), Paused: p.paused, Override: p.override, Blocked: p.blocked,
	}, p.Policy
}

// eat takes from the jobs left of each type those that the pool's actors are for.
func (p *pool) eat(left map[string]int, now time.Time) {
	room := p.appetite(now)
	for _, t := range p.Types {
		n := min(room, left[t])
		if n > 0 {
			left[t], room = left[t]-n, room-n
		}
	}
}

// appetite is how many waiting jobs the pool's actors are for beside those in their hands. Those whose start waits for
// other services are for none: nobody knows when they come.
func (p *pool) appetite(now time.Time) int {
	t := count(Snapshot{Now: now, Actors: p.actors(now)}, p.Policy)
	room := 0
	for _, a := range t.all {
		if !a.Alone && !a.waits() {
			room += max(0, p.Policy.TargetBacklog-a.Jobs)
		}
	}
	return room
}

func (p *pool) actors(now time.Time) []Actor {
	list := make([]Actor, 0, len(p.slots))
	for _, n := range slices.Sorted(maps.Keys(p.slots)) {
		list = append(list, p.slots[n].actor(n, now, p.Policy.StartTimeout))
	}
	return list
}

// beside are the pools that share a type with this one, itself among them: what changes one may change the decisions on all.
func (v *View) beside(p *pool) []string {
	names := v.byType[p.Types[0]]
	for i, t := range p.Types[1:] {
		if i == 0 {
			names = slices.Clone(names)
		}
		names = append(names, v.byType[t]...)
	}
	if len(p.Types) > 1 {
		slices.Sort(names)
		names = slices.Compact(names)
	}
	return names
}

// queue finds or makes the count of a type; nil when there are too many.
func (v *View) queue(script string) *queue {
	q := v.queues[script]
	if q == nil && len(v.queues) < maxTypes {
		q = &queue{}
		v.queues[script] = q
	}
	return q
}

// slot finds or makes the slot of an actor of ours, and its pool; nil for
// anybody else's.
func (v *View) slot(actor string) (*slot, *pool) {
	i := strings.LastIndexByte(actor, '_')
	if i < 0 {
		return nil, nil
	}
	p := v.pools[actor[:i]]
	n, err := strconv.Atoi(actor[i+1:])
	if p == nil || err != nil || n < 1 || n > MaxActors || ActorID(p.Name, n) != actor {
		return nil, nil
	}
	s := p.slots[n]
	if s == nil {
		s = &slot{}
		p.slots[n] = s
	}
	return s, p
}

// apply notes what a decision asked for, so that it counts from now on.
func (v *View) apply(d Decision, at time.Time) {
	for _, id := range d.Start {
		if s, _ := v.slot(id); s != nil {
			s.asked, s.refused = at, time.Time{}
		}
	}
	for _, id := range d.Stop {
		if s, _ := v.slot(id); s != nil {
			s.leaving = at
		}
	}
}

// refuse notes that a request to an actor was refused or could not be sent.
func (v *View) refuse(actor string, at time.Time) []string {
	s, p := v.slot(actor)
	if s == nil || s.asked.IsZero() && s.leaving.IsZero() {
		return nil
	}
	s.refuse(at)
	return v.beside(p)
}
