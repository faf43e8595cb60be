package daemon

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"herosup/events"
	"herosup/monitor"
)

// drain stops every actor once it holds no job and returns when all have
// stopped. With a deadline, jobs that take longer are cut off by the keeper.
// A second Ctrl-C (ctx) ends the wait; services are then stopped as they are.
//
// It begins with the monitor's list and goes on with the facts themselves: the
// list may be behind a fact that was seen here already, and no other would come.
//
// A deadline that comes by again holds for all that have not stopped by then.
func (d *Daemon) drain(ctx context.Context, bus *events.Bus, deadline time.Duration, again <-chan time.Duration) error {
	sub, err := bus.Subscribe(events.FactsOf("actor"))
	if err != nil {
		return err
	}
	defer sub.Unsubscribe()
	up, err := d.notStopped(ctx, bus)
	if err != nil {
		return err
	}
	for name := range up {
		if err := d.askStop(ctx, bus, name, deadline); err != nil {
			return err
		}
	}
	for len(up) > 0 {
		select {
		case <-ctx.Done():
			return fmt.Errorf("interrupted while %s had not stopped", strings.Join(slices.Sorted(maps.Keys(up)), ", "))
		case deadline = <-again:
			for name := range up {
				if err := d.askStop(ctx, bus, name, deadline); err != nil {
					return err
				}
			}
		case raw := <-sub.C:
			m, err := sub.Open(raw)
			if err != nil {
				continue // the monitor tells of those
			}
			e, ok := m.Event.(events.ActorStateChanged)
			switch {
			case !ok:
			case e.To == "stopped":
				delete(up, e.Actor)
			case !up[e.Actor]: // it came up meanwhile
				up[e.Actor] = true
				if err := d.askStop(ctx, bus, e.Actor, deadline); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

func (d *Daemon) askStop(ctx context.Context, bus *events.Bus, actor string, deadline time.Duration) error {
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	var r *events.Refusal
	err := bus.Request(ctx, events.ActorStop{Actor: actor, Deadline: events.SecondsOf(deadline), Reason: "shutdown"}, nil)
	if err != nil && !errors.As(err, &r) { // refused: it has stopped by itself
		return fmt.Errorf("stop %s: %w", actor, err)
	}
	return nil
}

// askTimeout bounds a question to a component.
const askTimeout = 5 * time.Second

func (d *Daemon) notStopped(ctx context.Context, bus *events.Bus) (map[string]bool, error) {
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	var list []monitor.Actor
	if err := bus.Request(ctx, events.ActorList{}, &list); err != nil {
		return nil, fmt.Errorf("list actors: %w", err)
	}
	up := map[string]bool{}
	for _, a := range list {
		if a.State != "stopped" {
			up[a.Name] = true
		}
	}
	return up, nil
}
