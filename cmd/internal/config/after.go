package config

import (
	"slices"
	"strconv"
	"strings"
)

// CheckAfter refuses pools whose actors wait for one another, or for themselves: a
// zinit would hold them back for ever. prefix begins the names of this Herosup's
// services, which is how a pool's `after` names an actor ("<prefix>bash_1"); names of
// other services say nothing about pools.
func (c *Config) CheckAfter(prefix string) error {
	ends := map[string]bool{} // pools that wait for none that waits for them
	for _, name := range sorted(c.Pools) {
		if circle := c.circle(name, prefix, nil, ends); circle != nil {
			return &Error{
				Where: c.where(), Path: "pools." + circle[0] + ".after",
				Got:  "a circle (" + strings.Join(circle, " after ") + ")",
				Want: "an order in which actors can start",
			}
		}
	}
	return nil
}

func (c *Config) where() string {
	if c.File == "" {
		return "(defaults)"
	}
	return c.File
}

// circle follows what a pool waits for, in depth; path is how it came there. Each
// pool is looked at once.
func (c *Config) circle(name, prefix string, path []string, ends map[string]bool) []string {
	if i := slices.Index(path, name); i >= 0 {
		return append(path[i:], name)
	}
	if ends[name] {
		return nil
	}
	for _, service := range c.Pools[name].After {
		other, ok := c.poolOf(service, prefix)
		if !ok {
			continue
		}
		if found := c.circle(other, prefix, append(path, name), ends); found != nil {
			return found
		}
	}
	ends[name] = true
	return nil
}

// poolOf is the pool whose actor a service is.
func (c *Config) poolOf(service, prefix string) (string, bool) {
	actor, ours := strings.CutPrefix(service, prefix)
	i := strings.LastIndexByte(actor, '_')
	if !ours || i <= 0 {
		return "", false
	}
	if _, err := strconv.Atoi(actor[i+1:]); err != nil {
		return "", false
	}
	_, known := c.Pools[actor[:i]]
	return actor[:i], known
}
