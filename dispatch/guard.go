package dispatch

import (
	"herosup/dispatch/store"
	"herosup/events"
)

// scriptGroup says a recorded group in the bus' words. The leader is of the boot
// of the actor that started it.
func scriptGroup(g store.Group, actor events.Incarnation) events.ScriptGroup {
	return events.ScriptGroup{PGID: g.PGID, Leader: events.Incarnation{Boot: actor.Boot, PID: g.PGID, Start: g.Start}}
}
