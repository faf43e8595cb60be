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
	Slots       int       // how many it may hold, 1 at least
	Alone       bool      // it takes nothing beside what it holds: a job that runs alone
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
		Slots: max(1, laxInt(m["slots"])), Alone: m["alone"] != "",
	}
	h := d.s.keys.held(rec.Incarnation)
	n, err := d.s.rdb.LLen(ctx, h.name).Result()
	rec.Held = int(n)
	return rec, err == nil, d.s.fault(ctx, err, []key{h})
}

// Clears is who of a type takes no more jobs until its hand is empty, so that one that runs alone finds one: "<actor> <incarnation>", or "".
func (d *Daemon) Clears(ctx context.Context, jobType string) (string, error) {
	k := d.s.keys.clearing(jobType)
	who, err := d.s.rdb.Get(ctx, k.name).Result()
	if errors.Is(err, redis.Nil) {
		return "", nil
	}
	return who, d.s.fault(ctx, err, []key{k})
}

// Group is the recorded process group of a script.
type Group struct {
	PGID    int
	Start   uint64 // start time of its leader
	Job     string
	Attempt int
}

// Groups reads the script groups recorded by an incarnation (if "": by the one registered under
// the actor's name), ordered by job; none when it runs no script.
func (d *Daemon) Groups(ctx context.Context, actor, incarnation string) ([]Group, error) {
	if incarnation == "" {
		rec, ok, err := d.ActorRecord(ctx, actor)
		if !ok || err != nil {
			return nil, err
		}
		incarnation = rec.Incarnation
	}
	k := d.s.keys.groups()
	all, err := d.s.rdb.HGetAll(ctx, k.name).Result()
	if err != nil {
		return nil, d.s.fault(ctx, err, []key{k})
	}
	return readGroups(all)[incarnation], nil
}

// readGroups sorts what is recorded by incarnation, then by job.
func readGroups(all map[string]string) map[string][]Group {
	out := map[string][]Group{}
	for holder, text := range all {
		inc, job, _ := strings.Cut(holder, " ")
		f := strings.Fields(text)
		if len(f) == 3 && laxInt(f[0]) > 1 { // never hand out a group whose kill would reach further
			out[inc] = append(out[inc], Group{PGID: laxInt(f[0]), Start: laxUint(f[1]), Job: job, Attempt: laxInt(f[2])})
		}
	}
	for _, gs := range out {
		slices.SortFunc(gs, func(a, b Group) int { return strings.Compare(a.Job, b.Job) })
	}
	return out
}

// Registered is one entry of the registry.
type Registered struct {
	Incarnation string
	Actor       string
	Type        string   // its own
	Serves      []string // all of them, its own first
}

// Incarnations lists the registry for the sweep, ordered by incarnation.
func (d *Daemon) Incarnations(ctx context.Context) ([]Registered, error) {
	k := d.s.keys.incarnations()
	incs, err := d.s.rdb.HGetAll(ctx, k.name).Result()
	if err != nil {
		return nil, d.s.fault(ctx, err, []key{k})
	}
	out := make([]Registered, 0, len(incs))
	for inc, v := range incs {
		name, types, _ := strings.Cut(v, " ")
		r := Registered{Incarnation: inc, Actor: name}
		r.Type, r.Serves = served(types)
		out = append(out, r)
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
