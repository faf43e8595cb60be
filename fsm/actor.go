package fsm

import (
	"slices"
	"time"

	"herosup/events"
)

// Actor is all that the keeper knows of one actor: a plain value. Fold and
// Elapse make the next one from it.
type Actor struct {
	Node, Pool, ID string
	Settings       PoolConfig
	Machine

	// Incarnation is the process that facts are about; zero when none is known.
	Incarnation events.Incarnation
	// Gone is the newest incarnation whose end was seen: nothing about it, or
	// about an older one, is news.
	Gone events.Incarnation
	// Ready: this incarnation said that it can work.
	Ready bool
	// Doomed: this incarnation was told to end; no job of it counts any more, unless
	// it was ByRestart.
	Doomed bool
	// ByRestart: what dooms it is a restart alone, of which nothing may come: then
	// it is left alone, with its jobs.
	ByRestart bool
	// Hung: the restart that is under way is of one that hangs. It is killed, whatever can take its place.
	Hung bool
	// Hand are the jobs it holds, one for an actor of one slot.
	Hand Hand
	// Ahead are the jobs of an incarnation that was not announced yet: dispatch and
	// the executor speak on two connections.
	Ahead Hand
	// Ended are the last ones that ended, so that a repeat of a start is none.
	Ended Hand

	// Overran is a job that overran while Redis was away.
	Overran string

	// Gate is the nonce of the last CloseIntake; "" when the gate was last opened.
	Gate string
	// Pings are the nonces that wait for an answer.
	Pings []string
	// Salt makes nonces differ from those of an earlier daemon; Nonces counts.
	Salt   string
	Nonces int

	// Due is the state's one deadline, zero for none: start timeout in starting
	// and restarting, an operator's deadline in draining and recycling, stop
	// timeout in stopping, backoff in failed, a last grace in running after Redis
	// was away.
	Due time.Time
	// StopBy is the deadline that a stop or a restart was given; it outlives the
	// process that it was given for.
	StopBy time.Time
	// Failures are the times of failures within CrashLoop.Within, at most
	// CrashLoop.Exits of them.
	Failures []time.Time
	// StartWanted: start it again once it is stopped.
	StartWanted bool
	// Placed: a state of it was published, or found by observation. The first
	// one that an observation finds has no predecessor.
	Placed bool
	// RedisLost and ZinitLost suspend start timeouts: an actor can not come up
	// without them, and must not be killed for that.
	RedisLost, ZinitLost bool
	// Blocked suspends it too: the process manager holds the start back until the
	// services that the actor comes after are there.
	Blocked bool
}

// NewActor is an actor in its initial state. settings are taken as they are:
// defaults are filled in by New of the keeper. salt must differ from one life of
// the daemon to the next.
func NewActor(node, id string, settings PoolConfig, salt string) Actor {
	pool, _, _ := SplitID(id)
	return Actor{Node: node, Pool: pool, ID: id, Settings: settings, Salt: salt, Machine: Machine{State: Initial}}
}

// busy reports whether its process holds a job, as far as facts tell.
func (a *Actor) busy() bool { return len(a.Hand) > 0 }

func (a *Actor) is(s ...State) bool { return slices.Contains(s, a.State) }

// unseen reports whether i can only be a new life: not the current one, not one
// that ended, and not older than those. Start times are counted in ticks of
// 10 ms, so an equal one with another PID passes as new.
func (a *Actor) unseen(i events.Incarnation) bool {
	return !i.IsZero() && i != a.Incarnation && i != a.Gone && !older(i, a.Incarnation) && !older(i, a.Gone)
}

// older compares within one boot; across two there is nothing to compare.
func older(i, than events.Incarnation) bool {
	return !than.IsZero() && i.Boot == than.Boot && i.Start < than.Start
}
