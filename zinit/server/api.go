package server

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"

	"herosup/zinit"
	"herosup/zinit/wire"
)

// api is what the methods work on.
type api struct {
	loop    *loop
	files   zinit.Folder
	logs    *logs
	methods []endpoint
}

func (a *api) status(ctx context.Context, p params) (any, error) {
	return a.loop.status(ctx, "getting status", p.text("name"))
}

func (a *api) list(ctx context.Context, _ params) (any, error) { return a.loop.list(ctx) }

func (a *api) start(ctx context.Context, p params) (any, error) {
	return nil, a.loop.start(ctx, p.text("name"))
}

func (a *api) stop(ctx context.Context, p params) (any, error) {
	return nil, a.loop.stop(ctx, p.text("name"))
}

func (a *api) kill(ctx context.Context, p params) (any, error) {
	return nil, a.loop.kill(ctx, p.text("name"), p.text("signal"))
}

func (a *api) forget(ctx context.Context, p params) (any, error) {
	return nil, a.loop.forget(ctx, p.text("name"))
}

func (a *api) monitor(ctx context.Context, p params) (any, error) {
	const action = "monitoring service"
	name := p.text("name")
	if err := zinit.ValidName(name); err != nil {
		return nil, badName(action, name, err)
	}
	spec, err := a.files.Load(name)
	if err != nil {
		// A monitored service is named as that, whatever became of its file.
		if _, statusErr := a.loop.status(ctx, action, name); statusErr == nil {
			return nil, a.loop.monitor(ctx, name, spec)
		}
		hint := "mend the file"
		if errors.Is(err, os.ErrNotExist) {
			hint = "create it first"
		}
		return nil, refuse(zinit.ConfigError, action, name, "failed to load service config: "+err.Error(), hint)
	}
	return nil, a.loop.monitor(ctx, name, spec)
}

func (a *api) create(_ context.Context, p params) (any, error) {
	const action = "creating service"
	name := p.text("name")
	if err := zinit.ValidName(name); err != nil {
		return nil, badName(action, name, err)
	}
	var content zinit.Content
	var err error
	if n := len(p["content"]); n > zinit.MaxFile {
		err = fmt.Errorf("content of %d bytes is over the limit of %d", n, zinit.MaxFile)
	} else {
		err = json.Unmarshal(p["content"], &content)
	}
	if err == nil {
		_, err = content.Service()
	}
	if err != nil {
		return nil, refuse(zinit.ConfigError, action, name, err.Error(), "no service could be loaded from this")
	}
	switch err := a.files.Create(name, p["content"]); {
	case errors.Is(err, zinit.ErrExists):
		return nil, refuse(zinit.ServiceAlreadyExists, action, name,
			fmt.Sprintf("service '%s' already exists", name), "delete it first")
	case err != nil:
		return nil, fileError(action, name, err)
	}
	return fmt.Sprintf("Service '%s' created successfully", name), nil
}

func (a *api) remove(_ context.Context, p params) (any, error) {
	const action = "deleting service"
	name := p.text("name")
	if err := zinit.ValidName(name); err != nil {
		return nil, badName(action, name, err)
	}
	switch err := a.files.Remove(name); {
	case errors.Is(err, os.ErrNotExist):
		return nil, notFound(action, name)
	case err != nil:
		return nil, fileError(action, name, err)
	}
	return fmt.Sprintf("Service '%s' deleted successfully", name), nil
}

func (a *api) get(_ context.Context, p params) (any, error) {
	const action = "getting service"
	name := p.text("name")
	if err := zinit.ValidName(name); err != nil {
		return nil, badName(action, name, err)
	}
	content, err := a.files.Get(name)
	switch {
	case errors.Is(err, os.ErrNotExist):
		return nil, notFound(action, name)
	case err != nil:
		return nil, refuse(zinit.ConfigError, action, name, err.Error(), "")
	}
	return json.RawMessage(content), nil
}

func (a *api) stats(ctx context.Context, p params) (any, error) {
	const action = "getting stats"
	name := p.text("name")
	status, err := a.loop.status(ctx, action, name)
	if err != nil {
		return nil, err
	}
	if status.PID != 0 {
		if s, ok := measure(ctx, name, status.PID); ok {
			return s, nil
		}
	}
	return nil, refuse(zinit.ServiceIsDown, action, name, fmt.Sprintf("service '%s' is down", name), "start it first")
}

func (a *api) shutdown(ctx context.Context, _ params) (any, error) {
	return nil, a.loop.halt(ctx, false)
}

func (a *api) reboot(ctx context.Context, _ params) (any, error) { return nil, a.loop.halt(ctx, true) }

func (a *api) noHTTP(context.Context, params) (any, error) {
	return nil, refuse(zinit.InternalError, "starting HTTP server", "",
		"this server has no HTTP door: whoever reached the port could run commands",
		"use the socket, over ssh from elsewhere")
}

func (a *api) discover(context.Context, params) (any, error) {
	doc, err := wire.Encode(openRPC(a.methods))
	return string(doc), err // a string, as the original sends it
}

func (a *api) currentLogs(_ context.Context, p params) (any, error) {
	return lastFitting(a.logs.snapshot(p.text("name"))), nil
}

// lastFitting are the latest of lines that an answer has room for.
func lastFitting(lines []string) []string {
	const (
		room = wire.MaxMessage - 1<<10 // less the envelope
		// widest is how much longer JSON can make a byte of text ("\u0001").
		widest = 6
	)
	size := 0
	for i := len(lines) - 1; i >= 0; i-- {
		if size += widest*len(lines[i]) + len(`"",`); size > room {
			return lines[i+1:]
		}
	}
	return lines
}
