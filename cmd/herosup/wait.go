package main

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"herosup/events"
)

// waitFor returns when each of the actors is in one of the states.
func (d *remote) waitFor(ctx context.Context, names, states []string) error {
	sub, err := d.bus.Subscribe(events.FactsOf("actor"))
	if err != nil {
		return err
	}
	defer sub.Unsubscribe()
	for {
		// The list after each change, not the change itself: it is the truth
		// also about what happened before the subscription.
		list, err := d.actors(ctx, "")
		if err != nil {
			return err
		}
		var missing []string
		for _, n := range names {
			state := "stopped" // what the monitor does not know does not run
			for _, x := range list {
				if x.Name == n {
					state = x.State
				}
			}
			if !slices.Contains(states, state) {
				missing = append(missing, n+" "+state)
			}
		}
		if len(missing) == 0 {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("still waiting for %s: %w", strings.Join(missing, ", "), ctx.Err())
		case <-sub.C:
		}
	}
}
