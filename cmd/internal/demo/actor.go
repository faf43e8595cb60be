package demo

import (
	"context"
	"strconv"
	"time"

	"herosup/dispatch/actor"
)

// GoType is the script type of the pool whose actor is a Go program: its
// "script" is a duration.
const GoType = "go"

// Handle is that program's work. Its output is when its process began (Unix
// nanoseconds), which is how the demo knows an actor's first instruction.
func Handle(begun time.Time) actor.Handler {
	return func(ctx context.Context, j actor.Job) actor.Outcome {
		d, err := time.ParseDuration(j.Script)
		if err != nil {
			return actor.Failed("bad script", err.Error())
		}
		t := time.NewTimer(d)
		defer t.Stop()
		select {
		case <-t.C:
		case <-ctx.Done():
			return actor.Failed("cut off", context.Cause(ctx).Error())
		}
		return actor.Outcome{Output: strconv.FormatInt(begun.UnixNano(), 10)}
	}
}
