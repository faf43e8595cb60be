package schedule

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"herosup/events"
)

func (c *Component) serve() (*events.Service, error) {
	return c.bus.Serve(events.ServiceConfig{
		Name: "schedule", Description: "periodic jobs: add, remove, pause, resume, list",
		Patterns: []events.Pattern{
			events.Of(events.ScheduleAdd{}), events.Of(events.ScheduleRemove{}), events.Of(events.SchedulePause{}),
			events.Of(events.ScheduleResume{}), events.Of(events.ScheduleList{}),
		},
	})
}

// command answers one request: with the schedule as it is then, or a refusal.
func (c *Component) command(ctx context.Context, m events.Message) {
	var v any
	var err error
	switch e := m.Event.(type) {
	case events.ScheduleAdd:
		v, err = c.add(ctx, m, e)
	case events.ScheduleRemove:
		v, err = c.remove(ctx, m, e.Schedule)
	case events.SchedulePause:
		v, err = c.pause(ctx, m, e.Schedule)
	case events.ScheduleResume:
		v, err = c.resume(ctx, m, e.Schedule)
	case events.ScheduleList:
		v = c.list()
	}
	var r *events.Refusal
	switch {
	case err == nil:
		err = m.Respond(v)
	case errors.As(err, &r):
		err = c.bus.Reject(m, r)
	case errors.Is(err, errConflict):
		err = c.bus.Reject(m, conflict("changed_meanwhile", err.Error(), "look at it, and try again"))
	default:
		err = c.bus.Reject(m, &events.Refusal{
			Status: http.StatusServiceUnavailable, Code: "not_kept", Reason: err.Error(), Hint: "try again; the daemon's log says why",
		})
	}
	if err != nil {
		c.log.Warn("answer", "event", m.On, "err", err)
	}
}

func (c *Component) add(ctx context.Context, m events.Message, e events.ScheduleAdd) (View, error) {
	d := FromAdd(e)
	if err := d.CheckNew(); err != nil {
		return View{}, refusal(err)
	}
	have := c.book.find(d.Name)
	switch {
	case have == nil && len(c.book.names()) >= maxSchedules:
		return View{}, conflict("too_many", fmt.Sprintf("there are %d schedules already", maxSchedules), "remove one first")
	case have == nil:
	case have.def.Source == FromConfig:
		return View{}, inConfiguration(d.Name)
	case have.def.same(&d) && have.def.Paused == d.Paused && have.fault == "":
		return have.view(), nil
	case !e.Replace:
		return View{}, conflict("exists", fmt.Sprintf("there is a schedule %s, and it is another", d.Name), "replace it (--replace), or take another name")
	}
	d.Since = since(have, &d, time.Now())
	if err := c.book.putDef(ctx, d); err != nil {
		return View{}, err
	}
	v := c.book.find(d.Name).view()
	c.publish(events.ScheduleAdded{Schedule: d.Name, Cron: d.Cron, Timezone: d.Timezone, Type: d.Type, Next: v.Next.UTC(), Replaced: have != nil}, events.CausedBy(m))
	return v, nil
}

// since is the moment from which the due times of d count. Another script under the
// same times leaves it: a due time that nobody has looked at yet is not lost.
func since(have *entry, d *Definition, now time.Time) time.Time {
	if have != nil && have.def.sameTimes(d) && have.def.Paused == d.Paused {
		return have.def.Since
	}
	return now.UTC().Truncate(time.Second)
}

func (c *Component) remove(ctx context.Context, m events.Message, name string) (View, error) {
	e, err := c.named(name)
	if err != nil {
		return View{}, err
	}
	if e.def.Source == FromConfig {
		return View{}, inConfiguration(name)
	}
	v := e.view()
	if err := c.book.remove(ctx, e); err != nil {
		return View{}, err
	}
	c.publish(events.ScheduleRemoved{Schedule: name, Reason: "asked for by command"}, events.CausedBy(m))
	return v, nil
}

func (c *Component) pause(ctx context.Context, m events.Message, name string) (View, error) {
	e, err := c.named(name)
	if err != nil || e.def.Paused {
		return viewOf(e), err
	}
	d := e.def
	d.Paused = true
	if err := c.book.putDef(ctx, d); err != nil {
		return View{}, err
	}
	c.publish(events.SchedulePaused{Schedule: name}, events.CausedBy(m))
	return e.view(), nil
}

func (c *Component) resume(ctx context.Context, m events.Message, name string) (View, error) {
	e, err := c.named(name)
	if err != nil || !e.def.Paused {
		return viewOf(e), err
	}
	d := e.def
	d.Paused, d.Since = false, time.Now().UTC().Truncate(time.Second)
	if err := c.book.putDef(ctx, d); err != nil {
		return View{}, err
	}
	v := e.view()
	c.publish(events.ScheduleResumed{Schedule: name, Next: v.Next.UTC()}, events.CausedBy(m))
	return v, nil
}

func (c *Component) list() []View {
	all := []View{}
	for _, name := range c.book.names() {
		all = append(all, c.book.find(name).view())
	}
	return all
}

func (c *Component) named(name string) (*entry, error) {
	if e := c.book.find(name); e != nil {
		return e, nil
	}
	r := &events.Refusal{Status: http.StatusNotFound, Code: "unknown_schedule", Reason: fmt.Sprintf("there is no schedule %s", name), Hint: "see `herosup get schedules`"}
	if near := events.Nearest(name, c.book.names()); near != "" {
		r.Hint = "did you mean " + near + "?"
	}
	return nil, r
}

// configure brings the bucket in line with the configuration file. A pause by
// command outlives it.
func (c *Component) configure(ctx context.Context, now time.Time) error {
	wanted := map[string]bool{}
	for _, d := range c.cfg.Definitions {
		wanted[d.Name] = true
		if err := c.configureOne(ctx, d, now); err != nil {
			return fmt.Errorf("schedule %s of the configuration: %w", d.Name, err)
		}
	}
	for _, name := range c.book.names() {
		e := c.book.find(name)
		if e.def.Source != FromConfig || wanted[name] {
			continue
		}
		if err := c.book.remove(ctx, e); err != nil && !errors.Is(err, errConflict) {
			return fmt.Errorf("schedule %s, no longer in the configuration: %w", name, err)
		}
		c.publish(events.ScheduleRemoved{Schedule: name, Reason: "no longer in the configuration"})
	}
	return nil
}

// configureOne writes one definition, if it is new. Another daemon with the same
// file may write it at the same moment: then there is nothing left to do.
func (c *Component) configureOne(ctx context.Context, d Definition, now time.Time) error {
	const tries = 3
	var err error
	for range tries {
		have := c.book.find(d.Name)
		if have != nil {
			d.Paused = have.def.Paused
			if have.def.same(&d) && have.def.Source == FromConfig && have.fault == "" {
				return nil
			}
		}
		d.Since = since(have, &d, now)
		if err = c.book.putDef(ctx, d); err == nil {
			c.publish(events.ScheduleAdded{
				Schedule: d.Name, Cron: d.Cron, Timezone: d.Timezone, Type: d.Type, Next: c.book.find(d.Name).view().Next.UTC(), Replaced: have != nil,
			})
			return nil
		}
		if !errors.Is(err, errConflict) {
			return err
		}
	}
	return err
}

func viewOf(e *entry) View {
	if e == nil {
		return View{}
	}
	return e.view()
}

func refusal(err error) *events.Refusal {
	r := &events.Refusal{Status: http.StatusBadRequest, Code: "bad_schedule", Reason: err.Error()}
	var f *FieldError
	if errors.As(err, &f) {
		r.Code, r.Hint = "bad_"+f.Field, f.Hint()
	}
	return r
}

func conflict(code, reason, hint string) *events.Refusal {
	return &events.Refusal{Status: http.StatusConflict, Code: code, Reason: reason, Hint: hint}
}

func inConfiguration(name string) *events.Refusal {
	return conflict("in_configuration", fmt.Sprintf("schedule %s is in the configuration file", name), "change it there and start the daemon anew; it can be paused by command")
}
