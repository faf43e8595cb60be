package main

import (
	"context"
	"errors"
	"fmt"

	"herosup/cmd/internal/state"
	"herosup/dispatch"
	"herosup/events"
	"herosup/events/external"
)

// Exit statuses, as `herosup help exit-status` and the README tell them.
const (
	exitDone        = 0
	exitFailed      = 1
	exitUsage       = 2
	exitUnwell      = 3
	exitNoDaemon    = 4
	exitRefused     = 5
	exitTimedOut    = 124
	exitInterrupted = 130
)

// exitError is an error that knows its exit status. A nil err prints nothing:
// what there is to say was said.
type exitError struct {
	status int
	err    error
	hint   string
}

func (e *exitError) Error() string {
	if e.err == nil {
		return fmt.Sprint("exit status ", e.status)
	}
	return e.err.Error()
}

func (e *exitError) Unwrap() error { return e.err }

func usagef(format string, a ...any) error {
	return &exitError{status: exitUsage, err: fmt.Errorf(format, a...)}
}

func hinted(status int, err error, hint string) error {
	return &exitError{status: status, err: err, hint: hint}
}

// errNoDaemon says that nothing runs on the state folder.
func errNoDaemon(dir string) error {
	return hinted(exitNoDaemon, fmt.Errorf("no daemon runs on state folder %s", dir),
		"start one with `herosup up`, or name its folder with --state")
}

func statusOf(ctx context.Context, err error) int {
	var e *exitError
	var refusal *events.Refusal
	var held *state.HeldError
	var owner *dispatch.OwnerError
	var server *dispatch.ServerError
	var taken *external.TakenError
	switch {
	case err == nil:
		return exitDone
	case errors.As(err, &e):
		return e.status
	case errors.As(err, &held), errors.As(err, &owner), errors.As(err, &server), errors.As(err, &taken):
		return exitRefused
	case errors.As(err, &refusal):
		if refusal.Status == 400 {
			return exitUsage
		}
		return exitFailed
	case errors.Is(err, events.ErrNobody):
		return exitNoDaemon
	case errors.Is(err, context.DeadlineExceeded):
		return exitTimedOut
	case errors.Is(err, context.Canceled) && ctx.Err() != nil:
		return exitInterrupted
	}
	return exitFailed
}

func hintOf(err error) string {
	var e *exitError
	var refusal *events.Refusal
	var knows interface{ Hint() string }
	switch {
	case errors.As(err, &e) && e.hint != "":
		return e.hint
	case errors.As(err, &refusal):
		return refusal.Hint
	case errors.As(err, &knows):
		return knows.Hint()
	case errors.Is(err, events.ErrNobody):
		return "the daemon does not answer: see `herosup doctor`"
	}
	return ""
}
