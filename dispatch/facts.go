package dispatch

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"herosup/dispatch/store"
	"herosup/events"
)

// eventOf says a fact of the scripts in the bus' words. ready is the length of the
// type's queue, for a retried job. The error names what is no fact of ours.
func eventOf(f store.Fact, ready int) (events.Event, error) {
	inc := events.Incarnation{}
	if f.Incarnation != "" {
		var err error
		if inc, err = events.ParseIncarnation(f.Incarnation); err != nil {
			return nil, fmt.Errorf("fact %s: %w", f.ID, err)
		}
	}
	pool := poolOf(f.Actor)
	switch f.Kind {
	case store.FactHello:
		return events.ActorRegistered{Pool: pool, Actor: f.Actor, Type: f.Type, Incarnation: inc}, nil
	case store.FactStarted:
		return events.JobStarted{
			Type: f.Type, Job: f.Job, Actor: f.Actor, Incarnation: inc, Attempt: f.Attempt,
			Timeout: events.SecondsOf(f.Timeout), Wait: events.SecondsOf(f.Wait), Alone: f.Alone,
		}, nil
	case store.FactEnded:
		return events.JobEnded{
			Type: f.Type, Job: f.Job, Actor: f.Actor, Incarnation: inc, Attempt: f.Attempt, Outcome: string(f.Outcome),
			Reason: f.Reason, ExitCode: exitCode(f.ExitCode, f.Outcome), Run: events.SecondsOf(f.Run),
		}, nil
	case store.FactRetried:
		return events.JobRetried{
			Type: f.Type, Job: f.Job, Attempt: f.Attempt, Actor: f.Actor, Incarnation: inc, Crashes: f.Crashes,
			Interrupted: f.How == store.AttemptInterrupted, Suspected: f.How == store.AttemptSuspected,
			Failed: f.Failed, Reason: f.Reason, Retries: f.Retries, Next: f.Next, Ready: ready,
		}, nil
	case store.FactRemoved:
		return events.JobRemoved{Type: f.Type, Job: f.Job}, nil
	case store.FactStale:
		return events.JobStale{
			Type: f.Type, Job: f.Job, Actor: f.Actor, Incarnation: inc, Attempt: f.Attempt, Outcome: string(f.Outcome), Reason: f.Reason, Untold: f.Untold,
		}, nil
	case store.FactDead:
		return events.JobDead{
			Type: f.Type, Job: f.Job, Reason: f.Reason, Cause: f.Cause, Actor: f.Actor, Incarnation: inc, Attempt: f.Attempt, Failed: f.Failed,
		}, nil
	case store.FactCancelled:
		return events.JobCancelled{Type: f.Type, Job: f.Job}, nil
	case store.FactReleased:
		return events.JobQueued{Type: f.Type, Job: f.Job, Sequence: f.Sequence, Ready: f.Ready, DelayedUntil: f.Due}, nil
	case store.FactPong:
		return events.ActorPonged{Pool: pool, Actor: f.Actor, Nonce: f.Nonce, Incarnation: inc}, nil
	}
	return nil, fmt.Errorf("fact %s: kind %q is not known", f.ID, f.Kind)
}

// exitCode is the script's; without one a good end is 0 and a bad one -1.
func exitCode(text string, outcome store.Status) int {
	if n, err := strconv.Atoi(text); err == nil {
		return n
	}
	if outcome == store.StatusFinished {
		return 0
	}
	return -1
}

// compareIDs orders the ids of facts, "<ms>-<n>-<place>", and of whole entries of their stream, "<ms>-<n>", which
// come behind all of theirs.
func compareIDs(a, b string) int {
	x, y := idParts(a), idParts(b)
	return slices.Compare(x[:], y[:])
}

func idParts(id string) (parts [3]uint64) {
	parts[2] = math.MaxUint64
	for i, text := range strings.SplitN(id, "-", 3) {
		parts[i], _ = strconv.ParseUint(text, 10, 64)
	}
	return parts
}
