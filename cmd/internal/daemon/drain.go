package daemon

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"herosup/events"
	"herosup/monitor"
)

// drain stops every actor once it holds no job and returns when all have
// stopped. With a deadline, jobs that take longer are cut off by the keeper.
// A second Ctrl-C (ctx) ends the wait; services are then stopped as they are.
func (d *Daemon) drain(ctx context.Context, bus *events.Bus, deadline time.Duration) error {
	sub, err := bus.Subscribe(events.FactsOf("actor"))
	if err != nil {
		return err
	}
	defer sub.Unsubscribe()
	asked := map[string]bool{}
	for {
		up, err := d.notStopped(ctx, bus)
		if err != nil {
			return err
		}
		if len(up) == 0 {
			return nil
		}
		for _, a := range up {
			if asked[a.Name] {
				continue
			}
			asked[a.Name] = true
			var r *events.Refusal
			err := bus.Request(ctx, events.ActorStop{Actor: a.Name, Deadline: events.SecondsOf(deadline), Reason: "shutdown"}, nil)
			if err != nil && !errors.As(err, &r) {
				return fmt.Errorf("stop %s: %w", a.Name, err)
			}
		}
		select {
		case <-ctx.Done():
			var names []string
			for _, a := range up {
				names = append(names, a.Name)
			}
			return fmt.Errorf("interrupted while %s had not stopped", strings.Join(names, ", "))
		case <-sub.C:
		}
	}
}

func (d *Daemon) notStopped(ctx context.Context, bus *events.Bus) ([]monitor.Actor, error) {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	var list, up []monitor.Actor
	if err := bus.Request(ctx, events.ActorList{}, &list); err != nil {
		return nil, fmt.Errorf("list actors: %w", err)
	}
	for _, a := range list {
		if a.State != "stopped" {
			up = append(up, a)
		}
	}
	return up, nil
}
