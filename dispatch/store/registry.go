package store

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
)

// ActorRecord is what Redis knows of an actor by name.
type ActorRecord struct {
	Name        string
	Type        string
	Incarnation string
	Open        bool
	Held        int
	SeenAt      time.Time // last hello, pong, idle claim or renew
}

// ActorRecord reads it; ok is false when no incarnation is registered under the name.
func (d *Daemon) ActorRecord(ctx context.Context, actor string) (rec ActorRecord, ok bool, err error) {
	if err := bad("actor id", actor); err != nil {
		return ActorRecord{}, false, err
	}
	k := d.s.keys.actor(actor)
	m, err := d.s.rdb.HGetAll(ctx, k.name).Result()
	if err != nil || m["incarnation"] == "" {
		return ActorRecord{}, false, d.s.fault(ctx, err, []key{k})
	}
	rec = ActorRecord{
		Name: actor, Type: m["type"], Incarnation: m["incarnation"], Open: m["gate"] == "open", SeenAt: msTime(m["seen_ms"]),
	}
	h := d.s.keys.held(rec.Incarnation)
	n, err := d.s.rdb.LLen(ctx, h.name).Result()
	rec.Held = int(n)
	return rec, err == nil, d.s.fault(ctx, err, []key{h})
}

// Group is the recorded process group of a script.
type Group struct {
	PGID    int
	Start   uint64 // start time of its leader
	Job     string
	Attempt int
}

// Group reads the script group recorded by an incarnation (if "": by the one registered under
// the actor's name); ok is false when it runs no script.
func (d *Daemon) Group(ctx context.Context, actor, incarnation string) (g Group, ok bool, err error) {
	if incarnation == "" {
		rec, ok, err := d.ActorRecord(ctx, actor)
		if !ok || err != nil {
			return Group{}, false, err
		}
		incarnation = rec.Incarnation
	}
	k := d.s.keys.groups()
	text, err := d.s.rdb.HGet(ctx, k.name, incarnation).Result()
	if errors.Is(err, redis.Nil) {
		return Group{}, false, nil
	}
	if err != nil {
		return Group{}, false, d.s.fault(ctx, err, []key{k})
	}
	if p := readGroup(text); p != nil {
		return *p, true, nil
	}
	return Group{}, false, nil
}

func readGroup(text string) *Group {
	f := strings.Fields(text)
	if len(f) != 4 || laxInt(f[0]) <= 1 { // never hand out a group whose kill would reach further
		return nil
	}
	return &Group{PGID: laxInt(f[0]), Start: laxUint(f[1]), Job: f[2], Attempt: laxInt(f[3])}
}

// Registered is one entry of the registry.
type Registered struct {
	Incarnation string
	Actor       string
	Type        string
	Group       *Group // recorded script group, nil for none
}

// Incarnations lists the registry for the sweep, ordered by incarnation.
func (d *Daemon) Incarnations(ctx context.Context) ([]Registered, error) {
	ki, kg := d.s.keys.incarnations(), d.s.keys.groups()
	p := d.s.rdb.Pipeline()
	incs, groups := p.HGetAll(ctx, ki.name), p.HGetAll(ctx, kg.name)
	if _, err := p.Exec(ctx); err != nil {
		return nil, d.s.fault(ctx, err, []key{ki, kg})
	}
	out := make([]Registered, 0, len(incs.Val()))
	for inc, v := range incs.Val() {
		name, jobType, _ := strings.Cut(v, " ")
		out = append(out, Registered{Incarnation: inc, Actor: name, Type: jobType, Group: readGroup(groups.Val()[inc])})
	}
	slices.SortFunc(out, func(a, b Registered) int { return strings.Compare(a.Incarnation, b.Incarnation) })
	return out, nil
}

// Types lists the job types seen, ordered.
func (s *Store) Types(ctx context.Context) ([]string, error) {
	k := s.keys.types()
	types, err := s.rdb.SMembers(ctx, k.name).Result()
	slices.Sort(types)
	return types, s.fault(ctx, err, []key{k})
}
