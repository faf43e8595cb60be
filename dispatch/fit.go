package dispatch

import (
	"context"
	"slices"

	"herosup/dispatch/store"
	"herosup/events"
)

// ServerError says that this Redis can not do what the scripts need.
type ServerError struct{ Reason, HintText string }

func (e *ServerError) Error() string { return "use redis: " + e.Reason }

// Hint says what to do.
func (e *ServerError) Hint() string { return e.HintText }

// fitness looks whether the server's settings are fit for jobs, and tells when that changes. A setting may be
// changed any day, and a failover may lead to a server with another one.
type fitness struct {
	c    *Component
	r    *reporter
	told []store.Finding
}

// checkAtStart refuses a server that lacks commands; what is merely unsafe is shouted about.
func (c *Component) checkAtStart(ctx context.Context) (*fitness, error) {
	f := &fitness{c: c, r: c.reporter("check")}
	var srv store.Server
	if !f.r.until(ctx, func(ctx context.Context) (err error) {
		srv, err = c.store.Bare().CheckServer(ctx)
		return err
	}) {
		return nil, context.Cause(ctx)
	}
	for _, one := range srv.Findings {
		if one.Code == store.FindingVersion {
			return nil, &ServerError{Reason: one.Text, HintText: one.Hint}
		}
	}
	f.judge(srv, true)
	return f, nil
}

func (f *fitness) run(ctx context.Context) error {
	for pause(ctx, f.c.cfg.CheckEvery) {
		var srv store.Server
		err := limited(ctx, func(ctx context.Context) (err error) {
			srv, err = f.c.store.Bare().CheckServer(ctx)
			return err
		})
		if err != nil {
			continue // the ping loop tells of a Redis that is away
		}
		f.judge(srv, false)
	}
	return nil
}

// judge tells what is new. What is no danger to jobs is for the log, once.
func (f *fitness) judge(srv store.Server, start bool) {
	if !start && slices.Equal(f.told, srv.Findings) {
		return
	}
	f.told = srv.Findings
	e := events.RedisChecked{Version: srv.Version}
	for _, one := range srv.Findings {
		if !one.Bad {
			f.c.log.Info("redis settings", "reason", one.Text, "hint", one.Hint)
			continue
		}
		f.c.log.Warn("redis is unsafe for jobs", "event", "RedisChecked", "reason", one.Text, "hint", one.Hint)
		e.Findings = append(e.Findings, events.RedisFinding{Code: one.Code, Reason: one.Text, Hint: one.Hint})
	}
	f.c.publish(e)
}
