package main

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"herosup/events"
)

// waitFor returns when each of the actors is in one of the states. It begins
// with the list and goes on with the facts: the list may be behind a fact that
// was seen here already, and no other would come.
func (d *remote) waitFor(ctx context.Context, names, states []string) error {
	sub, err := d.bus.Subscribe(events.FactsOf("actor"))
	if err != nil {
		return err
	}
	defer sub.Unsubscribe()
	list, err := d.actors(ctx, "")
	if err != nil {
		return err
	}
	now := map[string]string{}
	for _, x := range list {
		now[x.Name] = x.State
	}
	for {
		var missing []string
		for _, n := range names {
			state := now[n]
			if state == "" {
				state = "stopped" // what the monitor does not know does not run
			}
			if !slices.Contains(states, state) {
				missing = append(missing, n)
			}
		}
		if len(missing) == 0 {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("still waiting for %s: %w", strings.Join(missing, ", "), ctx.Err())
		case raw := <-sub.C:
			if m, err := sub.Open(raw); err == nil {
				if e, ok := m.Event.(events.ActorStateChanged); ok {
					now[e.Actor] = e.To
				}
			}
		}
	}
}
