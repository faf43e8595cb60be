package dispatch

import (
	"context"

	"herosup/dispatch/store"
	"herosup/events"
)

// scriptGroup says a recorded group in the bus' words. The leader is of the boot
// of the actor that started it.
func scriptGroup(g store.Group, actor events.Incarnation) events.ScriptGroup {
	return events.ScriptGroup{PGID: g.PGID, Leader: events.Incarnation{Boot: actor.Boot, PID: g.PGID, Start: g.Start}}
}

// scriptGroups reads those of all jobs that an incarnation has in hand. The zero incarnation is the one that is registered
// under the actor's name, so of this boot.
func (c *Component) scriptGroups(ctx context.Context, actor string, inc events.Incarnation) ([]events.ScriptGroup, error) {
	recorded, err := c.d().Groups(ctx, actor, inc.String())
	if inc.IsZero() {
		inc.Boot = c.boot
	}
	groups := make([]events.ScriptGroup, len(recorded))
	for i, g := range recorded {
		groups[i] = scriptGroup(g, inc)
	}
	return groups, err
}
