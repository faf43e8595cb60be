package doctor

import (
	"context"
	"fmt"
	"slices"
	"time"

	"herosup/cmd/internal/config"
	"herosup/cmd/internal/state"
)

// DefaultBound is how long one check may take, and so all of them.
const DefaultBound = 5 * time.Second

// Subject is what is looked at.
type Subject struct {
	// Config is what the daemon is, or would be, started with.
	Config config.Config
	// Dir is the path of the state folder, which need not exist.
	Dir string
	// Bound is how long one check may take; 0 is DefaultBound.
	Bound time.Duration
}

// scene is a Subject with what is known of its daemon.
type scene struct {
	Subject
	// folder is nil when there is none yet, or when it can not be used (fault).
	folder *state.Folder
	fault  error
	// pid is the daemon's, 0 when none runs. run is what it told about itself; told
	// is false while it has not.
	pid  int
	run  state.Runtime
	told bool
}

// check looks at one thing. It ends when ctx does, or is left behind.
type check struct {
	name string
	look func(context.Context, scene, *what)
}

var checks = []check{
	{"state folder", lookFolder},
	{"daemon", lookDaemon},
	{"zinit", lookZinit},
	{"redis", lookRedis},
	{"nats", lookNATS},
	{"interpreters", lookInterpreters},
	{"cgroup", lookCgroup},
	{"open files", lookFiles},
}

// Look runs all checks and returns what they found, in the order of the checks.
func Look(ctx context.Context, s Subject) []Finding {
	if s.Bound <= 0 {
		s.Bound = DefaultBound
	}
	return runAll(ctx, survey(s), checks)
}

// survey finds the folder and its daemon.
func survey(s Subject) scene {
	at := scene{Subject: s}
	if at.folder, at.fault = state.Open(s.Dir); at.fault != nil {
		return at
	}
	if pid, held := at.folder.Holder(); held {
		at.pid = pid
		run, err := at.folder.ReadRuntime()
		at.run, at.told = run, err == nil && run.PID == pid
	}
	return at
}

func runAll(ctx context.Context, at scene, all []check) []Finding {
	ctx, cancel := context.WithTimeout(ctx, at.Bound)
	defer cancel()
	results := make([]chan []Finding, len(all))
	for i, c := range all {
		results[i] = make(chan []Finding, 1) // room: a check that is left behind ends, too
		go func() {
			w := &what{check: c.name}
			c.look(ctx, at, w)
			results[i] <- w.found
		}()
	}
	var found []Finding
	for i, c := range all {
		found = append(found, await(ctx, c.name, at.Bound, results[i])...)
	}
	return slices.Clip(found)
}

// await takes the result of a check, or says that there is none. A result that is
// there counts even when the time is over.
func await(ctx context.Context, name string, bound time.Duration, result <-chan []Finding) []Finding {
	select {
	case found := <-result:
		return found
	case <-ctx.Done():
	}
	select {
	case found := <-result:
		return found
	case <-time.After(grace):
	}
	return []Finding{{
		Check: name, Grade: Bad, Text: fmt.Sprintf("no answer within %s", bound),
		Hint: "something hangs: a full or unreachable disk, or a stopped process",
	}}
}

// grace is for a check whose last call has just been cut off by the bound: it says
// more than that there was no answer.
const grace = 500 * time.Millisecond
