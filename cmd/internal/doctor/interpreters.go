package doctor

import (
	"context"
	"fmt"
	"maps"
	"slices"

	"herosup/dispatch/runner"
)

// scriptTypes are those that are looked for even when no pool runs them.
var scriptTypes = []string{"osis", "python", "sal", "v"}

// lookInterpreters is bad for a pool that can start no actor, and a note for a type
// that no pool runs: by default there is a pool for each that is found.
func lookInterpreters(_ context.Context, at scene, w *what) {
	served := map[string]bool{}
	for _, name := range slices.Sorted(maps.Keys(at.Config.Pools)) {
		p := at.Config.Pools[name]
		for _, t := range p.Serves() {
			served[t] = true
		}
		if reason, hint := p.Missing(name); reason != "" {
			w.bad(fmt.Sprintf("pool %s: %s", name, reason), hint)
			continue
		}
		w.ok(fmt.Sprintf("pool %s: %s", name, p.Runs()))
	}
	for _, t := range scriptTypes {
		if served[t] {
			continue
		}
		if argv, ok := runner.Find(t); ok {
			w.ok(fmt.Sprintf("%s: %s is here, and no pool runs that type", t, argv[0]))
			continue
		}
		w.note(fmt.Sprintf("%s: %s is not on the PATH, and no pool runs that type", t, runner.Name(t)), runner.Hint(t))
	}
}
