package main

import (
	"context"
	"errors"
	"maps"
	"slices"

	"herosup/events"
	"herosup/zinit"
)

// refusedBy is zinitFault with the names that the zinit has, so that a mistyped
// one can be told.
func refusedBy(ctx context.Context, z *zinit.Client, err error, service string) error {
	var names []string
	if errors.Is(err, zinit.ServiceNotFound) {
		if list, listErr := z.List(ctx); listErr == nil {
			names = slices.Sorted(maps.Keys(list))
		}
	}
	return zinitFault(err, service, names)
}

// zinitFault says what to do about a failed call; nil stays nil. A hint that the
// zinit itself gave is part of its message and is left alone, but for a service
// that is not there: names are those that are.
func zinitFault(err error, service string, names []string) error {
	var refused *zinit.Error
	switch {
	case err == nil:
		return nil
	case errors.Is(err, zinit.ErrNoServer):
		return hinted(exitNoDaemon, err,
			"name another with --socket, or run ours: `herosup zinit init --config DIR --socket PATH`")
	case errors.Is(err, zinit.ErrDialect), errors.Is(err, zinit.ErrNotASocket):
		return hinted(exitFailed, err, "name the socket of a zinit with --socket")
	case !errors.As(err, &refused):
		return err
	case refused.Code == zinit.ServiceNotFound:
		if near := events.Nearest(service, names); near != "" {
			return hinted(exitFailed, err, "did you mean "+near+"?")
		}
	case refused.Code == zinit.ShuttingDown:
		return hinted(exitRefused, err, "wait until it has ended")
	}
	if refused.Data != nil && refused.Data.Hint != "" {
		return err
	}
	return hinted(exitFailed, err, refusalHint(refused.Code, service))
}

// refusalHint is the command that would work; "" for none.
func refusalHint(c zinit.Code, service string) string {
	switch c {
	case zinit.ServiceNotFound:
		return "`herosup zinit list` shows the services there are, `herosup zinit monitor` takes up a file"
	case zinit.ServiceAlreadyMonitored:
		return "start it with `herosup zinit start " + service + "`; to read a changed file: stop, forget, monitor"
	case zinit.ServiceIsUp:
		return "stop it first: `herosup zinit stop " + service + "`"
	case zinit.ServiceIsDown:
		return "start it first: `herosup zinit start " + service + "`"
	case zinit.ConfigError, zinit.ServiceFileError:
		return "look into its file in the zinit's folder of service files"
	case zinit.MethodNotFound:
		return "ours has that command: `herosup zinit init`"
	}
	return ""
}
