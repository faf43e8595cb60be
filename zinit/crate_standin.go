package zinit

import (
	"fmt"
	"strings"
)

// A stand-in is a service that nobody starts. An executor puts one to the end of the list
// of a zinit of the crate dialect before it removes a service further up: that zinit
// moves the last into the gap, and must not lose one that runs. Stand-ins go when they
// come to stand last, or when who stands last rests.

// standInName follows the prefix of all our services; no actor has an id like that.
const standInName = "stand-in-"

// isStandIn reports whether a name without our prefix is of a stand-in.
func isStandIn(name string) bool {
	return strings.HasPrefix(name, standInName) && !strings.Contains(name, "_")
}

// standInFor makes the services with this prefix ones that are removed where another
// would be moved.
func (c *Client) standInFor(prefix string) {
	c.memory.mu.Lock()
	defer c.memory.mu.Unlock()
	c.memory.prefix = prefix
}

// standsIn reports whether a stand-in may take the place of a service.
func (m *crateMemory) standsIn(name string) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.prefix != "" && strings.HasPrefix(name, m.prefix)
}

func (m *crateMemory) isStandIn(name string) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	rest, ours := strings.CutPrefix(name, m.prefix)
	return m.prefix != "" && ours && isStandIn(rest)
}

// standIn sees to it that the removal of a service of ours moves nothing that runs. due: its
// next start may come first, and then the end of that process is laid to who has its place.
func (z crate) standIn(name string, due bool) error {
	if !z.l.c.memory.standsIn(name) {
		return nil
	}
	moved, all, err := z.moves(name)
	if err != nil || moved == "" && !(due && z.movesAnother(name, all)) {
		return err
	}
	taken := map[string]bool{}
	for _, s := range all {
		taken[s.Name] = true
	}
	for n := 1; ; n++ {
		stand := fmt.Sprint(z.l.c.memory.prefix, standInName, n)
		if taken[stand] {
			continue
		}
		f, err := crateOf(stand, Content{Exec: "true"}, false)
		if err != nil {
			return err
		}
		return z.set(f)
	}
}

// movesAnother reports whether the removal moves one that somebody may start.
func (z crate) movesAnother(name string, all []crateFull) bool {
	if len(all) == 0 {
		return false
	}
	last := all[len(all)-1].Name
	return last != name && !z.l.c.memory.isStandIn(last)
}

// tidy removes the stand-ins that can go.
func (z crate) tidy() error {
	for z.l.c.memory.standsIn(z.l.c.memory.prefix) {
		_, all, err := z.moves("")
		if err != nil || len(all) == 0 {
			return err
		}
		last := all[len(all)-1]
		rests, err := z.rests(last)
		if err != nil || !rests {
			return ignoring(err, ServiceNotFound)
		}
		gap := ""
		for _, s := range all {
			if z.l.c.memory.isStandIn(s.Name) {
				gap = s.Name // the last of them
			}
		}
		if gap == "" {
			return nil
		}
		if err := ignoring(z.ask("service.delete", named{Name: gap}, nil), ServiceNotFound); err != nil {
			return err
		}
	}
	return nil
}
